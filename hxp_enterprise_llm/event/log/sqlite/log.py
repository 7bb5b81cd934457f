"""SqliteLog: the log on disk for those who live in a loop. `committer` and `store` do the work."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal

import structlog

from hxp_enterprise_llm.config.processing import LogConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.log.checks import check_batch, check_cursor, check_limit
from hxp_enterprise_llm.event.log.chunks import Chunks, scan
from hxp_enterprise_llm.event.log.following import PROGRESS_SECONDS, Bell, follow
from hxp_enterprise_llm.event.log.model import (
    Appended,
    Batch,
    Bounds,
    Health,
    Limits,
    LogClosed,
    LogCorrupt,
    LogError,
    LogFull,
)
from hxp_enterprise_llm.event.log.sqlite.committer import Committer
from hxp_enterprise_llm.event.log.sqlite.errors import is_fatal
from hxp_enterprise_llm.event.log.sqlite.examine import Damage
from hxp_enterprise_llm.event.log.sqlite.files import free_bytes, trim_done, trim_request
from hxp_enterprise_llm.event.log.sqlite.queue import AppendQueue, Waiting
from hxp_enterprise_llm.event.log.sqlite.scrubber import STEP_BYTES, Findings, Scrubber
from hxp_enterprise_llm.event.log.sqlite.store import Committed, Sizes, Store, View
from hxp_enterprise_llm.event.log.window import IdentityWindow
from hxp_enterprise_llm.event.model import BEGINNING, Encoded, Offset, TypePatterns
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.telemetry.metrics import LogMetrics

log = structlog.get_logger("log")

_LOOKS_AFTER_DAMAGE = 12
"""In steps of the scrub: a read passes a megabyte, and the damaged record itself."""

_NOT_OPEN = View(Bounds("", Offset(1), BEGINNING), 0, "")


class SqliteLog:
    """The log in SQLite files of one directory, owned by this process.

    `writer` and `reader` run the blocking calls; without them the log has a thread of each kind of its own.
    `on_fatal` is called once when the disk failed so that only a new process can tell what it holds.
    `progress_seconds` is how often an idle `follow` gives a sign of life; `recent_bytes` is the memory for the newest
    events, from which readers near the head are served.
    """

    def __init__(
        self,
        directory: Path,
        *,
        config: LogConfig,
        clock: Clock,
        metrics: LogMetrics,
        writer: Executor | None = None,
        reader: Executor | None = None,
        on_fatal: Callable[[Exception], None] | None = None,
        progress_seconds: float = PROGRESS_SECONDS,
        recent_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        self._directory, self._config, self._clock = directory, config, clock
        self._given_writer, self._given_reader = writer, reader
        self._progress = progress_seconds
        limits = config.limits
        self._limits = Limits(limits.max_batch_events, limits.max_batch_bytes, limits.max_event_bytes)
        self._findings, self._metrics = Findings(metrics, clock), metrics
        self._state = _State(metrics, on_fatal, recent_bytes, self._findings)
        self._is_open = False
        # Made by `open`.
        self._store: Store
        self._committer: Committer
        self._reader: Executor
        self._own_threads: list[ThreadPoolExecutor] = []

    @property
    def limits(self) -> Limits:
        """What one append may carry."""
        return self._limits

    def reconfigure(self, config: LogConfig) -> None:
        """Take over what a reload may change: the disk budget, the pace of the scrub."""
        self._config = config
        if self._is_open:
            self._store.sizes = self._store.sizes._replace(budget=config.disk_budget_bytes)

    async def open(self) -> Bounds:
        """Open or create the log; see EventLog. Raises LogLocked, LogCorrupt, LogFull, LogUnavailable."""
        if self._is_open:
            return self._state.view.bounds
        config = self._config
        window = IdentityWindow(config.window_events, seconds(config.window_age))
        sizes = Sizes(config.segment_bytes, config.disk_budget_bytes, config.reserve_bytes)
        self._store = Store(self._directory, sizes, window, self._clock)
        writer = self._given_writer or self._thread("log-writer")
        self._reader = self._given_reader or self._thread("log-reader")
        try:
            view = await asyncio.get_running_loop().run_in_executor(writer, self._store.open)
        except LogError:
            self._stop_threads()
            raise
        self._committer = Committer(self._store, writer, AppendQueue(self._limits), self._state)
        self._state.opened(view)
        self._state.watch_disk(self._directory)
        self._is_open = True
        log.info("log.opened", directory=str(self._directory), **view.bounds._asdict())
        return view.bounds

    def _thread(self, name: str) -> Executor:
        self._own_threads.append(ThreadPoolExecutor(1, name))
        return self._own_threads[-1]

    def _stop_threads(self) -> None:
        for thread in self._own_threads:
            thread.shutdown(wait=False)
        self._own_threads.clear()

    async def append(self, events: Sequence[Encoded], *, deadline: float = 10.0) -> list[Appended]:
        """Store all events or none; see EventLog."""
        try:
            waiting = self._waiting(events, deadline)
            return list(await self._committer.append(waiting)) if events else []
        except LogError as error:
            self._state.count_error(error)
            raise

    def begin_append(self, events: Sequence[Encoded], *, deadline: float = 10.0) -> asyncio.Future[Sequence[Appended]]:
        """`append` that takes no task: what it would raise is the future's exception; see BeginsAppends."""
        answer: asyncio.Future[Sequence[Appended]] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(self._count_error)
        try:
            waiting = self._waiting(events, deadline, answer)
            if events:
                self._committer.begin(waiting)
            else:
                answer.set_result([])
        except (LogError, ValueError) as error:
            answer.set_exception(error)
        return answer

    def _count_error(self, answer: asyncio.Future[Sequence[Appended]]) -> None:
        error = None if answer.cancelled() else answer.exception()
        if isinstance(error, LogError):
            self._state.count_error(error)

    def _waiting(
        self, events: Sequence[Encoded], deadline: float, answer: asyncio.Future[Sequence[Appended]] | None = None
    ) -> Waiting:
        size = check_batch(events, self._limits)
        self._require_open()
        loop = asyncio.get_running_loop()
        return Waiting(events, size, answer or loop.create_future(), deadline, loop.time() + deadline)

    async def read(
        self, after: Offset, limit: int = 1000, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> Batch:
        """Events beyond `after`; see EventLog. Raises also LogCorrupt naming segment and record."""
        batch = self.read_nowait(after, limit, types=types, epoch=epoch)
        if batch is not None:
            return batch
        bounds = self._state.view.bounds
        after = check_cursor(after, epoch, bounds)
        work = partial(self._store.read, after, limit, types, bounds.head)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._reader, work)
        except LogCorrupt:
            await self._find_damage(after)
            raise

    async def _find_damage(self, after: Offset) -> None:
        damages: list[Damage] = []
        for _ in range(_LOOKS_AFTER_DAMAGE):
            if not damages:
                after, _, damages = await self._look(after, STEP_BYTES)
        self._findings.add(damages)

    async def _look(self, after: Offset, max_bytes: int) -> tuple[Offset, int, list[Damage]]:
        work = partial(self._store.scrub, after, max_bytes)
        return await asyncio.get_running_loop().run_in_executor(self._reader, work)

    async def run_scrub(self) -> None:
        """Each second: look through a bit of the log, see that its file is in place, trim when `hxp log trim` asks."""
        scrubber = Scrubber(self._look, lambda: self._state.view.bounds, self._findings, self._metrics, self._clock)
        with suppress(LogClosed):
            while self._is_open:
                await scrubber.tick(self._config.scrub_bytes_per_second)
                await self._require_in_place()
                await self._trim_on_request()
                await asyncio.sleep(1.0)

    async def _trim_on_request(self) -> None:
        up_to = trim_request(self._directory)
        if up_to is not None:
            with suppress(LogError):
                first = await self.trim(up_to)
                log.info("log.trimmed", up_to=up_to, first=first)
            trim_done(self._directory)

    async def _require_in_place(self) -> None:
        # A failure is told by the committer, to the state and to `on_fatal`.
        with suppress(LogError):
            await self._committer.run(self._store.require_in_place)

    def read_nowait(
        self, after: Offset, limit: int = 1000, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> Batch | None:
        """As `read`, from memory; None when the disk must be asked.

        A cursor beyond the head is refused at once: the owner of a log knows the head, there is no newer one to await.
        """
        self._require_open()
        check_limit(limit)
        bounds, recent = self._state.view.bounds, self._state.recent
        after = check_cursor(after, epoch, bounds)
        if after < recent.floor:
            return None
        return scan(recent.after(after), after, bounds.head, limit, types)

    def follow(
        self, after: Offset, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> AsyncIterator[Batch]:
        """Read on for ever; see EventLog."""
        read = partial(self.read, types=types, epoch=epoch or self._state.view.bounds.epoch)
        return follow(read, self._state.bell, after, progress=self._progress)

    async def bounds(self) -> Bounds:
        """Epoch, first and head."""
        return self.bounds_nowait()

    def head_nowait(self) -> Offset:
        """The head after the last commit; BEGINNING before the log was opened."""
        return self._state.view.bounds.head

    def bounds_nowait(self) -> Bounds:
        """The same at once."""
        self._require_open()
        return self._state.view.bounds

    async def trim(self, up_to: Offset) -> Offset:
        """Drop whole segments at or below `up_to`, one at a time between commits; answers the new first."""
        dropped = True
        while dropped:
            self._require_open()
            dropped = await self._committer.run(partial(self._store.trim, up_to))
        return self._state.view.bounds.first

    async def health(self) -> Health:
        """How the log is; never raises. After the disk was full it looks whether there is room again."""
        if self._is_open and self._state.view.full:
            try:
                await self._committer.run(self._store.recover_space)
            except LogError as error:
                self._state.count_error(error)
        return self._state.health(self._is_open)

    async def close(self, within: float = 5.0) -> None:
        """Finish what is under way within so many seconds and let go. Idempotent."""
        if not self._is_open:
            return
        self._is_open = False
        self._state.bell.ring()
        await self._committer.close(within)
        self._stop_threads()
        log.info("log.closed", directory=str(self._directory))

    def _require_open(self) -> None:
        if not self._is_open:
            raise LogClosed


class _State:
    """What the loop knows of the log: its bounds, its newest events, its figures. Listens to the committer."""

    def __init__(
        self,
        metrics: LogMetrics,
        on_fatal: Callable[[Exception], None] | None,
        recent_bytes: int,
        findings: Findings,
    ) -> None:
        self.view = _NOT_OPEN
        self.recent = Chunks(BEGINNING, recent_bytes)
        self.bell = Bell()
        self._metrics, self._on_fatal, self._findings = metrics, on_fatal, findings
        self._fatal: LogError | None = None
        self._commit_seconds: deque[float] = deque(maxlen=1024)

    def opened(self, view: View) -> None:
        """Begin at what was found on disk."""
        self.recent.clear(view.bounds.head)
        self._fatal = None
        self._findings.opened(view.doubt)
        self.changed(view)
        self._findings.add(view.unreadable)

    def watch_disk(self, directory: Path) -> None:
        """Tell how much is free, whenever somebody asks."""
        self._metrics.disk_free.set_function(lambda: free_bytes(directory))

    def committed(self, committed: Committed) -> None:
        """Take over what was stored, and wake those who wait for it."""
        for chunk in committed.chunks:
            self.recent.append(chunk)
        self.changed(committed.view)
        stored = sum(len(chunk.events) for chunk in committed.chunks)
        self._metrics.appended.inc(stored)
        self._metrics.duplicates.inc(sum(map(len, committed.answers)) - stored)
        if stored:
            self._metrics.append_seconds.observe(committed.seconds)
            self._commit_seconds.append(committed.seconds)
            self.bell.ring()

    def changed(self, view: View) -> None:
        """Take over bounds and sizes."""
        before, self.view = self.view, view
        self._metrics.head.set(view.bounds.head)
        self._metrics.bytes.set(view.bytes)
        # Also when nothing was trimmed: damage may have been found in a segment that was dropped meanwhile.
        self._findings.trimmed(view.bounds.first)
        if view.bounds.first != before.bounds.first or view.bounds.epoch != before.bounds.epoch:
            self.recent.drop(Offset(view.bounds.first - 1))
            self._metrics.first.set(view.bounds.first)

    def failed(self, error: LogError) -> None:
        """Keep why nothing can be stored; tell the owner when only a new process can help."""
        if isinstance(error, LogFull):
            self.view = self.view._replace(full=error.reason)
        elif is_fatal(error) and self._fatal is None:
            self._fatal = error
            if self._on_fatal is not None:
                self._on_fatal(error)

    def count_error(self, error: LogError) -> None:
        """Count an append that failed, by the kind of its error."""
        self._metrics.append_errors.labels(type(error).__name__).inc()

    def health(self, is_open: bool) -> Health:
        """How the log is, in the words of the contract."""
        bounds, times = self.view.bounds, sorted(self._commit_seconds)
        status: Literal["ok", "read_only", "down"] = "ok"
        reason = ""
        if not is_open or self._fatal is not None:
            status, reason = "down", str(self._fatal or "closed")
        elif self.view.full:
            status, reason = "read_only", self.view.full
        return Health(
            status=status,
            durable=True,
            head=bounds.head,
            first=bounds.first,
            epoch=bounds.epoch,
            bytes=self.view.bytes,
            append_p99_ms=times[len(times) * 99 // 100] * 1000 if times else None,
            reason=reason,
            findings=self._findings.texts(),
        )
