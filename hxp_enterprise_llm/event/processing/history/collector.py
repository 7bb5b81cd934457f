"""Takes events in by the second, until they are written. It never awaits and reads no clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Any

from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.processing.aggregates import Aggregate
from hxp_enterprise_llm.event.processing.history.memories import empty
from hxp_enterprise_llm.event.processing.metrics import Accumulator
from hxp_enterprise_llm.event.processing.plan import Planner
from hxp_enterprise_llm.event.processing.windows import Timeline, Times

Gathered = dict[Accumulator, dict[int, Aggregate]]
"""Memories by second."""


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
        self.adopt(accumulators)

    def adopt(self, accumulators: Iterable[Accumulator]) -> None:
        """Take another list, after `drain`."""
        self._series: dict[Accumulator, Any] = {each: _Slots(each) for each in dict.fromkeys(accumulators)}
        self._planner = Planner(self._series)
        self.taken = 0
        """Events that are not drained yet."""

    def take(self, events: Sequence[Stored], now: float) -> None:
        """Take events in. One without a time, or with one in the future, belongs to `now` (wall-clock seconds)."""
        self.taken += len(events)
        kinds = self._planner.kinds_of([event.type for event in events])
        touching = frozenset(kind for kind in set(kinds) if self._planner.kinds[kind].touched)
        wanted = [kind in touching for kind in kinds]
        if not touching:
            return
        plan = self._planner.plan(touching)
        raws = [event.raw for event in compress(events, wanted)]
        views, of_views = plan.read(raws, list(compress(kinds, wanted)))
        slots = self._times.slots(plan.times(views))
        second = int(now)
        places: dict[int, tuple[list[Any], list[int]]] = defaultdict(lambda: ([], []))
        for slot, view, kind in zip(slots, views, of_views, strict=True):
            those, of_kinds = places[second if slot is None else min(slot, second)]
            those.append(view)
            of_kinds.append(kind)
        for place, (those, of_kinds) in places.items():
            plan.feed(place, those, of_kinds)

    def drain(self) -> Gathered:
        """What was taken in; from now on it is somebody else's."""
        found = {accumulator: each.slots for accumulator, each in self._series.items() if each.slots}
        for each in self._series.values():
            each.slots = {}
        self.taken = 0
        return found
