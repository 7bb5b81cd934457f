"""Columns: the values of a field, read from a batch of decoded events at once.

Each column has a quick way for what events nearly always hold and a slow one, value by value, for the rest. Both
answer the same: the values that count, in the order of the log, and how many were refused. What an event lacks is
neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import add
from typing import Any

from hxp_enterprise_llm.event.processing.sketch import Sized

Views = Sequence[Any]
"""Events as their plan decodes them."""
Reader = Callable[[Views], list[Any]]
"""Reads one path: a value of each event, None where there is none."""
Column = Callable[[Views], tuple[Sequence[Any], int]]
"""Reads one field: the values that count, and the number of those that were refused.

A list is in the order of the events, one of another kind is not."""

Pick = Callable[[Sequence[Any]], Sequence[Any]]
"""Picks the values of some of the events out of a column of all."""


def everything(column: Sequence[Any]) -> Sequence[Any]:
    """Picks all."""
    return column


class Reading:
    """A batch whose columns are read once, for whoever asks for them."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._read: dict[Column, tuple[Sequence[Any], int]] = {}

    def of(self, column: Column, pick: Pick = everything) -> tuple[Sequence[Any], int]:
        """The column of some of the events, all unless said otherwise."""
        if column not in self._read:
            self._read[column] = column(self._views)
        values, refused = self._read[column]
        if pick is everything:
            return values, refused
        # As many as there are events: each has one, in its place.
        if isinstance(values, list) and len(values) == len(self._views):
            return values.picked(pick) if isinstance(values, Sized) else pick(values), 0
        return column(pick(self._views))


_INTEGERS = range(-(2**63), 2**64)
_SMALL = range(-(2**48), 2**48)
_NONE, _TEXTS, _NUMBERS = {type(None)}, {str}, {int, float}


def events(views: Views) -> tuple[Views, int]:
    """The column of counts: the events themselves."""
    return views, 0


def numbers(readers: Sequence[Reader]) -> Column:
    """Numbers, those of several paths added; what is no number is refused."""
    if len(readers) == 1:
        return lambda views: _accepted(readers[0](views), _all_numbers, is_number)
    return lambda views: _accepted_sums([read(views) for read in readers])


def sizes(readers: Sequence[Reader]) -> Column:
    """Numbers as `numbers` reads them, with their buckets: several sketches count the same ones."""
    read = numbers(readers)

    def column(views: Views) -> tuple[Sequence[Any], int]:
        values, refused = read(views)
        return (Sized.of(values) if values else values), refused

    return column


def scalars(readers: Sequence[Reader]) -> Column:
    """Texts, numbers, true and false, to be told from each other; of several paths their sum, as with `numbers`.

    Of texts each stands once for all that are equal: what counts is which there are.
    """
    if len(readers) == 1:
        return lambda views: _accepted_texts(readers[0](views))
    return lambda views: _accepted(_added([read(views) for read in readers]), _all_numbers, is_scalar)


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
