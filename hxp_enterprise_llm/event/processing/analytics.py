"""The core of analytics: takes events in, answers values. It never awaits and reads no clock.

An event belongs to the slot of its own `time`; one without a time, or with one in the future, to the slot in which it
arrived. Events older than the largest window when they arrive count as late and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from hxp_enterprise_llm.config.processing import OWN_TYPES
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import TypePatterns, parse_rfc3339
from hxp_enterprise_llm.event.processing.aggregates import Aggregate, Distinct
from hxp_enterprise_llm.event.processing.metrics import MAKERS, SOURCES, Accumulator, Metric
from hxp_enterprise_llm.event.processing.plan import Plan, Planner
from hxp_enterprise_llm.event.processing.windows import SlotSeries, Timeline

Values = dict[str, float | None]


class Totals(msgspec.Struct):
    """What has come in since the log began, without the events that the system makes itself."""

    events: int = 0
    late: int = 0
    ignored: int = 0
    """Values that are no numbers where numbers are asked for, and events that cannot be read."""


class Arrival(msgspec.Struct, frozen=True):
    """When events arrived: not before slot `first`, and surely by slot `last`. Live, both are the slot of now."""

    first: int
    last: int


class _Timed(msgspec.Struct):
    time: Any = None


_decode_time = msgspec.json.Decoder(_Timed).decode


class Analytics:
    """Accumulators in slots of time, the metrics read from them, and the totals."""

    def __init__(self, metrics: Sequence[Metric], timeline: Timeline) -> None:
        self.timeline = timeline
        self.totals = Totals()
        self.metrics: tuple[Metric, ...] = ()
        self.now = 0
        """The slot of the present."""
        self._since: int | None = None
        self._latest: tuple[Any, int] = object(), 0
        self._series: dict[Accumulator, SlotSeries[Any]] = {}
        self._added: dict[Accumulator, int] = {}
        self._own = TypePatterns(OWN_TYPES)
        self.adopt(metrics)
        self._added.clear()

    def adopt(self, metrics: Sequence[Metric]) -> None:
        """Take another list of metrics. What both lists read keeps its data; what is new begins now."""
        wanted = dict.fromkeys([SOURCES, *(a for metric in metrics for a in metric.accumulators)])
        kept = self._series
        self._series = {a: kept.get(a) or SlotSeries(MAKERS[a.family]) for a in wanted}
        self._added = {a: self._added.get(a, self.now) for a in wanted if a in self._added or a not in kept}
        self.metrics = tuple(metrics)
        self._planner = Planner(self._series)

    def advance(self, seconds: float) -> bool:
        """Move to a moment, in wall-clock seconds.

        A clock that was set back a little stands still here until it has caught up; one that was set back by more
        than the largest window starts all windows afresh, which is answered with True.
        """
        slot = self.timeline.slot(seconds)
        if slot < self.now - self.timeline.horizon:
            self._forget(slot)
            return True
        if slot > self.now:
            self.now = slot
            for series in self._series.values():
                series.drop_before(slot - self.timeline.horizon)
        return False

    def _forget(self, slot: int) -> None:
        self.now, self._since = slot, None
        self._series = {a: SlotSeries(MAKERS[a.family]) for a in self._series}
        self._added.clear()
        self._planner = Planner(self._series)

    def take(self, events: Sequence[Stored], arrival: Arrival | None = None, *, count: bool = True) -> None:
        """Take events in. `arrival` is now, unless they are read again from the log; `count`: into the totals too."""
        arrived = arrival or Arrival(self.now, self.now)
        before = msgspec.structs.replace(self.totals)
        plan_of = self._planner.plan
        if events and count:
            self._watched_since(arrived.first)
        for event in events:
            plan = plan_of(event.type)
            if not self._own.matches(event.type):
                self.totals.events += 1
            if plan.feeds:
                self._take(event, plan, arrived)
        if not count:
            self.totals = before

    def _take(self, event: Stored, plan: Plan, arrived: Arrival) -> None:
        try:
            view = plan.decode(event.raw)
        except msgspec.DecodeError:
            self.totals.ignored += 1
            return
        slot = self._place(view.time, arrived)
        if slot is None:
            self.totals.late += 1
            return
        if slot < self.now - self.timeline.horizon:
            return
        self._watched_since(slot)
        for series, read, accepts in plan.feeds:
            value = None
            if read:
                value = read(view)
                if value is None:
                    continue
                if not accepts(value):
                    self.totals.ignored += 1
                    continue
            series.at(slot).add(value)

    def _place(self, time: Any, arrived: Arrival) -> int | None:
        """The slot of an event; None when it came too late."""
        slot = self._slot_of(time, arrived.first)
        if slot < arrived.first - self.timeline.horizon:
            return None
        return min(slot, arrived.last)

    def _slot_of(self, time: Any, otherwise: int) -> int:
        # Events of a batch often have the same time.
        if time == self._latest[0]:
            return self._latest[1]
        try:
            self._latest = time, self.timeline.slot(parse_rfc3339(time))
            return self._latest[1]
        except (TypeError, ValueError, OverflowError):
            return otherwise

    def own_slot(self, event: Stored, otherwise: int) -> int:
        """The slot of the time that an event carries; `otherwise` when it carries none."""
        try:
            time = _decode_time(event.raw).time
        except msgspec.DecodeError:
            return otherwise
        return self._slot_of(time, otherwise)

    @property
    def since(self) -> float | None:
        """When the first event came that the windows could know of, in wall-clock seconds; None: there was none."""
        return None if self._since is None else self.timeline.start(self._since)

    def resume(self, totals: Totals, since: float | None) -> None:
        """Go on from what an earlier run had counted."""
        self.totals = totals
        self._since = None if since is None else round(since * self.timeline.per_second)

    def _watched_since(self, slot: int) -> None:
        if self._since is None or slot < self._since:
            self._since = slot

    def values(self, seconds: float) -> dict[str, Values]:
        """The value of every metric over every window at a moment in wall-clock seconds: `{label: {name: value}}`."""
        self.advance(seconds)
        moment = max(seconds, self.timeline.start(self.now))
        answer = {}
        for label, slots in self.timeline.slots.items():
            view = _WindowView(self._series, self.now - slots, self.now, partial(self._observed, slots, moment))
            answer[label] = {metric.name: metric.value(view) for metric in self.metrics}
        return answer

    def _observed(self, slots: int, moment: float, accumulator: Accumulator) -> float:
        since = self.now if self._since is None else self._since
        begun = max(self.now - slots, self._added.get(accumulator, since))
        return max(moment - self.timeline.start(begun), 1 / self.timeline.per_second)

    @property
    def sources(self) -> int:
        """Sources that sent events within the largest window."""
        found = self._series[SOURCES].merged(self.now - self.timeline.horizon, self.now)
        return found.n if isinstance(found, Distinct) else 0

    def units(self) -> Mapping[str, str]:
        """Unit of each metric."""
        return {metric.name: metric.unit for metric in self.metrics}


class _WindowView:
    """One window at one moment; each accumulator is merged at most once."""

    def __init__(
        self,
        series: Mapping[Accumulator, SlotSeries[Any]],
        first: int,
        last: int,
        observed_seconds: Callable[[Accumulator], float],
    ) -> None:
        self._series, self._first, self._last = series, first, last
        self._merged: dict[Accumulator, Aggregate | None] = {}
        self.observed_seconds = observed_seconds

    def read(self, accumulator: Accumulator) -> Aggregate | None:
        if accumulator not in self._merged:
            self._merged[accumulator] = self._series[accumulator].merged(self._first, self._last)
        return self._merged[accumulator]
