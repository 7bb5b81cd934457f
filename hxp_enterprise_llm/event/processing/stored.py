"""Analytics on disk: what its windows hold, as plain values and back, nothing lost.

Read back, the windows are what they were, whatever the log no longer has. Memories that have not changed since the
last save are not encoded anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from hxp_enterprise_llm.event.processing import keeping
from hxp_enterprise_llm.event.processing.aggregates import Aggregate
from hxp_enterprise_llm.event.processing.groups import Groups
from hxp_enterprise_llm.event.processing.identity import identity
from hxp_enterprise_llm.event.processing.keeping import Form
from hxp_enterprise_llm.event.processing.metrics import Accumulator
from hxp_enterprise_llm.event.processing.plain import memory_of, values_of


class Totals(msgspec.Struct):
    """What has come in since the log began, without the events that the system makes itself."""

    events: int = 0
    late: int = 0
    ignored: int = 0
    """Values that are no numbers where numbers are asked for, and events that cannot be read."""


class Kept(msgspec.Struct):
    """All that the core holds."""

    per_second: int
    horizon: int
    now: int
    """The slot of the present."""
    since: int | None
    totals: Totals
    partial: bool
    """There is a metric whose windows do not reach back as far as the others: the log may know more."""
    series: dict[str, dict[int, msgspec.Raw]]
    """Memories by slot, by `key_of` their accumulator."""


class Saved(msgspec.Struct):
    """The windows, and the offset up to which the log of this epoch is in them."""

    epoch: str
    position: int
    at: float
    """When it was saved, in wall-clock seconds: all up to `position` had arrived."""
    seq: int
    """Of the last snapshot."""
    newest_at: float
    """Its time, in wall-clock seconds."""
    kept: Kept


FORM = Form(b"HXPA0001", Saved)


class AnalyticsFile(keeping.StateFile[Saved]):
    """The file at `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, FORM)


def key_of(accumulator: Accumulator) -> str:
    """What it is known by in the file. The limit of its label sets is part of it: other ones would have been kept."""
    return f"{accumulator.limit} {identity(accumulator)}"


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def dump(memory: Aggregate) -> msgspec.Raw:
    """A memory, encoded."""
    return msgspec.Raw(_encode(_state(memory)))


def load(accumulator: Accumulator, raw: msgspec.Raw) -> Aggregate:
    """What `dump` made of a memory of this accumulator. Raises ValueError, when it is something else."""
    try:
        return _loaded(accumulator, _decode(raw))
    except (msgspec.DecodeError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ValueError(f"a memory of {accumulator.family} cannot be read: {error}") from error


def _state(memory: Any) -> Any:
    if isinstance(memory, Groups):
        return [memory.dropped, [[*key, _state(each)] for key, each in memory.items()]]
    return values_of(memory)


def _loaded(accumulator: Accumulator, state: Any) -> Aggregate:
    if not accumulator.by:
        return memory_of(accumulator, state)
    made = accumulator.make()
    assert isinstance(made, Groups)
    dropped, rows = state
    made.restore({tuple(row[:-1]): memory_of(accumulator, row[-1]) for row in rows}, dropped)
    return made
