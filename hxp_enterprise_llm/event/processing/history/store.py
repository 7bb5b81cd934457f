"""Writing: what was gathered becomes parts, parts are folded into the next tier, and what is too old or too much goes.

All of it is blocking and is run by one thread.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from hxp_enterprise_llm.event.processing.aggregates import Aggregate
from hxp_enterprise_llm.event.processing.history.codec import pack, unpack
from hxp_enterprise_llm.event.processing.history.collector import Gathered
from hxp_enterprise_llm.event.processing.history.database import Budget, Database, Meta, retrying
from hxp_enterprise_llm.event.processing.history.memories import absorb
from hxp_enterprise_llm.event.processing.history.model import DETAIL, TIERS, Cursor, Tier
from hxp_enterprise_llm.event.processing.identity import accumulator_of, identity
from hxp_enterprise_llm.event.processing.metrics import Accumulator

Place = tuple[Tier, int]
"""A tier and a block of it."""
Row = tuple[int, int, int, int, int, bytes]

_MANY_PARTS = 2000
"""Rows of a block that are folded although the block is not over."""
_SETTLED_SECONDS = 5
"""A block that was over so long is folded; what comes later is a part that is folded by itself."""
_DROPPED_BLOCKS = 10
"""Most blocks that one step of a trim drops."""
_FREED_PAGES = 256


class Keep(NamedTuple):
    """How long tiers are kept, in seconds."""

    detail: float
    aggregates: float

    def of(self, tier: Tier) -> float:
        """That of a tier."""
        return self.detail if tier in DETAIL else self.aggregates


class Store:
    """The history on disk. Raises sqlite3.Error."""

    def __init__(self, path: Path, budget: int, keep: Keep) -> None:
        """`budget`: most bytes on disk."""
        self._keep = keep
        self._database = Database(path, Budget(budget))
        self._meta = Meta(self._database.connection)
        rows = self._database.connection.execute("SELECT identity, id, since FROM series").fetchall()
        self._ids: dict[str, int] = {name: series for name, series, _ in rows}
        self._since: dict[int, int] = {series: since for _, series, since in rows}
        self._limits: dict[int, int] = {}
        self._next = self._meta.get("part", 0)
        self.cursor = self._meta.cursor
        self.too_old = 0
        """Events that were older than everything that is kept."""
        self.forced_out = 0
        """Blocks that had to go before their time, for want of room."""

    def configure(self, budget: int, keep: Keep) -> None:
        """Other limits."""
        self._keep = keep
        self._database.resize(Budget(budget))

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._database.size()

    def floors(self) -> list[int]:
        """By tier: the first second that is still there."""
        return self._meta.floors()

    def write(self, gathered: Gathered, cursor: Cursor, now: float) -> None:
        """Store what was gathered up to a cursor, and the cursor, as one: all or nothing."""
        retrying(self._make_room, partial(self._write, gathered, cursor, int(now)))
        self.cursor = cursor

    def _write(self, gathered: Gathered, cursor: Cursor, now: int) -> None:
        floors = self.floors()
        rows: list[Row] = []
        too_old = 0
        for accumulator, slots in gathered.items():
            series = self._series(accumulator, min(now, *slots))
            placed, dropped = _placed(slots, floors)
            too_old += dropped
            for (tier, block), found in placed.items():
                rows.append((tier.number, block, series, self._part(), 0, pack(found)))
        with self._database.transaction() as connection:
            connection.executemany("INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?)", rows)
            self._meta.put("part", self._next)
            self._meta.put("epoch", cursor.epoch)
            self._meta.put("position", cursor.position)
        self.too_old += too_old

    def _part(self) -> int:
        self._next += 1
        return self._next

    def _series(self, accumulator: Accumulator, since: int) -> int:
        name = identity(accumulator)
        if name not in self._ids:
            found = self._database.connection.execute(
                "INSERT INTO series (identity, since) VALUES (?, ?) RETURNING id", (name, since)
            )
            ((self._ids[name],),) = found.fetchall()
            self._since[self._ids[name]] = since
        series = self._ids[name]
        self._limits[series] = accumulator.limit
        if since < self._since[series]:
            self._database.connection.execute("UPDATE series SET since = ? WHERE id = ?", (since, series))
            self._since[series] = since
        return series

    def due(self, now: float) -> list[Place]:
        """Blocks that have parts to fold: those that are over, and those of which there are too many."""
        found = self._database.connection.execute(
            "SELECT tier, block, COUNT(*) FROM parts INDEXED BY unfolded WHERE folded = 0 GROUP BY tier, block"
        )
        settled = now - _SETTLED_SECONDS
        return [
            (TIERS[number], block)
            for number, block, count in found.fetchall()
            if (block + 1) * TIERS[number].block_seconds <= settled or count > _MANY_PARTS
        ]

    def fold(self, place: Place) -> None:
        """Add the new parts of a block to the next tier, and make one part of all of them."""
        retrying(self._make_room, partial(self._fold, place))

    def _fold(self, place: Place) -> None:
        tier, block = place
        above = TIERS[tier.number + 1] if tier is not TIERS[-1] else None
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT series, folded, data FROM parts WHERE tier = ? AND block = ? ORDER BY series, part",
                (tier.number, block),
            ).fetchall()
            connection.execute("DELETE FROM parts WHERE tier = ? AND block = ?", (tier.number, block))
            known = self._accumulators(connection)
            fresh: list[Row] = []
            for series, parts in _by_series(rows).items():
                whole, new = _merged_parts(known[series], parts)
                fresh.append((tier.number, block, series, self._part(), 1, pack(whole)))
                if above and new is not None:
                    upper = above.block(block * tier.block_seconds)
                    fresh.append(
                        (above.number, upper, series, self._part(), 0, pack({block - upper * above.span: new}))
                    )
            connection.executemany("INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?)", fresh)
            self._meta.put("part", self._next)

    def _accumulators(self, connection: sqlite3.Connection) -> dict[int, Accumulator]:
        return accumulators(connection, self._limits)

    def trim(self, now: float) -> bool:
        """Drop a little of what is too old or too much; answers whether there is more to do."""
        for tier in TIERS:
            if self._drop(tier, int((now - self._keep.of(tier)) // tier.block_seconds)):
                return True
        pages, free = self._database.pages()
        if pages - free > self._database.budget.comfortable:
            return self._make_room()
        if pages > self._database.budget.pages or free > pages // 2 > _FREED_PAGES:
            self._database.connection.execute(f"PRAGMA incremental_vacuum({_FREED_PAGES})").fetchall()
            return free > _FREED_PAGES
        return False

    def _make_room(self) -> bool:
        """Drop the oldest blocks of the finest tier that has more than the present one; answers whether there were."""
        for tier in TIERS:
            oldest, newest = self._database.connection.execute(
                "SELECT MIN(block), MAX(block) FROM parts WHERE tier = ?", (tier.number,)
            ).fetchone()
            if oldest is not None and oldest < newest and self._drop(tier, min(newest, oldest + _DROPPED_BLOCKS)):
                self.forced_out += 1
                return True
        return False

    def _drop(self, tier: Tier, before: int) -> bool:
        """Drop at most so many blocks before one, folded first; answers whether there were any."""
        connection = self._database.connection
        blocks = connection.execute(
            "SELECT DISTINCT block FROM parts WHERE tier = ? AND block < ? ORDER BY block LIMIT ?",
            (tier.number, before, _DROPPED_BLOCKS),
        ).fetchall()
        if not blocks:
            return False
        for (block,) in blocks:
            pending = connection.execute(
                "SELECT 1 FROM parts WHERE tier = ? AND block = ? AND folded = 0 LIMIT 1", (tier.number, block)
            )
            if pending.fetchone():
                self._fold((tier, block))
        last = blocks[-1][0]
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM parts WHERE tier = ? AND block <= ?", (tier.number, last))
            self._meta.put(f"floor:{tier.number}", (last + 1) * tier.block_seconds)
        return True


def accumulators(connection: sqlite3.Connection, limits: Mapping[int, int]) -> dict[int, Accumulator]:
    """What the series in the file are. `limits`: most label sets, by series."""
    rows = connection.execute("SELECT id, identity FROM series").fetchall()
    return {series: accumulator_of(name, limits.get(series, 100)) for series, name in rows}


def _placed(slots: Mapping[int, Aggregate], floors: Sequence[int]) -> tuple[dict[Place, dict[int, Aggregate]], int]:
    """Memories by block, and how many events no tier has room for.

    Seconds that the finest tier has dropped go to one that has not.
    """
    placed: dict[Place, dict[int, Aggregate]] = defaultdict(dict)
    too_old = 0
    for second, memory in slots.items():
        tier = next((tier for tier in TIERS if second >= floors[tier.number]), None)
        if tier is None:
            too_old += memory.n
            continue
        block = tier.block(second)
        absorb(placed[tier, block], second // tier.seconds - block * tier.span, memory)
    return placed, too_old


def _by_series(rows: Iterable[tuple[int, int, bytes]]) -> dict[int, list[tuple[int, bytes]]]:
    found: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
    for series, folded, data in rows:
        found[series].append((folded, data))
    return found


def _merged_parts(
    accumulator: Accumulator, parts: Iterable[tuple[int, bytes]]
) -> tuple[dict[int, Aggregate], Aggregate | None]:
    """A block out of its parts, and the merger of all that was not folded yet."""
    whole: dict[int, Aggregate] = {}
    fresh: dict[int, Aggregate] = {}
    for folded, data in parts:
        for place, memory in unpack(accumulator, data).items():
            if not folded:
                absorb(fresh, place, memory)
            absorb(whole, place, memory)
    new: dict[int, Aggregate] = {}
    for place in sorted(fresh):
        absorb(new, 0, fresh[place])
    return whole, new.get(0)
