"""Quantiles of a stream within 1 %: logarithmic buckets (the mathematics of DDSketch), merged by addition.

Values v > 0 fall into bucket ceil(log_g(v)) with g = (1 + a) / (1 - a); any value of a bucket is within a of the
bucket's middle. Negative values have buckets of their own; what is nearer to zero than SMALLEST counts as zero, and
what is beyond LARGEST as LARGEST, so that there are at most 2,764 buckets on either side, whatever comes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import ceil, inf, log2
from typing import Any, Self

ACCURACY = 0.01
"""Greatest relative error of a quantile."""
SMALLEST = 1e-9
LARGEST = 1e15

_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_PER_LOG = 1 / log2(_GAMMA)
"""Logarithms to the base 2: Python finds them in a third of the time of natural ones, and the quotient is the same."""
_SAMPLE = 32
"""Values by which it is judged whether many are equal."""
_ROUNDED_DOWN = 1 - 1e-15
"""0.07 * 100 is 7.000000000000001 in floating point, and yet rank 7."""


class Sized(list[float]):
    """Values with the numbers of their buckets, for whoever counts the same values in several sketches.

    `keys` is None where a value lies beyond SMALLEST and LARGEST.
    """

    __slots__ = ("keys",)

    def __init__(self, values: Sequence[float], keys: Sequence[int] | None) -> None:
        super().__init__(values)
        self.keys = keys

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Values, at least one, with their keys."""
        usual = min(values) > SMALLEST and max(values) <= LARGEST
        return cls(values, _keys(values) if usual else None)

    def picked(self, pick: Callable[[Sequence[Any]], Sequence[Any]]) -> Self:
        """Some of them."""
        return type(self)(pick(self), None if self.keys is None else pick(self.keys))


class Sketch:
    """Counts of values by size. Adding and merging commute: in whatever order, the same values give the same sketch."""

    __slots__ = ("_negative", "_positive", "_zeros", "count", "maximum", "minimum")

    def __init__(self) -> None:
        self.count = 0
        self.minimum, self.maximum = inf, -inf
        self._zeros = 0
        self._positive: Counter[int] = Counter()
        self._negative: Counter[int] = Counter()

    def update(self, values: Sequence[float]) -> None:
        """Take finite values in, at least one."""
        lowest, highest = min(values), max(values)
        self.count += len(values)
        self.minimum, self.maximum = min(self.minimum, lowest), max(self.maximum, highest)
        if lowest > SMALLEST and highest <= LARGEST:
            keys = values.keys if isinstance(values, Sized) else None
            self._positive.update(_keys(values) if keys is None else keys)
            return
        positive = [min(value, LARGEST) for value in values if value > SMALLEST]
        negative = [min(-value, LARGEST) for value in values if value < -SMALLEST]
        self._zeros += len(values) - len(positive) - len(negative)
        self._positive.update(_keys(positive))
        self._negative.update(_keys(negative))

    def absorb(self, other: Self) -> None:
        """Add what another sketch has seen."""
        self.count += other.count
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        self._zeros += other._zeros
        for mine, theirs in ((self._positive, other._positive), (self._negative, other._negative)):
            if theirs:
                mine.update(theirs)

    def copy(self) -> Self:
        """A sketch of the same values that goes its own way."""
        twin = type(self)()
        twin.count, twin.minimum, twin.maximum, twin._zeros = self.count, self.minimum, self.maximum, self._zeros
        twin._positive, twin._negative = self._positive.copy(), self._negative.copy()
        return twin

    def dump(self) -> tuple[int, float, float, int, dict[int, int], dict[int, int]]:
        """All that there is, to be stored; `load` makes the same of it."""
        return self.count, self.minimum, self.maximum, self._zeros, dict(self._positive), dict(self._negative)

    @classmethod
    def load(cls, dumped: Sequence[Any]) -> Self:
        """A sketch out of what `dump` has answered."""
        made = cls()
        made.count, made.minimum, made.maximum, made._zeros, positive, negative = dumped
        made._positive, made._negative = Counter(positive), Counter(negative)
        return made

    @property
    def n(self) -> int:
        """How many values."""
        return self.count

    def quantile(self, q: float) -> float | None:
        """The smallest value that a share of at least q of the values does not exceed, within 1 %; None of nothing.

        This is the nearest rank: of two values any q above one half gives the greater, so that one slow request among
        a few is seen. Raises ValueError unless 0 <= q <= 1.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile lies between 0 and 1, not at {q}")
        if not self.count:
            return None
        rank = max(1, ceil(q * self.count * _ROUNDED_DOWN))
        return min(max(self._at(rank), self.minimum), self.maximum)

    def _at(self, rank: int) -> float:
        left = rank
        for key in sorted(self._negative, reverse=True):
            left -= self._negative[key]
            if left <= 0:
                return -_middle(key)
        left -= self._zeros
        if left <= 0:
            return 0.0
        for key in sorted(self._positive):
            left -= self._positive[key]
            if left <= 0:
                return _middle(key)
        return self.maximum

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sketch) and all(
            getattr(self, name) == getattr(other, name) for name in Sketch.__slots__
        )

    def __repr__(self) -> str:
        return f"Sketch({self.count} values, {self.minimum:g} to {self.maximum:g})"


def _middle(key: int) -> float:
    return float(2 * _GAMMA**key / (_GAMMA + 1))


def _keys(sizes: Sequence[float]) -> list[int]:
    """Numbers of the buckets of values above 0."""
    per_log = _PER_LOG
    if 2 * len(set(sizes[:_SAMPLE])) > len(sizes[:_SAMPLE]):
        return [ceil(log2(size) * per_log) for size in sizes]
    # Whole milliseconds and the like: the bucket of equal values is found once.
    known = {size: ceil(log2(size) * per_log) for size in set(sizes)}
    return list(map(known.__getitem__, sizes))
