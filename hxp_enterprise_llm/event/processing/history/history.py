"""The history at work: follows the log, writes, folds and trims in a thread of its own, and answers from another.

It is never in the way of what comes in: it takes in what has gathered, a stretch at a time, and while it is
behind, it rests most of the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from hxp_enterprise_llm.config.history import HistoryConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.log.model import Batch, CursorError, EventLog, Gone, LogError, Stored
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.processing.follower import lag
from hxp_enterprise_llm.event.processing.history.collector import Collector, Gathered
from hxp_enterprise_llm.event.processing.history.database import is_damage, is_full, set_aside
from hxp_enterprise_llm.event.processing.history.model import ALWAYS, TIERS, Cursor
from hxp_enterprise_llm.event.processing.history.reading import Reader
from hxp_enterprise_llm.event.processing.history.store import Keep, Store
from hxp_enterprise_llm.event.processing.metrics import Accumulator, Metric
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.outage import Outage
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.history_metrics import HistoryMetrics

T = TypeVar("T")

log = structlog.get_logger("history")

_WRITE_SECONDS = 2.0
"""Between two writes, when little comes in."""
_STRETCH = 1024
_REST_SECONDS = 0.25
"""Pause at the head of the log: nobody needs the last quarter of a second of a history."""
YIELD, YIELD_APART = 4.0, 0.5
"""While it is behind, it rests so many times as long as it works: for those who send events and, at a start, for those
who are to be whole first. In a process apart only those who count beside it want the time."""
_FOLDS, _TRIMS = 64, 4
"""Most of them after one write."""
_PATIENCE_SECONDS = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class HistoryAway(Exception):
    """The history cannot be asked now."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the history cannot be read now: {self.reason}"


