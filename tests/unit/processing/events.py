"""Events of the log, as tests need them."""

from __future__ import annotations

from typing import Any

from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import Encoded, Event, Offset, encode, rfc3339

NOW = 1_800_000_000.0
"""A whole second and a whole minute."""

WINDOWS = {"10s": 10.0, "1m": 60.0, "5m": 300.0}


def event(
    number: int, type: str, at: float | None = NOW, *, source: str = "/test", subject: str | None = None, **data: Any
) -> Encoded:
    """An event at a moment in wall-clock seconds; None: without a time."""
    time = None if at is None else rfc3339(at)
    return encode(Event(id=str(number), source=source, type=type, time=time, subject=subject, data=data))


def stored(number: int, type: str, at: float | None = NOW, *, source: str = "/test", **data: Any) -> Stored:
    """The same, as the log gives it back; its offset is the number."""
    return Stored(Offset(number), type, event(number, type, at, source=source, **data).raw)
