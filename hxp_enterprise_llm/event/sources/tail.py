"""Whether events are among the newest of the log already, however long ago that was."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from hxp_enterprise_llm.event.log.model import EventLog
from hxp_enterprise_llm.event.model import Offset

Identity = tuple[str, str]
"""Source and id of an event."""

NEWEST = 100_000
"""Events at the end of the log that are looked through."""


class _Named(msgspec.Struct, gc=False):
    source: str
    id: str


_named = msgspec.json.Decoder(_Named).decode


async def found_in(log: EventLog, wanted: Collection[Identity], newest: int = NEWEST) -> set[Identity]:
    """Those of the events that are stored. Raises LogError."""
    bounds = await log.bounds()
    after, found = Offset(max(bounds.first - 1, bounds.head - newest)), set[Identity]()
    while after < bounds.head:
        batch = await log.read(after)
        for event in batch.events:
            read = _named(event.raw)
            found.add((read.source, read.id))
        after = batch.next
        found.intersection_update(wanted)
    return found
