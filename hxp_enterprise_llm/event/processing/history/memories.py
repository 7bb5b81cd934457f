"""What a slot of the history remembers, where analytics' own memories would not merge in any order.

Both take values in and absorb each other like every aggregate; the others (Count, Sketch, Distinct) are analytics' own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import nsmallest
from typing import Any, Self

from hxp_enterprise_llm.event.processing.aggregates import Aggregate, Count, Distinct, Numbers
from hxp_enterprise_llm.event.processing.groups import Key, Portion
from hxp_enterprise_llm.event.processing.metrics import Accumulator
from hxp_enterprise_llm.event.processing.sketch import Sketch

OTHER = "other"
"""The label of what found no room."""


class Figures(Numbers):
    """Figures of a field that know from which second their last value is: a late event does not make it the last."""

    __slots__ = ("at",)

    def __init__(self, at: int = 0) -> None:
        super().__init__()
        self.at = at

    def absorb(self, later: Self, /) -> None:
        if not later.n:
            return
        last, at = self.last, self.at
        newer = not self.n or later.at >= at
        super().absorb(later)
        self.last, self.at = (later.last, later.at) if newer else (last, at)

    def copy(self) -> Self:
        twin = type(self)(self.at)
        twin.absorb(self)
        return twin


class Labelled:
    """One memory a label set. Those beyond the limit are added up as `other`, so that the whole is always there.

    A slot takes in the first `limit` label sets; a merger keeps the `2 * limit` with the most events.
    """

    __slots__ = ("_limit", "_make", "kept", "other")

    def __init__(self, make: Callable[[], Aggregate], limit: int) -> None:
        self._make, self._limit = make, max(1, limit)
        self.kept: dict[Key, Aggregate] = {}
        self.other: Aggregate | None = None

    def update(self, values: Sequence[Portion], /) -> None:
        for key, taken in values:
            if taken:
                self._memory(key).update(taken)

    def _memory(self, key: Key) -> Aggregate:
        found = self.kept.get(key)
        if found is not None:
            return found
        if len(self.kept) >= self._limit:
            if self.other is None:
                self.other = self._make()
            return self.other
        made = self.kept[key] = self._make()
        return made

    def absorb(self, later: Self, /) -> None:
        for key, theirs in later.kept.items():
            mine = self.kept.get(key)
            if mine is None:
                self.kept[key] = theirs.copy()
            else:
                mine.absorb(theirs)
        if later.other is not None:
            self.other = merged(self.other, later.other)
        if len(self.kept) > 2 * self._limit:
            self.keep(self.largest(2 * self._limit))

    def largest(self, most: int) -> list[Key]:
        """The label sets with the most events, the largest first."""
        ranked = nsmallest(most, self.kept.items(), key=lambda item: (-item[1].n, item[0]))
        return [key for key, _ in ranked]

    def keep(self, keys: Sequence[Key]) -> None:
        """Add up all others as `other`."""
        wanted = set(keys)
        for key in [key for key in self.kept if key not in wanted]:
            self.other = merged(self.other, self.kept.pop(key))

    def get(self, key: Key) -> Aggregate | None:
        """The memory of a label set; of `other` for a key that is nothing but that."""
        found = self.kept.get(key)
        if self.other is None or set(key) != {OTHER}:
            return found
        joined: Aggregate = merged(found, self.other)
        return joined

    def keys(self) -> set[Key]:
        """All label sets, `other` included."""
        return set(self.kept)

    def copy(self) -> Self:
        twin = type(self)(self._make, self._limit)
        twin.kept = {key: memory.copy() for key, memory in self.kept.items()}
        twin.other = None if self.other is None else self.other.copy()
        return twin

    @property
    def n(self) -> int:
        """Events in all label sets."""
        return sum(memory.n for memory in self.kept.values()) + (self.other.n if self.other else 0)


def merged(earlier: Any, later: Any) -> Any:
    """The merger of two memories; both stay as they are."""
    if earlier is None:
        return later
    joined = earlier.copy()
    joined.absorb(later)
    return joined


def absorb(into: dict[int, Any], place: int, memory: Aggregate) -> None:
    """Add a memory to what is at a place; the memory itself stays as it is."""
    found = into.get(place)
    if found is None:
        into[place] = memory.copy()
    else:
        found.absorb(memory)


def empty(accumulator: Accumulator, at: int = 0) -> Aggregate:
    """The memory of a slot that begins at second `at`, with nothing in it."""
    if not accumulator.by:
        return _plain(accumulator, at)
    return Labelled(lambda: _plain(accumulator, at), accumulator.limit)


def _plain(accumulator: Accumulator, at: int) -> Aggregate:
    return Figures(at) if accumulator.family == "numbers" else _MAKERS[accumulator.family]()


_MAKERS: Mapping[str, Callable[[], Aggregate]] = {"count": Count, "quantiles": Sketch, "distinct": Distinct}
