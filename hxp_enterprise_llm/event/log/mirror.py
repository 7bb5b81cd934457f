"""The newest events of another process' log in memory: one stream, and any number of followers served from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial

import structlog

from hxp_enterprise_llm.event.log.checks import check_cursor, check_limit
from hxp_enterprise_llm.event.log.chunks import Chunks, chunk_of, scan
from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.log.following import PROGRESS_SECONDS, Bell, follow
from hxp_enterprise_llm.event.log.model import Appended, Batch, Bounds, CursorError, EventLog, Health, Limits, LogError
from hxp_enterprise_llm.event.model import BEGINNING, EARLIEST, Encoded, Offset, TypePatterns
from hxp_enterprise_llm.runtime.outage import Outage

log = structlog.get_logger("log")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class Mirror:
    """A log like the one that it mirrors. What it does not have in memory it asks for.

    Spawn `run` once it is open; where the log need not be there at the start, `run` alone will do.

    A cursor beyond what is mirrored is not refused here: the log itself may have got further.
    `recent_bytes` is the memory for the newest events; `progress_seconds` how often an idle `follow` gives a sign of
    life.
    """

    def __init__(
        self,
        far: EventLog,
        *,
        recent_bytes: int = 32 * 1024 * 1024,
        progress_seconds: float = PROGRESS_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._far, self._progress, self._sleep = far, progress_seconds, sleep
        self._bounds = Bounds("", Offset(1), BEGINNING)
        self._recent = Chunks(BEGINNING, recent_bytes)
        self._bell = Bell()
        self._following = Outage(log, "mirror.follow")

    @property
    def limits(self) -> Limits:
        return self._far.limits

    @property
    def head(self) -> Offset:
        """Up to where the log is mirrored."""
        return self._bounds.head

    async def open(self) -> Bounds:
        """Begin at the head. Raises LogError."""
        self._begin(await self._far.open())
        return self._bounds

    def _begin(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._recent.clear(bounds.head)
        self._bell.ring()

    async def run(self) -> None:
        """Take in what comes, for ever. A log that was made anew is mirrored anew."""
        pause = _FIRST_PAUSE
        while True:
            try:
                if not self._bounds.epoch:
                    self._begin(await self._far.bounds())
                async for batch in self._far.follow(self.head, epoch=self._bounds.epoch):
                    self._following.worked()
                    pause = _FIRST_PAUSE
                    self._take(batch)
            except CursorError as error:
                log.warning("mirror.cursor_lost", reason=str(error))
                self._begin(error.bounds)
                await self._sleep(_FIRST_PAUSE)
            except LogError as error:
                self._following.failed(error)
                await self._sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _take(self, batch: Batch) -> None:
        if batch.events:
            self._recent.append(chunk_of(StoredColumns.of(batch.events)))
        if batch.next > self.head:
            self._bounds = self._bounds._replace(head=batch.next)
            self._bell.ring()

    async def reached(self, offset: int, within: float) -> bool:
        """Wait until the log is mirrored up to an offset, at most so many seconds; answers whether it is."""
        try:
            async with asyncio.timeout(within):
                while self.head < offset:
                    await self._bell.wait()
        except TimeoutError:
            return False
        return True

    async def append(self, events: Sequence[Encoded], *, deadline: float = 10.0) -> list[Appended]:
        return await self._far.append(events, deadline=deadline)

    async def read(
        self, after: Offset, limit: int = 1000, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> Batch:
        """As of a log. Where the mirror ends, the log itself is asked: it may have got further."""
        batch = self.read_nowait(after, limit, types=types, epoch=epoch) if after < self.head else None
        return await self._far.read(after, limit, types=types, epoch=epoch) if batch is None else batch

    def read_nowait(
        self, after: Offset, limit: int = 1000, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> Batch | None:
        """As `read`, from memory, up to where the log is mirrored; None when the log must be asked."""
        check_limit(limit)
        if not self._bounds.epoch or after == EARLIEST or not self._recent.floor <= after <= self.head:
            return None
        after = check_cursor(after, epoch, self._bounds)
        return scan(self._recent.after(after), after, self.head, limit, types)

    def head_nowait(self) -> Offset:
        """Up to where the log is mirrored."""
        return self.head

    def follow(
        self, after: Offset, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> AsyncIterator[Batch]:
        read = partial(self._read_on, types=types, epoch=epoch or self._bounds.epoch)
        return follow(read, self._bell, after, progress=self._progress)

    async def _read_on(self, after: Offset, *, types: TypePatterns | None, epoch: str) -> Batch:
        """As `read`; but at the end of the mirror there is nothing until the bell rings."""
        batch = self.read_nowait(after, types=types, epoch=epoch)
        return await self._far.read(after, types=types, epoch=epoch) if batch is None else batch

    async def bounds(self) -> Bounds:
        return await self._far.bounds()

    async def trim(self, up_to: Offset) -> Offset:
        return await self._far.trim(up_to)

    async def health(self) -> Health:
        return await self._far.health()

    async def close(self, within: float = 5.0) -> None:
        """Let go of the log; `run` is the caller's to cancel."""
        await self._far.close(within)
