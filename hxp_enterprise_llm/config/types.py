"""Building blocks of the configuration types: bounded numbers, ports, durations, patterns.

Every key carries its description; `live(...)` marks those that a reload applies without a restart.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of the configuration. Unknown keys are refused."""


Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
TypePattern = Annotated[str, Meta(pattern=r"^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$")]
Duration = Annotated[str, Meta(pattern=r"^([0-9]+(ms|s|m|h|d))+$", examples=["30s", "5m", "1h30m"])]
DurationOrNone = Annotated[str, Meta(pattern=r"^(([0-9]+(ms|s|m|h|d))+)?$")]

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(duration: str) -> float:
    """Seconds of a duration such as `1h30m`. Raises ValueError when it is none."""
    parts = re.findall(r"([0-9]+)(ms|s|m|h|d)", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is no duration such as '30s', '1h30m' or '7d'")
    return sum(int(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def about(description: str, *, live: bool = False, **more: Any) -> Meta:
    """Describe a key; `live`: a reload applies it at once, else it takes a restart."""
    return Meta(description=description, extra={"live": live}, **more)
