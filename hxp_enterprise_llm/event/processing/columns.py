"""Columns: the values of a field, read from a batch of decoded events at once.

Each column has a quick way for what events nearly always hold and a slow one, value by value, for the rest. Both
answer the same: the values that count, in the order of the log, and how many were refused. What an event lacks is
neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import add
from typing import Any

from hxp_enterprise_llm.event.processing.sketch import Sized

Views = Sequence[Any]
"""Events as their plan decodes them, or what one of their members is."""
Pick = Callable[[Sequence[Any]], Sequence[Any]]
"""Picks the values of some of the events out of a column of all."""


class Reader:
    """Reads one path: a value of each event, None where there is none."""

    def __init__(self, parent: Reader | None, name: str, rest: Sequence[str] = ()) -> None:
        """`parent` reads the objects of which this is the member `name`; `rest` is the way down from there, by keys."""
        self.parent = parent
        self._name, self._rest = name, rest
        # A comprehension of its own, as Python learns where a type has a member by where it is asked: half the time.
        self._quick: Callable[[Views], list[Any]] = (
            eval(f"lambda views: [view.{name} for view in views]") if name else list
        )

    def __call__(self, views: Views) -> list[Any]:
        """The values of events."""
        return Reading(views).read(self)

    def of(self, nodes: Views) -> list[Any]:
        """The values, of the objects that they are members of."""
        try:
            values = self._quick(nodes)
        except AttributeError:
            # Some event has a text, a list or null where others have an object.
            values = [getattr(node, self._name, None) for node in nodes]
        return [_descended(value, self._rest) for value in values] if self._rest else values


def _descended(node: Any, keys: Iterable[str]) -> Any:
    for key in keys:
        if type(node) is not dict:
            return None
        node = node.get(key)
    return node


def everything(column: Sequence[Any]) -> Sequence[Any]:
    """Picks all."""
    return column


class Reading:
    """A batch whose paths and columns are read once, for whoever asks for them."""

    def __init__(self, views: Views) -> None:
        self.views = views
        self._values: dict[Reader, list[Any]] = {}
        self._columns: dict[Column, tuple[Sequence[Any], int]] = {}

    def read(self, reader: Reader) -> list[Any]:
        """The values of a path."""
        found = self._values.get(reader)
        if found is None:
            nodes = self.views if reader.parent is None else self.read(reader.parent)
            found = self._values[reader] = reader.of(nodes)
        return found

    def of(self, column: Column, pick: Pick = everything) -> tuple[Sequence[Any], int]:
        """The column of some of the events, all unless said otherwise."""
        if column not in self._columns:
            self._columns[column] = column(self)
        values, refused = self._columns[column]
        if pick is everything:
            return values, refused
        # As many as there are events: each has one, in its place.
        if isinstance(values, list) and len(values) == len(self.views):
            return values.picked(pick) if isinstance(values, Sized) else pick(values), 0
        return column(Reading(pick(self.views)))


Column = Callable[[Reading], tuple[Sequence[Any], int]]
"""Reads one field: the values that count, and the number of those that were refused.

A list is in the order of the events, one of another kind is not."""


_INTEGERS = range(-(2**63), 2**64)
_SMALL = range(-(2**48), 2**48)
_NONE, _TEXTS, _NUMBERS = {type(None)}, {str}, {int, float}


def events(reading: Reading) -> tuple[Views, int]:
    """The column of counts: the events themselves."""
    return reading.views, 0


def numbers(readers: Sequence[Reader]) -> Column:
    """Numbers, those of several paths added; what is no number is refused."""
    if len(readers) == 1:
        return lambda reading: _accepted(reading.read(readers[0]), _all_numbers, is_number)
    return lambda reading: _accepted_sums(list(map(reading.read, readers)))


def sizes(readers: Sequence[Reader]) -> Column:
    """Numbers as `numbers` reads them, with their buckets: several sketches count the same ones."""
    read = numbers(readers)

    def column(reading: Reading) -> tuple[Sequence[Any], int]:
        values, refused = read(reading)
        return (Sized.of(values) if values else values), refused

    return column


def scalars(readers: Sequence[Reader]) -> Column:
    """Texts, numbers, true and false, to be told from each other; of several paths their sum, as with `numbers`.

    Of texts each stands once for all that are equal: what counts is which there are.
    """
    if len(readers) == 1:
        return lambda reading: _accepted_texts(reading.read(readers[0]))
    return lambda reading: _accepted(_added(list(map(reading.read, readers))), _all_numbers, is_scalar)


def _accepted(
    values: list[Any], at_a_glance: Callable[[list[Any]], bool], accepts: Callable[[Any], bool]
) -> tuple[list[Any], int]:
    if at_a_glance(values):
        return values, 0
    present = [value for value in values if value is not None]
    taken = [value for value in present if accepts(value)]
    return taken, len(present) - len(taken)


def _accepted_texts(values: list[Any]) -> tuple[Sequence[Any], int]:
    try:
        different = set(values)
    except TypeError:
        # A list or an object among them.
        different = set()
    # What equals a text is one, so that the types of the different values are the types of all.
    if set(map(type, different)) == _TEXTS:
        return tuple(different), 0
    return _accepted(values, _never, is_scalar)


def _never(_: list[Any]) -> bool:
    return False


def _accepted_sums(paths: list[list[Any]]) -> tuple[list[Any], int]:
    if all(map(_all_small, paths)):
        return _sums(paths), 0
    return _accepted(_added(paths), _all_numbers, is_number)


def _sums(paths: list[list[Any]]) -> list[Any]:
    total, *others = paths
    for values in others:
        total = list(map(add, total, values))
    return total


def _added(paths: list[list[Any]]) -> list[Any]:
    """For each event the sum of what is there: None when nothing is, and the first value that is no number as it is."""
    if not all(map(_all_numbers, paths)):
        # Often a path is in none of the events.
        filled = [values for values in paths if set(map(type, values)) != _NONE]
        if not all(map(_all_numbers, filled)):
            return [_sum(row) for row in zip(*filled, strict=True)]
        paths = filled or paths[:1]
    return _sums(paths)


def _sum(row: tuple[Any, ...]) -> Any:
    total = None
    for value in row:
        if value is None:
            continue
        if not is_number(value):
            return value
        total = value if total is None else total + value
    return total


def _all_numbers(values: list[Any]) -> bool:
    kinds = set(map(type, values))
    if int not in kinds:
        return kinds == {float}
    return kinds <= _NUMBERS and min(values) >= _INTEGERS.start and max(values) < _INTEGERS.stop


def _all_small(values: list[Any]) -> bool:
    """Whether they are numbers of which even many added are numbers that count."""
    kinds = set(map(type, values))
    if int not in kinds:
        return kinds == {float}
    return kinds <= _NUMBERS and min(values) >= _SMALL.start and max(values) < _SMALL.stop


def is_number(value: Any) -> bool:
    """Whether a JSON value counts as a number: no booleans, no integers beyond 64 bits."""
    kind = type(value)
    return kind is float or (kind is int and value in _INTEGERS)


def is_scalar(value: Any) -> bool:
    """Whether a JSON value can be told from others at a glance: a text, a number, true or false."""
    return isinstance(value, str | int | float)
