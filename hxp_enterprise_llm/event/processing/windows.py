"""Sliding windows: events fall into slots of time by their own time; a window is the merger of its slots.

A slot is one second, or shorter when the smallest window is shorter than ten. A window of W seconds is the slot that
has begun and the W seconds of whole slots before it: on a tick exactly W, between ticks up to one slot more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, floor
from typing import Any, Generic, TypeVar

from msgspec import Raw

from hxp_enterprise_llm.event.model import parse_rfc3339
from hxp_enterprise_llm.event.processing.aggregates import Aggregate
from hxp_enterprise_llm.event.processing.memo import Memo

A = TypeVar("A", bound=Aggregate)

_SLOTS_PER_SECOND = (1, 2, 5, 10, 20)


class Timeline:
    """Maps seconds to numbered slots, and windows to numbers of slots. `windows`: seconds by label."""

    def __init__(self, windows: Mapping[str, float]) -> None:
        shortest = min(windows.values())
        enough = (n for n in _SLOTS_PER_SECOND if n * shortest >= 10)
        self.per_second = next(enough, _SLOTS_PER_SECOND[-1])
        self.slots = {label: max(1, ceil(seconds * self.per_second)) for label, seconds in windows.items()}
        self.horizon = max(self.slots.values())
        """Slots of the largest window."""

    def slot(self, seconds: float) -> int:
        """Number of the slot that holds a moment."""
        return floor(seconds * self.per_second)

    def start(self, slot: int) -> float:
        """The moment at which a slot begins, in seconds."""
        return slot / self.per_second


_MOST_TIMES = 4096


class Times:
    """The slots of times as events write them, RFC 3339. Events of a batch often have the same."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._slots: Memo[Any, int | None] = Memo(self._look, _MOST_TIMES)

    def slots(self, times: Sequence[Any]) -> list[int | None]:
        """The slot of each; None for what is no time."""
        try:
            return list(map(self._slots.__getitem__, times))
        except TypeError:
            # A list or an object among them cannot be looked up.
            return [self._slots[time] if isinstance(time, str) else None for time in times]

    def different(self, times: Sequence[Any]) -> set[int | None]:
        """The slots that these times are in."""
        return set(self.slots(times))

    def _look(self, time: Any) -> int | None:
        try:
            return self._timeline.slot(parse_rfc3339(time))
        except (TypeError, ValueError, OverflowError):
            return None


class SlotSeries(Generic[A]):
    """Aggregates by slot, and the merger of any stretch of them in a logarithmic number of steps.

    Blocks of 2, 4, 8 … slots are merged once and kept until one of their slots changes, so that a tick merges anew
    only what surrounds the slots that events have come to since the last.
    """

    def __init__(self, make: Callable[[], A]) -> None:
        self._make = make
        self._slots: dict[int, A] = {}
        self._blocks: list[dict[int, A | None]] = []
        self._touched: set[int] = set()
        self._dumped: dict[int, Raw] = {}

    def at(self, slot: int) -> A:
        """The aggregate of a slot, to update until the next call of `merged` or `dump`."""
        if slot not in self._touched:
            self._touched.add(slot)
            self._dumped.pop(slot, None)
            for level, blocks in enumerate(self._blocks, start=1):
                blocks.pop(slot >> level, None)
        aggregate = self._slots.get(slot)
        if aggregate is None:
            aggregate = self._slots[slot] = self._make()
        return aggregate

    def merged(self, first: int, last: int) -> A | None:
        """The aggregate of slots first … last, both included; None when nothing happened. It is not to be changed."""
        self._touched.clear()
        result: A | None = None
        while first <= last:
            level = _level(first, last)
            result = self._join(result, self._block(level, first >> level))
            first += 1 << level
        return result

    def _block(self, level: int, number: int) -> A | None:
        if not level:
            return self._slots.get(number)
        while len(self._blocks) < level:
            self._blocks.append({})
        blocks = self._blocks[level - 1]
        if number not in blocks:
            blocks[number] = self._join(self._block(level - 1, 2 * number), self._block(level - 1, 2 * number + 1))
        return blocks[number]

    @staticmethod
    def _join(earlier: A | None, later: A | None) -> A | None:
        if earlier is None or later is None:
            return earlier if later is None else later
        joined = earlier.copy()
        joined.absorb(later)
        return joined

    def shift(self, slots: int) -> None:
        """Call every slot by another number, so many further on."""
        self._slots = {slot + slots: kept for slot, kept in self._slots.items()}
        self._blocks.clear()
        self._touched.clear()
        self._dumped.clear()

    def dump(self, encode: Callable[[A], Raw]) -> dict[int, Raw]:
        """All slots, encoded; those that nobody has touched since the last call are not encoded anew."""
        self._touched.clear()
        known = self._dumped
        self._dumped = {slot: known.get(slot) or encode(kept) for slot, kept in self._slots.items()}
        return self._dumped

    def load(self, slots: dict[int, A]) -> None:
        """Be what was stored."""
        self._slots = slots
        self._blocks.clear()
        self._touched.clear()
        self._dumped.clear()

    def drop_before(self, oldest: int) -> None:
        """Forget the slots before one."""
        self._slots = {slot: kept for slot, kept in self._slots.items() if slot >= oldest}
        for level, blocks in enumerate(self._blocks, start=1):
            self._blocks[level - 1] = {n: block for n, block in blocks.items() if n << level >= oldest}
        self._touched.clear()


def _level(first: int, last: int) -> int:
    """The largest k such that 2^k slots from `first` on are an aligned block that does not pass `last`."""
    fits = (last - first + 1).bit_length() - 1
    return min(fits, (first & -first).bit_length() - 1) if first else fits
