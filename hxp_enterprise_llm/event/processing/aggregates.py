"""What a slot of time remembers of its events: a count, figures of a field, or its different values.

Each aggregate takes values in by the batch and absorbs the aggregate of a later stretch of time; a `Sketch` does as
well. However the same values are cut into batches, the aggregate is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache, reduce
from hashlib import blake2b
from heapq import nsmallest
from operator import add
from typing import Any, Protocol, Self


class Aggregate(Protocol):
    """Mergeable memory of some events."""

    def update(self, values: Sequence[Any], /) -> None:
        """Take the values of some events in, in the order of the log; there is at least one."""
        ...

    def absorb(self, later: Self, /) -> None:
        """Add the events of another aggregate, which come after those of this one."""
        ...

    def copy(self) -> Self:
        """The same memory, to go its own way."""
        ...

    @property
    def n(self) -> int:
        """How much there is: events, or different values."""
        ...


class Count:
    """How many events."""

    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n = 0

    def update(self, values: Sequence[object], /) -> None:
        self.n += len(values)

    def absorb(self, later: Self, /) -> None:
        self.n += later.n

    def copy(self) -> Self:
        twin = type(self)()
        twin.n = self.n
        return twin


class Numbers:
    """Count, sum, extremes and last of a field. A sum of integers stays exact."""

    __slots__ = ("last", "maximum", "minimum", "n", "total")

    def __init__(self) -> None:
        self.n = 0
        self.total: float = 0
        self.minimum = self.maximum = self.last = float("nan")

    def update(self, values: Sequence[float], /) -> None:
        lowest, highest = min(values), max(values)
        self.minimum = min(self.minimum, lowest) if self.n else lowest
        self.maximum = max(self.maximum, highest) if self.n else highest
        self.n += len(values)
        self.last = values[-1]
        total = sum(values, self.total)
        # Floats not by sum(): from Python 3.12 on it rounds otherwise, and the total would depend on the cut.
        self.total = total if type(total) is int else reduce(add, values, self.total)

    def absorb(self, later: Self, /) -> None:
        if not later.n:
            return
        self.minimum = min(self.minimum, later.minimum) if self.n else later.minimum
        self.maximum = max(self.maximum, later.maximum) if self.n else later.maximum
        self.n += later.n
        self.total += later.total
        self.last = later.last

    def copy(self) -> Self:
        twin = type(self)()
        twin.absorb(self)
        return twin


KEPT_HASHES = 4096


class Distinct:
    """How many different values: exact up to 4,096, beyond that an estimate with a standard error of 1.6 %.

    It keeps the smallest 4,096 of evenly spread 64-bit hashes (k minimum values): how near to zero they crowd tells
    how many there are. Between clean-ups there may be twice as many.
    """

    __slots__ = ("_hashes", "_thinned")

    def __init__(self) -> None:
        self._hashes: set[int] = set()
        self._thinned = False

    def update(self, values: Sequence[str | float | bool], /) -> None:
        self._hashes.update(map(hash_of, _different(values)))
        self._tidy()

    def absorb(self, later: Self, /) -> None:
        self._hashes |= later._hashes
        self._thinned |= later._thinned
        self._tidy()

    def copy(self) -> Self:
        twin = type(self)()
        twin._hashes, twin._thinned = set(self._hashes), self._thinned
        return twin

    def dump(self) -> list[Any]:
        """All of it as plain values, for storage, without the hashes beyond the smallest 4,096: they tell nothing."""
        hashes = sorted(self._hashes)
        kept = hashes[:KEPT_HASHES]
        return [self._thinned or len(hashes) > len(kept), b"".join(hash.to_bytes(8, "big") for hash in kept)]

    @classmethod
    def load(cls, dumped: Sequence[Any]) -> Self:
        """What `dump` has answered, as it was."""
        made = cls()
        made._thinned, hashes = dumped
        made._hashes = {int.from_bytes(hashes[at : at + 8], "big") for at in range(0, len(hashes), 8)}
        return made

    def _tidy(self) -> None:
        if len(self._hashes) > 2 * KEPT_HASHES:
            self._hashes = set(nsmallest(KEPT_HASHES, self._hashes))
            self._thinned = True

    @property
    def n(self) -> int:
        """Number of different values, see above."""
        if len(self._hashes) <= KEPT_HASHES and not self._thinned:
            return len(self._hashes)
        greatest = nsmallest(KEPT_HASHES, self._hashes)[-1]
        return round((KEPT_HASHES - 1) * 2**64 / greatest)


def _different(values: Sequence[str | float | bool]) -> Iterable[str | float | bool]:
    """Each value once. In a set of Python 1, 1.0 and true are one, so that types go with them."""
    kinds = list(map(type, values))
    if set(kinds) == {str}:
        return set(values)
    return [value for _, value in set(zip(kinds, values, strict=True))]


@lru_cache(maxsize=65_536, typed=True)
def hash_of(value: str | float | bool) -> int:
    """64 evenly spread bits of a JSON scalar, the same in every process; 1 and 1.0 are one value, "1" is another."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = f"{type(value).__name__} {value}"
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
