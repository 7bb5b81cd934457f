"""What to do with a batch: which attributes to decode, and which accumulators get which of its events.

Types that touch the same accumulators are one kind. A batch is taken in by the plan of all kinds in it, not type by
type, so that every accumulator gets its values in the order of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import compress
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.config.processing import OWN_TYPES
from hxp_enterprise_llm.event.model import TypePatterns
from hxp_enterprise_llm.event.processing.columns import Column, Reader, Reading, events, numbers, scalars, sizes
from hxp_enterprise_llm.event.processing.groups import LabelSets, Parted
from hxp_enterprise_llm.event.processing.memo import Memo
from hxp_enterprise_llm.event.processing.metrics import Accumulator
from hxp_enterprise_llm.event.processing.views import Path, compile_view
from hxp_enterprise_llm.event.processing.windows import SlotSeries

Series = Mapping[Accumulator, SlotSeries[Any]]
Feed = tuple[SlotSeries[Any], Column]
"""An accumulator's slots, and how its values are read."""

_TIME: Path = ("time",)
_MOST_TYPES, _MOST_PLANS = 4096, 256


class Kind(NamedTuple):
    """Event types that are treated alike."""

    own: bool
    """The system itself makes such events of others."""
    touched: tuple[Accumulator, ...]
    """Events that touch nothing are not even decoded."""


class Share(NamedTuple):
    """Some of the kinds of a plan, by number, and what they feed. `kinds` is None for all of them."""

    kinds: frozenset[int] | None
    feeds: tuple[Feed, ...]
    broken_down: tuple[tuple[LabelSets, tuple[Feed, ...]], ...]
    """What is fed by label set."""

    def feed(self, slot: int, views: Sequence[Any]) -> int:
        """Hand the events of a slot to the accumulators; answers how many values were refused."""
        ignored = 0
        reading = Reading(views)
        for series, column in self.feeds:
            values, refused = reading.of(column)
            ignored += refused
            if values:
                series.at(slot).update(values)
        for label_sets, feeds in self.broken_down:
            places, refused = label_sets.part(reading)
            parted = Parted(places, reading)
            ignored += refused
            for series, column in feeds:
                found, refused = parted.portions(column)
                ignored += refused
                if found:
                    series.at(slot).update(found)
        return ignored


class Plan(NamedTuple):
    """How events of some kinds are taken in."""

    decode: Callable[[bytes], Any]
    times: Reader
    shares: tuple[Share, ...]

    def read(self, raws: Sequence[bytes], kinds: Sequence[int]) -> tuple[list[Any], Sequence[int]]:
        """Views of the events that can be read, with their kinds."""
        try:
            return list(map(self.decode, raws)), kinds
        except msgspec.DecodeError:
            found = [(view, kind) for raw, kind in zip(raws, kinds, strict=True) for view in self._readable(raw)]
            return [view for view, _ in found], [kind for _, kind in found]

    def _readable(self, raw: bytes) -> tuple[Any, ...]:
        try:
            return (self.decode(raw),)
        except msgspec.DecodeError:
            return ()

    def feed(self, slot: int, views: Sequence[Any], kinds: Sequence[int]) -> int:
        """Hand the events of a slot to the accumulators; answers how many values were refused."""
        ignored = 0
        for share in self.shares:
            chosen = share.kinds
            mine = views if chosen is None else list(compress(views, map(chosen.__contains__, kinds)))
            if mine:
                ignored += share.feed(slot, mine)
        return ignored


class Planner:
    """Finds the kinds of event types, and the plan of a set of kinds."""

    def __init__(self, series: Series) -> None:
        self._series = series
        self._own = TypePatterns(OWN_TYPES)
        self.kinds: list[Kind] = []
        """By number. There are only as many as the metrics tell apart, however many types come."""
        self._by_type = Memo(self._number, _MOST_TYPES)
        self._by_kinds = Memo(self._compile, _MOST_PLANS)

    def kinds_of(self, types: Iterable[str]) -> list[int]:
        """The number of the kind of each of these types."""
        return list(map(self._by_type.__getitem__, types))

    def plan(self, kinds: frozenset[int]) -> Plan:
        """The plan of batches in which all of these kinds are, and no other."""
        return self._by_kinds[kinds]

    def _number(self, type: str) -> int:
        kind = Kind(self._own.matches(type), tuple(a for a in self._series if a.selection.matches(type)))
        if kind not in self.kinds:
            self.kinds.append(kind)
        return self.kinds.index(kind)

    def _compile(self, kinds: frozenset[int]) -> Plan:
        """A decoder of `time` and of what the accumulators want, and nothing else."""
        takers = {a: frozenset(k for k in kinds if a in self.kinds[k].touched) for a in self._series}
        wanted = [path for a, taken in takers.items() if taken for path in (*a.fields, *a.by)]
        decode, readers = compile_view([_TIME, *wanted])
        # Accumulators of the same values share a column.
        columns = Memo(partial(_column, readers), len(takers) + 1)
        feeds: dict[frozenset[int], dict[tuple[Path, ...], list[Feed]]] = {}
        for accumulator, taken in takers.items():
            if taken:
                feed = self._series[accumulator], columns[accumulator.fields, accumulator.family]
                feeds.setdefault(taken, {}).setdefault(accumulator.by, []).append(feed)
        shares = (_share(None if taken == kinds else taken, found, readers) for taken, found in feeds.items())
        return Plan(decode, readers[_TIME], tuple(shares))


def _share(
    kinds: frozenset[int] | None, feeds: dict[tuple[Path, ...], list[Feed]], readers: Mapping[Path, Reader]
) -> Share:
    plain = tuple(feeds.pop((), ()))
    return Share(
        kinds, plain, tuple((LabelSets([readers[path] for path in by]), tuple(found)) for by, found in feeds.items())
    )


def _column(readers: Mapping[Path, Reader], wanted: tuple[tuple[Path, ...], str]) -> Column:
    fields, family = wanted
    paths = [readers[path] for path in fields]
    return _COLUMNS.get(family, numbers)(paths) if paths else events


_COLUMNS: Mapping[str, Callable[[Sequence[Reader]], Column]] = {"distinct": scalars, "quantiles": sizes}
