"""The core of analytics: takes events in, answers values. It never awaits and reads no clock.

Small batches wait until there are many events, the clock moves on or somebody asks; see `Backlog`.

An event belongs to the slot of its own `time`; one without a time, or with one in the future, to the slot in which it
arrived. Events older than the largest window when they arrive count as late and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import partial
from itertools import compress
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.processing.aggregates import Aggregate, Distinct
from hxp_enterprise_llm.event.processing.backlog import Backlog
from hxp_enterprise_llm.event.processing.groups import Groups
from hxp_enterprise_llm.event.processing.metrics import SOURCES, Accumulator, Metric, OneOf
from hxp_enterprise_llm.event.processing.plan import Plan, Planner
from hxp_enterprise_llm.event.processing.stored import Kept, Totals, dump, key_of, load
from hxp_enterprise_llm.event.processing.windows import SlotSeries, Timeline, Times

Values = dict[str, float | None]


class LabelledValue(msgspec.Struct, frozen=True):
    """The value of a metric for one label set."""

    labels: dict[str, str]
    value: float


class ByLabelSet(NamedTuple):
    """A metric by label set, and how many events of its window found no room among them."""

    values: list[LabelledValue]
    ungrouped: int


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
        self._totals = Totals()
        self._backlog, self._way = Backlog(), (Arrival(0, 0), True)
        self.metrics: tuple[Metric, ...] = ()
        self.now = 0
        """The slot of the present."""
        self._since: int | None = None
        self._times = Times(timeline)
        self._series: dict[Accumulator, SlotSeries[Any]] = {}
        self._added: dict[Accumulator, int] = {}
        self.adopt(metrics)
        self._added.clear()

    def adopt(self, metrics: Sequence[Metric]) -> None:
        """Take another list of metrics. What both lists read keeps its data; what is new begins now."""
        self._digest()
        wanted = dict.fromkeys([SOURCES, *(a for metric in metrics for a in metric.accumulators)])
        kept = self._series
        self._series = {a: kept.get(a) or SlotSeries(a.make) for a in wanted}
        self._added = {a: self._added.get(a, self.now) for a in wanted if a in self._added or a not in kept}
        self.metrics = tuple(metrics)
        self._planner = Planner(self._series)

    def advance(self, seconds: float) -> bool:
        """Move to a moment, in wall-clock seconds.

        A clock that was set back a little stands still here until it has caught up; one that was set back by more
        than the largest window starts all windows afresh, which is answered with True.
        """
        slot = self.timeline.slot(seconds)
        if slot != self.now:
            self._digest()
        if slot < self.now - self.timeline.horizon:
            self._forget(slot)
            return True
        if slot > self.now:
            self.now = slot
            for series in self._series.values():
                series.drop_before(slot - self.timeline.horizon)
        return False

    def shift(self, seconds: float) -> float:
        """The wall clock was set by so much: all that was taken in goes along. Answers by how much it went."""
        self._digest()
        slots = self.timeline.slot(seconds)
        self.now += slots
        self._since = None if self._since is None else self._since + slots
        self._added = {accumulator: slot + slots for accumulator, slot in self._added.items()}
        for series in self._series.values():
            series.shift(slots)
        return self.timeline.start(slots)

    def _forget(self, slot: int) -> None:
        self.now, self._since = slot, None
        self._series = {a: SlotSeries(a.make) for a in self._series}
        self._added.clear()
        self._planner = Planner(self._series)

    def take(self, events: Sequence[Stored], arrival: Arrival | None = None, *, count: bool = True) -> None:
        """Take events in. `arrival` is now, unless they are read again from the log; `count`: into the totals too.

        However the log is cut into batches, what comes of them is the same.
        """
        if not events:
            return
        way = arrival or Arrival(self.now, self.now), count
        if way != self._way:
            self._digest()
            self._way = way
        if self._backlog.add(StoredColumns.of(events)):
            self._digest()

    def _digest(self) -> None:
        """Take in what waits."""
        events = self._backlog.drain()
        if events is None:
            return
        arrived, count = self._way
        kinds = self._planner.kinds_of(events.types)
        present = set(kinds)
        late, ignored = self._take(events.raws, kinds, present, arrived)
        if count:
            self._watched_since(arrived.first)
            totals = self._totals
            totals.events += len(events) - sum(kinds.count(k) for k in present if self._planner.kinds[k].own)
            totals.late += late
            totals.ignored += ignored

    def _take(
        self, raws: Sequence[bytes], kinds: Sequence[int], present: set[int], arrived: Arrival
    ) -> tuple[int, int]:
        """Hand every accumulator its values; answers how many events came too late, and what was ignored."""
        touching = frozenset(kind for kind in present if self._planner.kinds[kind].touched)
        if not touching:
            return 0, 0
        if len(touching) < len(present):
            wanted = [kind in touching for kind in kinds]
            raws, kinds = list(compress(raws, wanted)), list(compress(kinds, wanted))
        plan = self._planner.plan(touching)
        views, kinds = plan.read(raws, kinds)
        late, ignored = 0, len(raws) - len(views)
        for slot, those, of_kinds in self._by_slot(views, kinds, plan, arrived):
            if slot is None:
                late += len(those)
            elif slot >= self.now - self.timeline.horizon:
                self._watched_since(slot)
                ignored += plan.feed(slot, those, of_kinds)
        return late, ignored

    def _by_slot(
        self, views: Sequence[Any], kinds: Sequence[int], plan: Plan, arrived: Arrival
    ) -> Iterable[tuple[int | None, Sequence[Any], Sequence[int]]]:
        """The events of each slot with their kinds, in their order; those that came too late have none."""
        times = plan.times(views)
        placed = {slot: self._place(slot, arrived) for slot in self._times.different(times)}
        if len(set(placed.values())) <= 1:
            return [(slot, views, kinds) for slot in set(placed.values())]
        slots = self._times.slots(times)
        groups: dict[int | None, tuple[list[Any], list[int]]] = {slot: ([], []) for slot in placed.values()}
        for slot, view, kind in zip(slots, views, kinds, strict=True):
            those, of_kinds = groups[placed[slot]]
            those.append(view)
            of_kinds.append(kind)
        return [(slot, *group) for slot, group in groups.items()]

    def _place(self, slot: int | None, arrived: Arrival) -> int | None:
        """Where an event of a slot belongs; None when it came too late."""
        if slot is None:
            return arrived.first
        if slot < arrived.first - self.timeline.horizon:
            return None
        return min(slot, arrived.last)

    def own_slot(self, event: Stored, otherwise: int) -> int:
        """The slot of the time that an event carries; `otherwise` when it carries none."""
        try:
            time = _decode_time(event.raw).time
        except msgspec.DecodeError:
            return otherwise
        slot = self._times.slots([time])[0]
        return otherwise if slot is None else slot

    @property
    def totals(self) -> Totals:
        """What has come in since the log began."""
        self._digest()
        return self._totals

    @property
    def since(self) -> float | None:
        """When the first event came that the windows could know of, in wall-clock seconds; None: there was none."""
        self._digest()
        return None if self._since is None else self.timeline.start(self._since)

    def resume(self, totals: Totals, since: float | None) -> None:
        """Go on from what an earlier run had counted."""
        self._digest()
        self._totals = totals
        self._since = None if since is None else round(since * self.timeline.per_second)

    def kept(self) -> Kept:
        """All that is held, to be stored; the totals are those of this moment."""
        self._digest()
        return Kept(
            self.timeline.per_second,
            self.timeline.horizon,
            self.now,
            self._since,
            copy(self._totals),
            any(slot > self.now - self.timeline.horizon for slot in self._added.values()),
            {key_of(accumulator): series.dump(dump) for accumulator, series in self._series.items()},
        )

    def restore(self, kept: Kept) -> None:
        """Hold what was stored. Raises ValueError when that is not what the metrics need; nothing has changed then."""
        if (kept.per_second, kept.horizon) != (self.timeline.per_second, self.timeline.horizon):
            raise ValueError("the windows are others")
        if kept.partial:
            raise ValueError("a metric had begun lately")
        if not {key_of(accumulator) for accumulator in self._series} <= kept.series.keys():
            raise ValueError("the metrics are others")
        found = {a: {slot: load(a, raw) for slot, raw in kept.series[key_of(a)].items()} for a in self._series}
        for accumulator, slots in found.items():
            self._series[accumulator].load(slots)
        self.now, self._since, self._totals = kept.now, kept.since, kept.totals

    def _watched_since(self, slot: int) -> None:
        if self._since is None or slot < self._since:
            self._since = slot

    def values(self, seconds: float) -> dict[str, Values]:
        """The value of every metric over every window at a moment in wall-clock seconds: `{label: {name: value}}`."""
        self._digest()
        self.advance(seconds)
        moment = max(seconds, self.timeline.start(self.now))
        answer = {}
        for label in self.timeline.slots:
            view = self._window(label, moment)
            answer[label] = {metric.name: metric.value(view) for metric in self.metrics}
        return answer

    def groups(self, seconds: float) -> dict[str, ByLabelSet]:
        """The metrics that are broken down, each over its own window: at a moment after `values` was asked for it."""
        broken_down = [metric for metric in self.metrics if metric.breakdowns]
        moment = max(seconds, self.timeline.start(self.now))
        windows = {metric.window: self._window(metric.window, moment) for metric in broken_down}
        return {metric.name: _by_label_set(metric, windows[metric.window]) for metric in broken_down}

    def _window(self, label: str, moment: float) -> _WindowView:
        slots = self.timeline.slots[label]
        return _WindowView(self._series, self.now - slots, self.now, partial(self._observed, slots, moment))

    def _observed(self, slots: int, moment: float, accumulator: Accumulator) -> float:
        since = self.now if self._since is None else self._since
        begun = max(self.now - slots, self._added.get(accumulator, since))
        return max(moment - self.timeline.start(begun), 1 / self.timeline.per_second)

    @property
    def sources(self) -> int:
        """Sources that sent events within the largest window."""
        self._digest()
        found = self._series[SOURCES].merged(self.now - self.timeline.horizon, self.now)
        return found.n if isinstance(found, Distinct) else 0

    def units(self) -> Mapping[str, str]:
        """Unit of each metric."""
        return {metric.name: metric.unit for metric in self.metrics}


def _by_label_set(metric: Metric, window: _WindowView) -> ByLabelSet:
    found: list[LabelledValue] = []
    ungrouped = 0
    for breakdown in metric.breakdowns:
        merged = window.read(breakdown.source)
        if not isinstance(merged, Groups):
            continue
        ungrouped += merged.ungrouped()
        for key in merged.shown():
            value = metric.value(OneOf(window, metric, breakdown, key))
            if value is not None:
                found.append(LabelledValue(dict(zip(breakdown.labels, key, strict=True)), value))
    return ByLabelSet(found, ungrouped)


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
