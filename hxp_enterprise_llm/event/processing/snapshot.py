"""The snapshot of all metrics: the data of an `analytics.snapshot` event, and what GET /analytics answers."""

from __future__ import annotations

import msgspec

from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import Encoded, Event, TypePatterns, encode, parse_rfc3339
from hxp_enterprise_llm.event.processing.analytics import LabelledValue

SNAPSHOT_TYPE = "analytics.snapshot"
SNAPSHOTS = TypePatterns([SNAPSHOT_TYPE])
SOURCE = "/processing"


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All metrics at one moment. A metric without a value is null, never 0."""

    at: str
    """RFC 3339, UTC; snapshots in the log stand at whole ticks."""
    tick_s: float
    seq: int
    position: int
    """Offset up to which the log is taken in."""
    metrics: dict[str, float | None]
    """Each over the window that it was declared with."""
    windows: dict[str, dict[str, float | None]]
    """Each over every window."""
    groups: dict[str, list[LabelledValue]]
    """The metrics that are broken down by label set, each over its own window; without those that have no value."""
    units: dict[str, str]
    sources: int
    """Sources within the largest window."""
    events_total: int
    """Events since the log began, without those that the system makes itself."""
    late: int
    """Events that were older than the largest window when they arrived."""
    ignored: int
    """Values that are no numbers where numbers are asked for."""
    since: str | None
    """When counting began: rates divide by no more than the time since then. None: no event has come yet."""


def snapshot_event(snapshot: Snapshot, epoch: str, *, again: bool = False) -> Encoded:
    """The snapshot as an event. Its id follows from its time, so that a repeat is recognised.

    `again`: the clock was set back and has shown this time before; the id then carries the sequence number as well.
    """
    moment = f"{parse_rfc3339(snapshot.at):.3f}".removesuffix(".000")
    id = f"snapshot/{epoch}/{moment}" + (f"/{snapshot.seq}" if again else "")
    return encode(Event(id=id, source=SOURCE, type=SNAPSHOT_TYPE, time=snapshot.at, data=snapshot))


class Mark(msgspec.Struct, frozen=True):
    """What a snapshot in the log tells a rebuild: by `at` (wall-clock seconds) all up to `position` had arrived."""

    offset: int
    at: float
    position: int
    seq: int
    events_total: int
    late: int
    ignored: int
    since: float | None


class _MarkData(msgspec.Struct):
    at: str
    position: int
    seq: int
    events_total: int
    late: int
    ignored: int = 0
    since: str | None = None


class _MarkEvent(msgspec.Struct):
    source: str
    id: str
    data: _MarkData


_decode = msgspec.json.Decoder(_MarkEvent).decode


def read_mark(event: Stored, epoch: str) -> Mark | None:
    """The mark in an event of the log; None when it is no snapshot of ours in this epoch."""
    if event.type != SNAPSHOT_TYPE:
        return None
    try:
        found = _decode(event.raw)
        at = parse_rfc3339(found.data.at)
        since = parse_rfc3339(found.data.since) if found.data.since else None
    except (msgspec.DecodeError, ValueError):
        return None
    if found.source != SOURCE or not found.id.startswith(f"snapshot/{epoch}/"):
        return None
    data = found.data
    if not 0 <= data.position < event.offset:
        return None
    return Mark(event.offset, at, data.position, data.seq, data.events_total, data.late, data.ignored, since)
