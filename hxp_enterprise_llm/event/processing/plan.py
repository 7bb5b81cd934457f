"""What to do with the events of one type: which attributes to decode, and which accumulators get what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.event.processing.metrics import Accumulator
from hxp_enterprise_llm.event.processing.windows import SlotSeries

Reader = Callable[[Any], Any]
Series = Mapping[Accumulator, SlotSeries[Any]]

_INTEGERS = range(-(2**63), 2**64)
_MOST_TYPES = 4096


class Feed(NamedTuple):
    """An accumulator's slots and the way from a decoded event to its value; `read` is None for counts."""

    series: SlotSeries[Any]
    read: Reader | None
    accepts: Callable[[Any], bool]


class Plan(NamedTuple):
    """How events of some types are taken in. Without feeds they are not even decoded."""

    decode: Callable[[bytes], Any]
    feeds: tuple[Feed, ...]


class Planner:
    """Finds the plan of an event type. Types that touch the same accumulators share one."""

    def __init__(self, series: Series) -> None:
        self._series = series
        self._by_type: dict[str, Plan] = {}
        self._by_touched: dict[tuple[Accumulator, ...], Plan] = {}

    def plan(self, type: str) -> Plan:
        """The plan of a type, worked out once."""
        found = self._by_type.get(type)
        if found is None:
            if len(self._by_type) >= _MOST_TYPES:
                self._by_type.clear()
            found = self._by_type[type] = self._look(type)
        return found

    def _look(self, type: str) -> Plan:
        touched = tuple(a for a in self._series if a.selection.matches(type))
        if touched not in self._by_touched:
            self._by_touched[touched] = _compile(touched, self._series)
        return self._by_touched[touched]


def _compile(touched: tuple[Accumulator, ...], series: Series) -> Plan:
    """A decoder of `time` and of the attributes that these accumulators want, and nothing else."""
    attributes = dict.fromkeys(["time", *(path[0] for a in touched for path in a.fields)])
    names = {attribute: f"a{index}" for index, attribute in enumerate(attributes)} | {"time": "time"}
    view = msgspec.defstruct(
        "View",
        [(name, Any, None) for name in names.values()],
        rename={name: attribute for attribute, name in names.items()},
    )
    return Plan(msgspec.json.Decoder(view).decode, tuple(_feed(a, names, series[a]) for a in touched))


def _feed(accumulator: Accumulator, names: Mapping[str, str], series: SlotSeries[Any]) -> Feed:
    readers = [_reader(names[first], rest) for first, *rest in accumulator.fields]
    if not readers:
        return Feed(series, None, is_number)
    taken = is_scalar if accumulator.family == "distinct" else is_number
    return Feed(series, readers[0] if len(readers) == 1 else _sum(readers), taken)


def _sum(readers: list[Reader]) -> Reader:
    """Adds what is there; None when nothing is, and the first value that is no number as it stands."""

    def read(view: Any) -> Any:
        values = [value for reader in readers if (value := reader(view)) is not None]
        for value in values:
            if not is_number(value):
                return value
        return sum(values) if values else None

    return read


def _reader(name: str, path: list[str]) -> Reader:
    attribute: Reader = attrgetter(name)
    if not path:
        return attribute

    def read(view: Any) -> Any:
        node = attribute(view)
        for key in path:
            if type(node) is not dict:
                return None
            node = node.get(key)
        return node

    return read


def is_number(value: Any) -> bool:
    """Whether a JSON value counts as a number: no booleans, no integers beyond 64 bits."""
    kind = type(value)
    return kind is float or (kind is int and value in _INTEGERS)


def is_scalar(value: Any) -> bool:
    """Whether a JSON value can be told from others at a glance: a text, a number, true or false."""
    return isinstance(value, str | int | float)
