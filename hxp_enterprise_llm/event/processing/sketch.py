"""Quantiles of a stream within 1 %: logarithmic buckets (the mathematics of DDSketch), merged by addition.

Values v > 0 fall into bucket ceil(log_g(v)) with g = (1 + a) / (1 - a); any value of a bucket is within a of the
bucket's middle. Negative values have buckets of their own; what is nearer to zero than SMALLEST counts as zero, and
what is beyond LARGEST as LARGEST, so that there are at most 2,764 buckets on either side, whatever comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, inf, log
from typing import Self

ACCURACY = 0.01
"""Greatest relative error of a quantile."""
SMALLEST = 1e-9
LARGEST = 1e15

_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_PER_LOG = 1 / log(_GAMMA)


class Sketch:
    """Counts of values by size. Adding and merging commute: in whatever order, the same values give the same sketch."""

    __slots__ = ("_negative", "_positive", "_zeros", "count", "maximum", "minimum")

    def __init__(self) -> None:
        self.count = 0
        self.minimum, self.maximum = inf, -inf
        self._zeros = 0
        self._positive: dict[int, int] = {}
        self._negative: dict[int, int] = {}

    def add(self, value: float) -> None:
        """Take one finite value in."""
        self.count += 1
        if value < self.minimum:
            self.minimum = value
        if value > self.maximum:
            self.maximum = value
        size = abs(value)
        if size <= SMALLEST:
            self._zeros += 1
            return
        buckets = self._positive if value > 0 else self._negative
        key = ceil(log(min(size, LARGEST)) * _PER_LOG)
        buckets[key] = buckets.get(key, 0) + 1

    def absorb(self, other: Self) -> None:
        """Add what another sketch has seen."""
        self.count += other.count
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        self._zeros += other._zeros
        _add_counts(self._positive, other._positive)
        _add_counts(self._negative, other._negative)

    def copy(self) -> Self:
        """A sketch of the same values that goes its own way."""
        twin = type(self)()
        twin.absorb(self)
        return twin

    def quantile(self, q: float) -> float | None:
        """The value at rank floor(q * (count - 1)) of the sorted values, within 1 %; None when there is none.

        Raises ValueError unless 0 <= q <= 1.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile lies between 0 and 1, not at {q}")
        if not self.count:
            return None
        return min(max(self._at(int(q * (self.count - 1))), self.minimum), self.maximum)

    def _at(self, rank: int) -> float:
        seen = 0
        for value, count in self._ascending():
            seen += count
            if seen > rank:
                return value
        return self.maximum

    def _ascending(self) -> Iterator[tuple[float, int]]:
        for key in sorted(self._negative, reverse=True):
            yield -_middle(key), self._negative[key]
        yield 0.0, self._zeros
        for key in sorted(self._positive):
            yield _middle(key), self._positive[key]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sketch) and all(
            getattr(self, name) == getattr(other, name) for name in Sketch.__slots__
        )

    def __repr__(self) -> str:
        return f"Sketch({self.count} values, {self.minimum:g} to {self.maximum:g})"


def _middle(key: int) -> float:
    return float(2 * _GAMMA**key / (_GAMMA + 1))


def _add_counts(into: dict[int, int], more: dict[int, int]) -> None:
    for key, count in more.items():
        into[key] = into.get(key, 0) + count
