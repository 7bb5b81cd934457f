"""Windows out of the log: where to begin, and when each event had arrived.

The snapshots in the log are its clock: all offsets up to a snapshot's `position` had arrived by its `at`. Going back
from the head in growing steps, the survey collects them until one is older than the largest window; what lies before
that one cannot be in any window. The way back is bounded, for a log in which analytics never ran.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from hxp_enterprise_llm.event.log.model import Bounds, EventLog, Stored
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.processing.analytics import Analytics, Arrival
from hxp_enterprise_llm.event.processing.snapshot import SNAPSHOTS, Mark, read_mark
from hxp_enterprise_llm.event.processing.stored import Totals

FIRST_STEP = 4096
STEP_GROWTH = 4
_OFFSET = attrgetter("offset")


class Survey(NamedTuple):
    """Where a rebuild begins, and the snapshots from there to the head."""

    start: Offset
    marks: tuple[Mark, ...]
    truncated: bool
    """The largest window may reach back beyond `start`."""

    @property
    def newest(self) -> Mark | None:
        """The last snapshot; totals go on from it."""
        return self.marks[-1] if self.marks else None


async def survey(log: EventLog, bounds: Bounds, oldest: float, limit: int) -> Survey:
    """Find the start for windows that reach back to `oldest` (wall-clock seconds), at most `limit` offsets back."""
    marks: list[Mark] = []
    cursor = bounds.head
    for cursor, end in _steps(bounds, limit):
        marks = [*await _marks_between(log, bounds.epoch, cursor, end), *marks]
        old_enough = [mark for mark in marks if mark.at <= oldest]
        if old_enough:
            start = old_enough[-1]
            after = max(bounds.first - 1, start.position)
            return Survey(Offset(after), tuple(marks[marks.index(start) :]), False)
    return Survey(cursor, tuple(marks), cursor > bounds.first - 1)


async def tail(log: EventLog, bounds: Bounds, saved: Mark) -> Survey:
    """What came after a saved state, which is a mark itself: by its time all up to its position had arrived."""
    after = await _marks_between(log, bounds.epoch, Offset(saved.position), bounds.head)
    later = [mark for mark in after if mark.position >= saved.position and mark.at >= saved.at]
    return Survey(Offset(saved.position), (saved, *later), False)


def _steps(bounds: Bounds, limit: int) -> Iterator[tuple[Offset, Offset]]:
    """Stretches `(after, up to]` from the head backwards, each longer than the one before."""
    floor = max(bounds.first - 1, bounds.head - limit)
    end, step = bounds.head, FIRST_STEP
    while end > floor:
        cursor = Offset(max(floor, end - step))
        yield cursor, end
        end, step = cursor, step * STEP_GROWTH


async def _marks_between(log: EventLog, epoch: str, after: Offset, end: Offset) -> list[Mark]:
    marks: list[Mark] = []
    while after < end:
        batch = await log.read(after, types=SNAPSHOTS, epoch=epoch)
        found = (read_mark(event, epoch) for event in batch.events if event.offset <= end)
        marks += [mark for mark in found if mark]
        if batch.next == after:
            break
        after = batch.next
    return marks


async def replay(log: EventLog, bounds: Bounds, found: Survey, analytics: Analytics) -> Offset:
    """Feed the log from the survey's start up to the head of `bounds`; answers the cursor to follow from."""
    if newest := found.newest:
        analytics.resume(Totals(newest.events_total, newest.late, newest.ignored), newest.since)
    feeder = Feeder(analytics, found.marks)
    after = found.start
    while after < bounds.head:
        batch = await log.read(after, epoch=bounds.epoch)
        feeder.feed(batch.events)
        if batch.next == after:
            break
        after = batch.next
        # A read that is answered from memory does not pause.
        await asyncio.sleep(0)
    return after


class Feeder:
    """Hands events to the core in stretches that arrived between the same two snapshots.

    The totals of the newest snapshot hold all up to its position, so only what came after it is counted.
    """

    def __init__(self, analytics: Analytics, marks: Sequence[Mark]) -> None:
        self._analytics, self._marks = analytics, marks
        self._passed = 0
        self._begun: int | None = None

    def feed(self, events: Sequence[Stored]) -> None:
        """Take a batch in; batches come in the order of the log."""
        while events:
            end = len(events)
            if self._passed < len(self._marks):
                end = bisect_right(events, self._marks[self._passed].position, key=_OFFSET)
            self._give(events[:end])
            events = events[end:]
            if events:
                self._passed += 1

    def _give(self, events: Sequence[Stored]) -> None:
        if events:
            self._analytics.take(events, self._arrival(events[0]), count=self._passed == len(self._marks))

    def _arrival(self, event: Stored) -> Arrival:
        """Between the snapshots around it; before the first snapshot, not before the first event says it was."""
        slot = self._analytics.timeline.slot
        newest = self._passed == len(self._marks)
        last = self._analytics.now if newest else slot(self._marks[self._passed].at)
        if self._passed:
            return Arrival(min(slot(self._marks[self._passed - 1].at), last), last)
        if self._begun is None:
            self._begun = min(self._analytics.own_slot(event, last), last)
        return Arrival(self._begun, last)