class History:
    """One a log. Spawn `run`; ask with `ask`."""

    def __init__(
        self,
        config: HistoryConfig,
        metrics: Sequence[Metric],
        event_log: EventLog,
        path: Path,
        *,
        clock: Clock,
        telemetry: HistoryMetrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        yields: float = YIELD,
    ) -> None:
        """`path` is that of the file, whose directory is made. `yields`: how long it rests; see `YIELD`."""
        self._yields = yields
        self.config, self.metrics = config, tuple(metrics)
        self._log, self._path, self._clock, self._telemetry, self._sleep = event_log, path, clock, telemetry, sleep
        self._writer = ThreadPoolExecutor(1, "history-writer")
        self._reader_thread = ThreadPoolExecutor(1, "history-reader")
        self._collector = Collector(_wanted(self.metrics))
        self._store: Store | None = None
        self._reader: Reader | None = None
        self._cursor = Cursor("", 0)
        self._unwritten: tuple[Gathered, Cursor] | None = None
        self._head, self._written_at = 0, 0.0
        self._open_now = asyncio.Event()
        self._told = [0, 0]
        self._changed = False
        self._working = Outage(log, "history.writing")
        self._following = Outage(log, "history.following")
        telemetry.budget.set(config.disk_budget_bytes)
        telemetry.lag.set_function(lambda: self.lag)

    @property
    def lag(self) -> int:
        """Distance of what is written from the head of the log as far as it is known, in offsets."""
        return lag(self._log, self._head, self._store.cursor.position if self._store else 0)

    def health(self) -> Part:
        """How the history is. It degrades nothing but itself."""
        facts = {"position": self._cursor.position, "lag": self.lag, "bytes": self._store.size if self._store else 0}
        for outage, what in ((self._working, "written"), (self._following, "filled from the log")):
            if outage.reason:
                return Part("degraded", f"the history cannot be {what}: {outage.reason}", facts)
        return Part("ok", "", facts)

    def prepare(self, config: HistoryConfig, metrics: Sequence[Metric]) -> Callable[[], None]:
        """What a reload takes over: limits, and another list of metrics."""

        def commit() -> None:
            self.config, self.metrics = config, tuple(metrics)
            self._telemetry.budget.set(config.disk_budget_bytes)
            self._changed = True

        return commit

    async def run(self) -> None:
        """Take in what comes, for ever. What fails is tried again; a file that is damaged is begun anew."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._follow()
            except CursorError as error:
                self._cursor = _resumed(self._cursor, error)
            except LogError as error:
                self._following.failed(error)
            except (sqlite3.Error, OSError) as error:
                await self._failed(error)
            failing = self._working.failures or self._following.failures
            pause = min(2 * pause, _LONGEST_PAUSE) if failing else _FIRST_PAUSE
            await self._sleep(pause)

    async def _follow(self) -> None:
        if self._store is None:
            await self._open()
        if self._working.failures:
            # Nothing more is taken in until what was is written.
            await self._write()
        if not self._cursor.epoch:
            bounds = await self._log.bounds()
            self._cursor = Cursor(bounds.epoch, bounds.first - 1)
        async for batch in self._log.follow(Offset(self._cursor.position), epoch=self._cursor.epoch):
            self._following.worked()
            self._head = max(self._head, batch.head)
            await self._take(batch)
            if batch.next >= batch.head:
                await self._sleep(_REST_SECONDS)

    async def _take(self, batch: Batch) -> None:
        for end in range(_STRETCH, len(batch.events) + _STRETCH, _STRETCH):
            await self._stretch(batch.events[end - _STRETCH : end], batch.next < batch.head)
        self._cursor = self._cursor._replace(position=batch.next)
        if self._clock.monotonic() - self._written_at >= _WRITE_SECONDS:
            await self._write()

    async def _stretch(self, events: Sequence[Stored], behind: bool) -> None:
        """Take some events in; who is behind rests a while in between."""
        began = self._clock.monotonic()
        await self._in_writer(lambda: self._collector.take(events, self._clock.time()))
        self._cursor = self._cursor._replace(position=events[-1].offset)
        if self._collector.full:
            await self._write()
        if behind:
            await self._sleep(self._yields * (self._clock.monotonic() - began))

    async def _write(self) -> None:
        """Write what was gathered, then fold and trim; what could not be written is written first next time."""
        await self._flush()
        self._unwritten = (await self._in_writer(self._collector.drain), self._cursor)
        await self._flush()
        if self._changed:
            self._changed = False
            self._collector.adopt(_wanted(self.metrics))
            store, config = self._opened(), self.config
            await self._in_writer(lambda: store.configure(config.disk_budget_bytes, _keep(config)))
        await self._upkeep()
        self._written_at = self._clock.monotonic()
        self._working.worked()
        self._tell()

    async def _flush(self) -> None:
        if self._unwritten is not None:
            store, (gathered, cursor) = self._opened(), self._unwritten
            await self._in_writer(lambda: store.write(gathered, cursor, self._clock.time()))
            self._unwritten = None

    async def _upkeep(self) -> None:
        store = self._opened()
        for place in (await self._in_writer(lambda: store.due(self._clock.time())))[:_FOLDS]:
            await self._in_writer(partial(store.fold, place))
        for _ in range(_TRIMS):
            if not await self._in_writer(lambda: store.trim(self._clock.time())):
                return

    def _tell(self) -> None:
        store = self._opened()
        self._telemetry.bytes.set(store.size)
        for tier, floor in zip(TIERS, store.floors(), strict=True):
            self._telemetry.oldest.labels(tier.name).set(floor)
        counts = [store.forced_out, store.too_old]
        for counter, now, before in zip(
            (self._telemetry.forced_out, self._telemetry.too_old), counts, self._told, strict=True
        ):
            counter.inc(now - before)
        self._told = counts

    async def _open(self) -> None:
        config = self.config
        self._store = await self._in_writer(lambda: Store(self._path, config.disk_budget_bytes, _keep(config)))
        self._told = [0, 0]
        if self._unwritten is None:
            self._cursor = self._store.cursor
            self._collector.drain()
        self._open_now.set()
        log.info("history.opened", position=self._cursor.position, bytes=self._store.size)

    def _opened(self) -> Store:
        if self._store is None:
            raise HistoryAway("it is being opened")
        return self._store

    async def _failed(self, error: sqlite3.Error | OSError) -> None:
        """What could not be written stays in memory. A damaged file is put aside, and the log tells it all again."""
        kind = "damaged" if is_damage(error) else "full" if is_full(error) else "other"
        self._telemetry.errors.labels(kind).inc()
        self._working.failed(error)
        if kind == "damaged":
            await self._in_reader(self._let_go_of_reader)
            await self._in_writer(self._let_go)
            aside = await self._in_writer(lambda: set_aside(self._path))
            log.error("history.damaged", reason=str(error), aside=str(aside))
            self._open_now.clear()
            self._store, self._unwritten, self._cursor = None, None, Cursor("", 0)

    async def ask(self, work: Callable[[Reader], T]) -> T:
        """Let work read, in a thread of its own; right after the start it waits a moment. Raises HistoryAway."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self._working.failures else _PATIENCE_SECONDS):
                await self._open_now.wait()
        if self._store is None:
            raise HistoryAway(self._working.reason or "it is being opened")
        try:
            return await self._in_reader(lambda: work(self._reading()))
        except (sqlite3.Error, OSError) as error:
            raise HistoryAway(str(error)) from error

    def _reading(self) -> Reader:
        if self._reader is None:
            self._reader = Reader(self._path)
        return self._reader

    async def _in_writer(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)

    async def _in_reader(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader_thread, work)

    async def close(self) -> None:
        """Let go of the file. What was not written yet is taken from the log again."""
        # The one that writes closes last, and leaves one file.
        await self._in_reader(self._let_go_of_reader)
        await self._in_writer(self._let_go)
        self._writer.shutdown(wait=False)
        self._reader_thread.shutdown(wait=False)

    def _let_go(self) -> None:
        if self._store is not None:
            self._store.close()

    def _let_go_of_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _keep(config: HistoryConfig) -> Keep:
    return Keep(seconds(config.detail), seconds(config.aggregates))


def _wanted(metrics: Iterable[Metric]) -> list[Accumulator]:
    return [*ALWAYS, *(accumulator for metric in metrics for accumulator in metric.accumulators)]


def _resumed(cursor: Cursor, error: CursorError) -> Cursor:
    """Where to go on in a log that cannot serve the cursor.

    What the log no longer has is a gap. A log that was opened anew goes on beyond its noted head, so whatever lies
    behind its head was taken in before.
    """
    bounds = error.bounds
    position = min(max(cursor.position, bounds.first - 1), bounds.head)
    missed = max(0, bounds.first - 1 - cursor.position) if isinstance(error, Gone) else 0
    log.warning("history.cursor_lost", reason=str(error), position=position, missed=missed)
    return Cursor(bounds.epoch, position)
