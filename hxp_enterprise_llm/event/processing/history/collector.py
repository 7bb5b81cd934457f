"""Takes events in by the second, until they are written. It never awaits and reads no clock.

Small batches wait until there are many events, the clock moves on or they are written; see `Backlog`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Any

from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.processing.aggregates import Aggregate
from hxp_enterprise_llm.event.processing.backlog import Backlog
from hxp_enterprise_llm.event.processing.history.memories import empty
from hxp_enterprise_llm.event.processing.metrics import Accumulator
from hxp_enterprise_llm.event.processing.plan import Planner
from hxp_enterprise_llm.event.processing.windows import Timeline, Times

Gathered = dict[Accumulator, dict[int, Aggregate]]
"""Memories by second."""

_MOST_EVENTS = 65_536
"""Writing costs the same however many events a second has: the more of them at once, the less each."""
_MOST_SECONDS = 2048
"""What is read again from a log of long ago has few events a second, and a memory of each accumulator for each."""


class _Slots:
    """The memories of one accumulator: what a plan feeds."""

    def __init__(self, accumulator: Accumulator) -> None:
        self._accumulator = accumulator
        self.slots: dict[int, Aggregate] = {}

    def at(self, second: int) -> Aggregate:
        found = self.slots.get(second)
        if found is None:
            found = self.slots[second] = empty(self._accumulator, second)
        return found


class Collector:
    """Events since the last `drain`, in memories by second. An event belongs to the second of its own time."""

    def __init__(self, accumulators: Iterable[Accumulator]) -> None:
        self._times = Times(Timeline({"": 60.0}))
        self._backlog, self._now = Backlog(), 0
        self.adopt(accumulators)

    def adopt(self, accumulators: Iterable[Accumulator]) -> None:
        """Take another list, after `drain`."""
        self._series: dict[Accumulator, Any] = {each: _Slots(each) for each in dict.fromkeys(accumulators)}
        self._planner = Planner(self._series)
        self._begin()

    def _begin(self) -> None:
        self.taken = 0
        """Events that are not drained yet."""
        self._seconds: set[int] = set()

    def take(self, events: Sequence[Stored], now: float) -> None:
        """Take events in. One without a time, or with one in the future, belongs to `now` (wall-clock seconds)."""
        if not events:
            return
        if int(now) != self._now:
            self._digest()
            self._now = int(now)
        self.taken += len(events)
        if self._backlog.add(StoredColumns.of(events)):
            self._digest()

    def _digest(self) -> None:
        """Take in what waits."""
        events = self._backlog.drain()
        if events is None:
            return
        raws, kinds = events.raws, self._planner.kinds_of(events.types)
        present = set(kinds)
        touching = frozenset(kind for kind in present if self._planner.kinds[kind].touched)
        if not touching:
            return
        if len(touching) < len(present):
            wanted = [kind in touching for kind in kinds]
            raws, kinds = list(compress(raws, wanted)), list(compress(kinds, wanted))
        plan = self._planner.plan(touching)
        views, of_views = plan.read(raws, kinds)
        for second, those, of_those in self._by_second(views, of_views, plan.times(views), self._now):
            self._seconds.add(second)
            plan.feed(second, those, of_those)

    def _by_second(
        self, views: Sequence[Any], kinds: Sequence[int], times: Sequence[Any], now: int
    ) -> Iterable[tuple[int, Sequence[Any], Sequence[int]]]:
        """The events of each second with their kinds, in their order."""
        seconds = {slot: now if slot is None else min(slot, now) for slot in self._times.different(times)}
        if len(set(seconds.values())) == 1:
            # Live, most batches are.
            return [(second, views, kinds) for second in set(seconds.values())]
        parts: dict[int, tuple[list[Any], list[int]]] = {second: ([], []) for second in seconds.values()}
        for slot, view, kind in zip(self._times.slots(times), views, kinds, strict=True):
            those, of_those = parts[seconds[slot]]
            those.append(view)
            of_those.append(kind)
        return [(second, *part) for second, part in parts.items()]

    @property
    def full(self) -> bool:
        """Whether it is time to write: what is held grows with the seconds, what is lost by a kill with the events."""
        return self.taken >= _MOST_EVENTS or len(self._seconds) >= _MOST_SECONDS

    def drain(self) -> Gathered:
        """What was taken in; from now on it is somebody else's."""
        self._digest()
        found = {accumulator: each.slots for accumulator, each in self._series.items() if each.slots}
        for each in self._series.values():
            each.slots = {}
        self._begin()
        return found
