"""Business figures: `business.metric` events by their dimensions, and any number of other events by declared fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import msgspec

from hxp_enterprise_llm.config.platform import BusinessConfig, PlatformLimitsConfig
from hxp_enterprise_llm.event.model import TypePatterns, parse_rfc3339, rfc3339
from hxp_enterprise_llm.event.processing.columns import is_number
from hxp_enterprise_llm.event.processing.platform.ledger import drop_before
from hxp_enterprise_llm.event.processing.platform.names import Kept, clip
from hxp_enterprise_llm.event.processing.platform.reading import BusinessMetric, Events
from hxp_enterprise_llm.event.processing.views import compile_view

_MICRO = 10**6
_LARGEST = 10**15
_FIGURES = 100
"""Most names of figures."""
_DIMENSIONS = 8
_DAYS_KEPT = 1

Dimensions = tuple[tuple[str, str], ...]


class Cell(msgspec.Struct):
    """Numbers of one figure and one set of dimensions. Sums in millionths, whole, so that order does not matter."""

    dimensions: dict[str, str] = {}
    count: int = 0
    sum_micro: str = "0"
    """An integer of any size, as text: it may be beyond 64 bits."""
    minimum: float = 0.0
    maximum: float = 0.0
    last: float = 0.0
    last_at: float = 0.0
    days: dict[int, int] = {}
    """How many numbers came on each of the last days."""

    @property
    def weight(self) -> int:
        return self.count

    @property
    def total(self) -> int:
        """The sum, in millionths."""
        return int(self.sum_micro)

    def take(self, at: float, value: float) -> None:
        """One more number; of two at the same time the greater is the last."""
        self.minimum = min(self.minimum, value) if self.count else value
        self.maximum = max(self.maximum, value) if self.count else value
        if not self.count or (at, value) >= (self.last_at, self.last):
            self.last_at, self.last = at, value
        self.count += 1
        self.sum_micro = str(self.total + round(value * _MICRO))
        day = int(at) // 86400
        self.days[day] = self.days.get(day, 0) + 1

    def absorb(self, other: Self) -> None:
        """Add another's."""
        if not other.count:
            return
        self.minimum = min(self.minimum, other.minimum) if self.count else other.minimum
        self.maximum = max(self.maximum, other.maximum) if self.count else other.maximum
        if not self.count or (other.last_at, other.last) >= (self.last_at, self.last):
            self.last_at, self.last = other.last_at, other.last
        self.count += other.count
        self.sum_micro = str(self.total + other.total)
        for day, count in other.days.items():
            self.days[day] = self.days.get(day, 0) + count


class Figure(msgspec.Struct):
    """One figure by its dimensions."""

    unit: str = ""
    count: int = 0
    cells: Kept[Cell] = msgspec.field(default_factory=Kept)

    @property
    def weight(self) -> int:
        return self.count

    def take(self, at: float, value: float, dimensions: Dimensions, limit: int) -> None:
        """One more number."""
        self.count += 1
        key = msgspec.json.encode(dimensions).decode()
        cell = self.cells.named.get(key)
        if cell is None:
            cell = self.cells.at(key, Cell, limit)
            cell.dimensions = dict(dimensions)
        cell.take(at, value)

    def absorb(self, other: Self) -> None:
        """Add another's: figures that are no longer told apart have no dimensions either."""
        self.count += other.count


class Business(msgspec.Struct):
    """All figures."""

    figures: Kept[Figure] = msgspec.field(default_factory=Kept)

    def take(self, events: Events[BusinessMetric], limits: PlatformLimitsConfig) -> None:
        """Take `business.metric` events in."""
        for at, each in zip(*events, strict=True):
            chosen = sorted((clip(name), clip(value)) for name, value in each.dimensions.items())
            self.add(clip(each.name), at, each.value, tuple(chosen[:_DIMENSIONS]), each.unit, limits)

    def add(
        self, name: str, at: float, value: float, dimensions: Dimensions, unit: str, limits: PlatformLimitsConfig
    ) -> None:
        """Take one number in."""
        figure = self.figures.at(name, Figure, _FIGURES)
        figure.unit = max(figure.unit, clip(unit))
        figure.take(at, value, dimensions, limits.business)

    def forget(self, newest: float) -> None:
        """Drop days that are too old when the newest event is of this time."""
        for figure in self.figures.everything():
            for cell in figure.cells.everything():
                drop_before(cell.days, int(newest) // 86400 - _DAYS_KEPT)


class Declared:
    """A figure that the configuration declares: which events carry it, and how it is read from them."""

    def __init__(self, config: BusinessConfig) -> None:
        self.name, self.unit = config.name, config.unit
        self.types = TypePatterns(config.types)
        by = [tuple(path.split(".")) for path in config.by]
        field = tuple(config.field.split("."))
        self._decode, readers = compile_view([("time",), field, *by])
        self._time, self._value = readers[("time",)], readers[field]
        self._by = [(path[-1], readers[path]) for path in by]

    def read(self, raws: Sequence[bytes], untimed: float) -> Iterator[tuple[float, float, Dimensions]]:
        """Time, number and dimensions of each event that has a number there."""
        views = list(self._views(raws))
        columns = [(label, read(views)) for label, read in self._by]
        for index, (time, value) in enumerate(zip(self._time(views), self._value(views), strict=True)):
            if is_number(value) and abs(value) <= _LARGEST:
                yield _seconds(time, untimed), value, _dimensions(columns, index)

    def _views(self, raws: Iterable[bytes]) -> Iterator[Any]:
        for raw in raws:
            try:
                yield self._decode(raw)
            except msgspec.DecodeError:
                continue


def _seconds(time: Any, untimed: float) -> float:
    try:
        return parse_rfc3339(time)
    except (TypeError, ValueError, OverflowError):
        return untimed


def _dimensions(columns: Iterable[tuple[str, Sequence[Any]]], index: int) -> Dimensions:
    found = ((label, values[index]) for label, values in columns)
    return tuple(sorted((label, clip(str(value))) for label, value in found if isinstance(value, str | int | float)))


def view(business: Business, limits: PlatformLimitsConfig, now: float) -> dict[str, Any]:
    """What GET /api/v2/business answers."""
    today = int(now) // 86400
    return {
        "figures": [
            {"name": name, "unit": figure.unit, "count": figure.count} | _cells(figure, limits.business, today)
            for name, figure in business.figures.ranked()[:_FIGURES]
        ]
    }


def _cells(figure: Figure, limit: int, today: int) -> dict[str, Any]:
    named, rest = figure.cells.top(limit, Cell)
    return {
        "values": [_cell(cell, today) for _, cell in named],
        "other": _cell(rest, today) if rest.count else None,
    }


def _cell(cell: Cell, today: int) -> dict[str, Any]:
    return {
        "dimensions": cell.dimensions,
        "count": cell.count,
        "today": cell.days.get(today, 0),
        "sum": cell.total / _MICRO,
        "mean": cell.total / _MICRO / cell.count,
        "min": cell.minimum,
        "max": cell.maximum,
        "last": cell.last,
        "last_at": rfc3339(cell.last_at),
    }
