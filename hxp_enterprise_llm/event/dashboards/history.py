"""The last hour in memory: metric values by second, counts of events by slot, the latest events of each type."""

from __future__ import annotations

import math
from array import array
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.event.model import TypePatterns, decode, encode

HORIZON = 3720
"""Seconds that are kept: an hour, and what the closed steps of a grid reach beyond it."""
COUNT_SLOT = 5
"""Seconds of a slot of counts."""
MOST_POINTS = 240
"""Most points of one series."""
MOST_TYPES = 256
"""Event types told apart; beyond it the one that was silent longest is forgotten."""
MOST_METRICS = 1024
EVENTS_PER_TYPE = 50
KEPT_BYTES = 4096
"""A larger event is kept without what a line does not show."""
SCALAR_CHARACTERS = 80
SCALARS = 12

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 900, 1800, 3600, 10_800)


class Grid(NamedTuple):
    """Places of a series in time: `points` steps of `step` seconds, the first begins at `start` (unix seconds)."""

    start: int
    step: int
    points: int


def grid(now: float, window: float, *, least_step: int = 1) -> Grid:
    """Closed steps that cover the window up to now; they stand still between two updates within a step."""
    step = next(step for step in _STEPS if step >= least_step and window / step <= MOST_POINTS)
    points = max(1, math.ceil(window / step))
    # One second of grace: the snapshot of the last second of a step is still on its way when the step ends.
    end = int((now - 1) // step) * step
    return Grid(end - points * step, step, points)


class MetricHistory:
    """Values of the metrics by second; a second without a snapshot has none."""

    def __init__(self) -> None:
        self._stamps = array("q", [-1]) * HORIZON
        self._values: dict[str, array[float]] = {}

    def record(self, at: float, values: Mapping[str, float | None]) -> None:
        """Take the values of one snapshot in."""
        second = int(at)
        slot = second % HORIZON
        self._stamps[slot] = second
        for name in values.keys() - self._values.keys():
            if len(self._values) < MOST_METRICS:
                self._values[name] = array("d", [math.nan]) * HORIZON
        for name, kept in self._values.items():
            value = values.get(name)
            kept[slot] = math.nan if value is None else value

    def series(self, name: str, places: Grid) -> list[float | None]:
        """The last value of each step, None where there is none."""
        kept = self._values.get(name)
        if kept is None:
            return [None] * places.points
        starts = range(places.start, places.start + places.points * places.step, places.step)
        return [self._last(kept, start, start + places.step) for start in starts]

    def _last(self, kept: array[float], start: int, end: int) -> float | None:
        for second in range(end - 1, start - 1, -1):
            value = kept[second % HORIZON]
            if self._stamps[second % HORIZON] == second and not math.isnan(value):
                return float(f"{value:.5g}")
        return None


class EventCounts:
    """How many events of each type came, by slots of COUNT_SLOT seconds."""

    def __init__(self) -> None:
        self._slots = HORIZON // COUNT_SLOT
        self._stamps: OrderedDict[str, array[int]] = OrderedDict()
        self._counts: dict[str, array[int]] = {}

    def record(self, at: float, type: str, events: int = 1) -> None:
        """Count events of a type that came at one moment."""
        number = int(at) // COUNT_SLOT
        if type not in self._counts:
            self._admit(type)
        self._stamps.move_to_end(type)
        stamps, counts, slot = self._stamps[type], self._counts[type], number % self._slots
        if stamps[slot] < number:
            stamps[slot], counts[slot] = number, 0
        if stamps[slot] == number:  # else it is older than the horizon
            counts[slot] += events

    def _admit(self, type: str) -> None:
        if len(self._counts) >= MOST_TYPES:
            silent, _ = self._stamps.popitem(last=False)
            del self._counts[silent]
        self._stamps[type] = array("q", [-1]) * self._slots
        self._counts[type] = array("q", [0]) * self._slots

    def types(self, patterns: TypePatterns) -> list[str]:
        """Types seen that the patterns choose, sorted."""
        return sorted(type for type in self._counts if patterns.matches(type))

    def series(self, types: Iterable[str], places: Grid) -> list[int]:
        """Events of these types in each step; the step is a multiple of COUNT_SLOT."""
        totals = [0] * places.points
        width = places.step // COUNT_SLOT
        for type in types:
            stamps, counts = self._stamps[type], self._counts[type]
            first = places.start // COUNT_SLOT
            for index in range(places.points * width):
                slot = (first + index) % self._slots
                if stamps[slot] == first + index:
                    totals[index // width] += counts[slot]
        return totals

    def total(self, types: Iterable[str], now: float, window: float) -> int:
        """Events of these types within the window, counted in whole slots."""
        count = max(1, round(window / COUNT_SLOT))
        end = (int(now) // COUNT_SLOT + 1) * COUNT_SLOT
        return sum(self.series(types, Grid(end - count * COUNT_SLOT, COUNT_SLOT, count)))


class LatestEvents:
    """The latest events of each type. They are decoded when somebody looks, not when they come."""

    def __init__(self) -> None:
        self._by_type: OrderedDict[str, deque[tuple[int, bytes]]] = OrderedDict()

    def add(self, offset: int, type: str, raw: bytes) -> None:
        """Keep one event; they come in the order of the log."""
        kept = self._by_type.get(type)
        if kept is None:
            kept = self._by_type[type] = deque(maxlen=EVENTS_PER_TYPE)
            if len(self._by_type) > MOST_TYPES:
                self._by_type.popitem(last=False)
        kept.append((offset, raw if len(raw) <= KEPT_BYTES else _reduced(raw)))
        self._by_type.move_to_end(type)

    def latest(self, patterns: TypePatterns, limit: int) -> list[dict[str, Any]]:
        """At most `limit` events that the patterns choose, in the order of the log, as rows of a feed."""
        chosen = [entry for type, kept in self._by_type.items() if patterns.matches(type) for entry in kept]
        chosen.sort()
        return [_row(offset, raw) for offset, raw in chosen[-limit:]]


def _row(offset: int, raw: bytes) -> dict[str, Any]:
    event = decode(raw)
    row = {"offset": offset, "time": event.time, "type": event.type, "source": event.source}
    return row | {"subject": event.subject, "data": scalars(event.data)}


def _reduced(raw: bytes) -> bytes:
    event = decode(raw)
    return encode(msgspec.structs.replace(event, data=scalars(event.data))).raw


def scalars(data: Any) -> dict[str, Any]:
    """The first members of an event's data that fit into a line: no nested values, texts cut."""
    if not isinstance(data, Mapping):
        return {}
    short = {str(key)[:SCALAR_CHARACTERS]: _cut(value) for key, value in data.items() if _is_scalar(value)}
    return dict(list(short.items())[:SCALARS])


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > SCALAR_CHARACTERS:
        return value[: SCALAR_CHARACTERS - 1] + "…"
    return value
