"""Reading: the memories of a stretch of time, at the resolution of a tier.

A tier's slots are its own parts and what lower tiers have not folded into it yet. Blocking; each call is one short
transaction, so that the write-ahead log can be emptied in between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from hxp_enterprise_llm.event.processing.aggregates import Aggregate
from hxp_enterprise_llm.event.processing.history.codec import unpack
from hxp_enterprise_llm.event.processing.history.database import Meta
from hxp_enterprise_llm.event.processing.history.memories import absorb
from hxp_enterprise_llm.event.processing.history.model import TIERS, Cursor, Tier
from hxp_enterprise_llm.event.processing.identity import identity
from hxp_enterprise_llm.event.processing.metrics import Accumulator

Found = dict[Accumulator, dict[int, Aggregate]]
"""Memories by slot."""


class Reader:
    """A connection that only reads. Raises sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, timeout=5
        )
        self._meta = Meta(self._connection)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @property
    def cursor(self) -> Cursor:
        """How far the log is taken in."""
        return self._meta.cursor

    def floors(self) -> list[int]:
        """By tier: the first second that is still there."""
        return self._meta.floors()

    def since(self, accumulator: Accumulator) -> int | None:
        """The second in which a series began; None when it has nothing yet."""
        row = self._connection.execute("SELECT since FROM series WHERE identity = ?", (identity(accumulator),))
        found = row.fetchone()
        return found[0] if found else None

    def read(self, wanted: Sequence[Accumulator], tier: Tier, first: int, last: int) -> Found:
        """The memories of slots first … last of a tier, both included; slots in which nothing happened are left out."""
        found: Found = {each: {} for each in wanted}
        self._connection.execute("BEGIN")
        try:
            series = self._series(wanted)
            for part in TIERS[: tier.number + 1] if series else ():
                self._add(found, series, part, tier, first, last)
        finally:
            self._connection.execute("COMMIT")
        return found

    def _series(self, wanted: Sequence[Accumulator]) -> dict[int, Accumulator]:
        ids = dict(self._connection.execute("SELECT identity, id FROM series").fetchall())
        names = {identity(each): each for each in wanted}
        return {ids[name]: each for name, each in names.items() if name in ids}

    def _add(self, found: Found, series: dict[int, Accumulator], part: Tier, tier: Tier, first: int, last: int) -> None:
        begin, end = first * tier.seconds, (last + 1) * tier.seconds
        for number, block, data in self._rows(list(series), part, part is tier, begin, end):
            accumulator = series[number]
            for place, memory in unpack(accumulator, data).items():
                slot = (block * part.span + place) * part.seconds // tier.seconds
                if first <= slot <= last:
                    absorb(found[accumulator], slot, memory)

    def _rows(
        self, series: list[int], tier: Tier, everything: bool, begin: int, end: int
    ) -> Iterator[tuple[int, int, bytes]]:
        """Parts that reach into a stretch of time, in seconds, its end not included; in the order they came."""
        source = "parts" if everything else "parts INDEXED BY unfolded"
        only = "" if everything else "AND folded = 0"
        marks = ", ".join("?" * len(series))
        yield from self._connection.execute(
            f"SELECT series, block, data FROM {source} WHERE tier = ? AND block BETWEEN ? AND ? {only}"
            f" AND series IN ({marks}) ORDER BY block, part",
            (tier.number, tier.block(begin), tier.block(end - 1), *series),
        )
