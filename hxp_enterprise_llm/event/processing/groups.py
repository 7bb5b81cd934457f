"""A metric by label set: one aggregate for each model, agent … that events name, in bounded memory.

A slot takes in the first `limit` label sets that come to it; a merger keeps the `2 * limit` with the most events, and
a reader sees the `limit` with the most. So what is shown follows from the slots alone, and a rebuild shows the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import nsmallest
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple, Self

from hxp_enterprise_llm.event.processing.aggregates import Aggregate
from hxp_enterprise_llm.event.processing.columns import Column, Pick, Reader, Reading, events, everything

Key = tuple[str, ...]
"""The values of the labels, in the order in which the breakdown names them."""
Places = Sequence[int]
"""Of events in a batch, in its order; a range is all of them."""
LONGEST_LABEL = 128
"""Most characters of a label's value; an event with a longer one is in no label set."""


class Portion(NamedTuple):
    """What a batch has for one label set."""

    key: Key
    values: Sequence[Any]


class Groups:
    """Aggregates by label set. What it has absorbed is shared with its origin and copied before it changes."""

    __slots__ = ("_kept", "_limit", "_make", "dropped")

    def __init__(self, make: Callable[[], Aggregate], limit: int) -> None:
        self._make, self._limit = make, limit
        self._kept: dict[Key, Aggregate] = {}
        self.dropped = 0
        """Events that found no room."""

    def update(self, values: Sequence[Portion], /) -> None:
        # A label set is let in when it appears, whatever its values: else it would matter how batches are cut.
        for key, taken in values:
            mine = self._kept.get(key)
            if mine is None:
                if len(self._kept) >= self._limit:
                    self.dropped += len(taken)
                    continue
                mine = self._kept[key] = self._make()
            if taken:
                mine.update(taken)

    def absorb(self, later: Self, /) -> None:
        for key, theirs in later._kept.items():
            mine = self._kept.get(key)
            self._kept[key] = theirs if mine is None else _joined(mine, theirs)
        self.dropped += later.dropped
        if len(self._kept) > 2 * self._limit:
            self._kept = dict(self._largest(2 * self._limit))

    def copy(self) -> Self:
        twin = type(self)(self._make, self._limit)
        twin._kept, twin.dropped = dict(self._kept), self.dropped
        return twin

    def _largest(self, most: int) -> list[tuple[Key, Aggregate]]:
        ranked = nsmallest(most, self._kept.items(), key=lambda item: (-item[1].n, item[0]))
        self.dropped += self.n - sum(aggregate.n for _, aggregate in ranked)
        return ranked

    @property
    def n(self) -> int:
        """Events in all label sets."""
        return sum(aggregate.n for aggregate in self._kept.values())

    def shown(self) -> list[Key]:
        """The label sets that have values and are shown, in their order."""
        found = [(key, aggregate) for key, aggregate in self._kept.items() if aggregate.n]
        if len(found) > self._limit:
            found = nsmallest(self._limit, found, key=lambda item: (-item[1].n, item[0]))
        return sorted(key for key, _ in found)

    def ungrouped(self) -> int:
        """Events that are in none of the label sets that are shown, for want of room."""
        return self.dropped + self.n - sum(self._kept[key].n for key in self.shown())

    def get(self, key: Key) -> Aggregate | None:
        """The aggregate of a label set."""
        return self._kept.get(key)

    def items(self) -> Iterable[tuple[Key, Aggregate]]:
        """All label sets that are kept, for storage."""
        return self._kept.items()

    def restore(self, kept: dict[Key, Aggregate], dropped: int) -> None:
        """Be what was stored."""
        self._kept, self.dropped = kept, dropped


def _joined(earlier: Aggregate, later: Aggregate) -> Aggregate:
    joined = earlier.copy()
    joined.absorb(later)
    return joined


class LabelSets:
    """Parts a batch by label set, once for all accumulators that are broken down by the same fields."""

    def __init__(self, labels: Sequence[Reader]) -> None:
        self._labels = labels

    def part(self, reading: Reading) -> tuple[dict[Key, Places], int]:
        """The places of the events of each label set, and how many have a label that is none.

        What lacks a label is neither.
        """
        columns = [_texts(reading.read(label)) for label in self._labels]
        kept: dict[Key, Places] = {}
        refused = 0
        for found, places in _places(columns).items():
            key = tuple(label for label in found if label)
            if len(key) == len(found) and max(map(len, key)) <= LONGEST_LABEL:
                kept[key] = places
            elif None not in found:
                refused += len(places)
        return kept, refused


def _places(columns: Sequence[Sequence[str | None]]) -> Mapping[tuple[str | None, ...], Places]:
    different = [set(column) for column in columns]
    if all(len(labels) == 1 for labels in different):
        # Often all come from one agent, or a label is in none of them.
        return {tuple(chain.from_iterable(different)): range(len(columns[0]))}
    found: dict[Any, list[int]] = defaultdict(list)
    if len(columns) == 1:
        # A text knows its hash, a tuple works its own out each time.
        for place, label in enumerate(columns[0]):
            found[label].append(place)
        return {(label,): places for label, places in found.items()}
    for place, labels in enumerate(zip(*columns, strict=True)):
        found[labels].append(place)
    return found


def _pick(places: Places) -> Pick:
    if isinstance(places, range):
        return everything
    first, *others = places
    return itemgetter(*places) if others else lambda column: (column[first],)


class Parted:
    """A batch by label set."""

    def __init__(self, places: Mapping[Key, Places], reading: Reading) -> None:
        self._places, self._reading = places, reading
        self._picks: dict[Key, Pick] = {}

    def portions(self, column: Column) -> tuple[list[Portion], int]:
        """What an accumulator gets of each label set, and how many values were refused."""
        if column is events:
            # Who counts wants their number: the places are as good as the events.
            return list(map(Portion, self._places.keys(), self._places.values())), 0
        answer, refused = [], 0
        for key, pick in self._picked().items():
            values, bad = self._reading.of(column, pick)
            answer.append(Portion(key, values))
            refused += bad
        return answer, refused

    def _picked(self) -> dict[Key, Pick]:
        if not self._picks:
            self._picks = {key: _pick(places) for key, places in self._places.items()}
        return self._picks


def _texts(values: list[Any]) -> list[str | None]:
    """Labels as texts: of what can be none an empty one, None where there is nothing."""
    if (kinds := set(map(type, values))) == {str} or kinds == {type(None)}:
        return values
    return [None if value is None else _text(value) for value in values]


def _text(value: Any) -> str:
    if type(value) is int:
        return str(value)
    return value if isinstance(value, str) else ""
