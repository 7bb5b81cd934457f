"""The one line in front of the disk: commits and upkeep, one at a time, in an executor. It has no task of its own."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Literal, Protocol, TypeVar

import structlog

from hxp_enterprise_llm.event.log.model import Appended, LogClosed, LogError, LogFull, LogUnavailable
from hxp_enterprise_llm.event.log.sqlite.queue import AppendQueue, Waiting
from hxp_enterprise_llm.event.log.sqlite.store import Committed, Store, View

log = structlog.get_logger("log")

T = TypeVar("T")

_IN_A_ROW = 16
"""Commits after which others get a turn who stand in the line: trimming, say."""


class Listener(Protocol):
    """Who is told what happened, in the order in which it happened, before the appends are answered."""

    def committed(self, committed: Committed) -> None: ...

    def changed(self, view: View) -> None: ...

    def failed(self, error: LogError) -> None: ...


class Committer:
    """Group commit: appends that arrive while a commit runs are joined into the next one.

    The thread that has committed goes on with that next one itself, and the answers go out meanwhile: the disk does not
    wait for the loop, nor the loop for the disk.
    """

    def __init__(self, store: Store, executor: Executor, queue: AppendQueue, listener: Listener) -> None:
        self._store, self._executor, self._queue, self._listener = store, executor, queue, listener
        self._loop = asyncio.get_running_loop()
        self._group: list[Waiting] = []  # under way; the thread that commits it sets it too
        self._busy = self._closing = self._full = False
        self._sweep_at = math.inf
        self._sweeping: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    async def append(self, waiting: Waiting) -> Sequence[Appended]:
        """Wait for the commit that holds an append. Raises LogUnavailable, LogFull, LogCorrupt, LogClosed."""
        self.begin(waiting)
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            self._queue.withdraw(waiting)
            raise

    def begin(self, waiting: Waiting) -> None:
        """Queue an append; its answer comes with its commit, or when its time is over. Raises LogUnavailable."""
        self._queue.add(waiting)
        if waiting.until < self._sweep_at:
            self._sweep_later(waiting.until)
        self._next()

    def _sweep_later(self, at: float) -> None:
        # One timer for all appends: one for each would cost more than the rest of the queue.
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._sweep_at = at
        self._sweeping = None if at == math.inf else self._loop.call_at(at, self._sweep)

    def _sweep(self) -> None:
        now = self._loop.time()
        waiting, begun = self._queue.expired(now)
        _give_up(waiting, maybe_stored=False)
        _give_up(begun, maybe_stored=True)
        self._sweep_later(self._queue.next_deadline(now))

    def _next(self, upkeep: Literal["first", "last", "not now"] = "last") -> None:
        if self._busy:
            return
        due = upkeep != "not now" and not (self._closing or self._full or self._store.fatal)
        if due and (upkeep == "first" or not self._queue) and self._store.maintenance_due:
            self._begin(self._store.maintain, self._maintained)
        elif self._queue:
            self._group = self._queue.take()
            self._begin(self._commit, self._committed)
        else:
            self._idle.set()

    def _begin(self, work: Callable[[], T], done: Callable[[asyncio.Future[T]], None]) -> None:
        self._busy = True
        self._idle.clear()
        self._loop.run_in_executor(self._executor, work).add_done_callback(done)

    def _commit(self) -> Committed:
        """In the executor: commit the group, and those that come meanwhile; the loop is told of all but the last."""
        for left in reversed(range(_IN_A_ROW)):
            committed = self._store.commit([waiting.events for waiting in self._group])
            if not left or self._store.maintenance_due or not (following := self._queue.take()):
                break
            # As many turns of the loop as the end of a job takes: a job before this one is not told after it.
            self._loop.call_soon_threadsafe(self._loop.call_soon, self._answer, self._group, committed)
            self._group = following
        return committed

    def _committed(self, job: asyncio.Future[Committed]) -> None:
        self._busy = False
        group, self._group = self._group, []
        error = self._failure(job)
        if error is None:
            self._answer(group, job.result())
        else:
            _refuse(group, error)
        # Upkeep comes after the answers, so that it holds back as few as can be.
        self._next("first")

    def _answer(self, group: list[Waiting], committed: Committed) -> None:
        self._full = False
        self._listener.committed(committed)
        for waiting, answer in zip(group, committed.answers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)

    def _maintained(self, job: asyncio.Future[View]) -> None:
        self._busy = False
        if self._failure(job) is None:
            self._listener.changed(job.result())
            self._next()
        else:
            # It is due again after the next commit; at once it would fail again.
            self._next("not now")

    def _failure(self, job: asyncio.Future[T]) -> BaseException | None:
        if job.cancelled():
            error: BaseException | None = LogUnavailable("the executor was stopped", maybe_stored=True)
        else:
            error = job.exception()
        if isinstance(error, LogError):
            self._full = isinstance(error, LogFull)
            self._listener.failed(error)
        elif error is not None:
            log.error("log.unexpected_error", error=repr(error))
        return error

    async def run(self, work: Callable[[], tuple[T, View]]) -> T:
        """Do something else in the line; the listener hears of the state after it."""
        job = self._loop.run_in_executor(self._executor, work)
        # A callback, not the code after the await: states are then told in the order in which they were reached.
        job.add_done_callback(self._ran)
        # Shielded: that somebody no longer waits says nothing about the disk.
        return (await asyncio.shield(job))[0]

    def _ran(self, job: asyncio.Future[tuple[T, View]]) -> None:
        if self._failure(job) is None:
            view = job.result()[1]
            self._full = bool(view.full)
            self._listener.changed(view)

    async def close(self, within: float) -> None:
        """Finish what waits within so many seconds; what is left is refused. Then close the store."""
        self._closing = True
        end = self._loop.time() + within
        try:
            async with asyncio.timeout_at(end):
                await self._idle.wait()
        except TimeoutError:
            while waiting := self._queue.take():
                _refuse(waiting, LogClosed())
            _refuse(self._group, LogUnavailable("it was closed during the commit", maybe_stored=True))
        self._sweep_later(math.inf)
        closing = self._loop.run_in_executor(self._executor, self._store.close)
        # Not cancelled when it takes longer: a disk that hangs may still come back and let go of the files.
        await asyncio.wait([closing], timeout=max(0.1, end - self._loop.time()))


def _give_up(group: list[Waiting], *, maybe_stored: bool) -> None:
    for waiting in group:
        _refuse([waiting], LogUnavailable(f"no commit within {waiting.within:g} s", maybe_stored=maybe_stored))


def _refuse(group: list[Waiting], error: BaseException) -> None:
    for waiting in group:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
