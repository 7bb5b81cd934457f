"""Snapshots that the log holds, since a moment: what a dry run of rules sees."""

from __future__ import annotations

from collections.abc import AsyncIterator

from hxp_enterprise_llm.event.log.model import Bounds, EventLog
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.notifications.rules.snapshots import (
    SNAPSHOT_TYPES,
    BadSnapshot,
    Snapshot,
    read_snapshot,
)


async def recorded(log: EventLog, since: float) -> AsyncIterator[Snapshot]:
    """The snapshots from a moment (wall-clock seconds) to the head of the log. Raises LogError."""
    bounds = await log.bounds()
    after = await _place_of(log, bounds, since)
    while after < bounds.head:
        batch = await log.read(after, types=SNAPSHOT_TYPES, epoch=bounds.epoch)
        for event in batch.events:
            try:
                snapshot = read_snapshot(event.raw, since)
            except BadSnapshot:
                continue  # the engine passes over it as well
            if snapshot.at >= since and event.offset <= bounds.head:
                yield snapshot
        if batch.next == after:
            return
        after = batch.next


async def _place_of(log: EventLog, bounds: Bounds, since: float) -> Offset:
    """A place before which every snapshot is older: found by halves, a log has no index of times."""
    low, high = Offset(bounds.first - 1), bounds.head
    while high - low > 1:
        middle = Offset((low + high) // 2)
        found = await _next_time(log, bounds, middle, high)
        if found is not None and found < since:
            low = middle
        else:
            high = middle
    return low


async def _next_time(log: EventLog, bounds: Bounds, after: Offset, end: Offset) -> float | None:
    """The time of the first snapshot beyond a place and up to another; None when there is none."""
    while after < end:
        batch = await log.read(after, 1, types=SNAPSHOT_TYPES, epoch=bounds.epoch)
        for event in batch.events:
            if event.offset > end:
                return None
            try:
                return read_snapshot(event.raw, 0).at
            except BadSnapshot:
                continue
        if batch.next == after:
            return None
        after = batch.next
    return None
