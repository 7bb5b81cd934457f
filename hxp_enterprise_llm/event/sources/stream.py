"""GET /events/stream: the log as lines, for programs that follow it.

    # EPOCH FIRST HEAD NEXT      first, then each 10 s, and last of all: a sign of life with the cursor
    OFFSET RAW                   an event, byte for byte as it is stored
    ! CODE JSON                  the end: the cursor cannot go on (gone, epoch_changed), or the log cannot

A reader that stops reading costs nothing here: the write waits, and nothing is read for it meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import msgspec
from aiohttp import web

from hxp_enterprise_llm.event.log.model import Batch, Bounds, CursorError, EventLog, LogError, Stored
from hxp_enterprise_llm.event.log.remote.lines import event_lines
from hxp_enterprise_llm.event.model import EARLIEST, Offset, TypePatterns
from hxp_enterprise_llm.event.sources import query
from hxp_enterprise_llm.event.sources.answers import cursor_details, problem_of
from hxp_enterprise_llm.security.edge import ends_with_service

READ_EVENTS = 1000
PROGRESS_SECONDS = 10.0
SKIPPED_SECONDS = 1.0
"""A reader that chose types hears at most this often that there was nothing for it."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a reader asked for."""

    after: Offset | None
    epoch: str | None
    types: TypePatterns | None
    limit: int | None
    wait: bool

    @classmethod
    def of(cls, asked: query.Query) -> _Asked:
        return cls(
            query.after(asked),
            query.epoch(asked),
            query.types(asked),
            query.limit(asked, query.MAX_OFFSET),
            query.flag(asked, "wait", True),
        )


class EventStream:
    """The handler; one call is one reader.

    `rest` is how many seconds a reader at the head is left alone after each of its writes. A lone event is sent at once
    all the same; where commits come thick and fast, several are sent together, at a part of the cost. `form` is how
    events are written.
    """

    def __init__(
        self, log: EventLog, rest: float = 0.0, form: Callable[[Sequence[Stored]], bytes] = event_lines
    ) -> None:
        self._log, self._rest, self._form = log, rest, form

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Follow from `after` (without it: from the head), at most `limit` events; `wait=0` ends at the head."""
        asked = _Asked.of(request.query)
        try:
            bounds = await self._log.bounds()
            after = bounds.head if asked.after is None else asked.after
            batch = await self._log.read(
                after, min(asked.limit or READ_EVENTS, READ_EVENTS), types=asked.types, epoch=asked.epoch
            )
        except LogError as error:
            raise problem_of(error) from error
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8", "X-Accel-Buffering": "no"})
        await response.prepare(request)
        if request.method != "HEAD":
            # A reader that goes away ends its stream, and nothing else.
            with ends_with_service(request), contextlib.suppress(ConnectionResetError):
                start = Offset(bounds.first - 1) if after == EARLIEST else after
                await response.write(_progress(bounds, start))
                await self._send(response, asked, bounds.epoch, start, batch)
        return response

    async def _send(self, response: web.StreamResponse, asked: _Asked, epoch: str, start: Offset, batch: Batch) -> None:
        try:
            async with aclosing(self._batches(start, batch, asked, epoch)) as batches:
                cursor = await self._write(response, batches, start, asked.limit)
            await response.write(_progress(await self._log.bounds(), cursor))
        except LogError as error:
            await response.write(_last_line(error))

    async def _batches(self, start: Offset, batch: Batch, asked: _Asked, epoch: str) -> AsyncGenerator[Batch, None]:
        """Without `wait` up to the head, else for ever."""
        if batch.next > start:
            yield batch
        if asked.wait:
            async for found in self._log.follow(batch.next, types=asked.types, epoch=epoch):
                yield found
                if self._rest and found.events and found.next == found.head:
                    await asyncio.sleep(self._rest)
        while batch.next < batch.head:
            batch = await self._log.read(batch.next, READ_EVENTS, types=asked.types, epoch=epoch)
            yield batch

    async def _write(
        self, response: web.StreamResponse, batches: AsyncGenerator[Batch, None], cursor: Offset, limit: int | None
    ) -> Offset:
        """Write the events, and now and then where the scan is; answers where it ended."""
        loop = asyncio.get_running_loop()
        pace = _Pace(cursor, loop.time())
        async for batch in batches:
            events, cursor = _cut(batch, limit)
            if events:
                await response.write(self._form(events))
            limit = None if limit is None else limit - len(events)
            if limit == 0:
                break
            if pace.progress_due(events, cursor, loop.time()):
                await response.write(_progress(await self._log.bounds(), cursor))
        return cursor


class _Pace:
    """When a reader is told where the scan is.

    Most readers know from the last event. One that chose types is told what was left out: with its next event, else
    once in a while, so that a busy log does not wake a reader who wants none of it.
    """

    __slots__ = ("_cursor", "_told_at")

    def __init__(self, cursor: Offset, now: float) -> None:
        self._cursor, self._told_at = cursor, now

    def progress_due(self, events: Sequence[Stored], cursor: Offset, now: float) -> bool:
        """Whether a progress line follows these events; `cursor` is where the scan is after them."""
        stands, self._cursor = cursor == self._cursor, cursor
        passed = now - self._told_at
        if events:
            due = cursor > events[-1].offset or passed >= PROGRESS_SECONDS
        else:
            # The log says that nothing happened, or that only what was not asked for did.
            due = stands or passed >= SKIPPED_SECONDS
        if due:
            self._told_at = now
        return due


def _cut(batch: Batch, limit: int | None) -> tuple[Sequence[Stored], Offset]:
    """At most `limit` events of the batch, and where the scan is after them."""
    if limit is None or len(batch.events) <= limit:
        return batch.events, batch.next
    return batch.events[:limit], batch.events[limit - 1].offset


def _progress(bounds: Bounds, cursor: Offset) -> bytes:
    return f"# {bounds.epoch} {bounds.first} {bounds.head} {cursor}\n".encode()


def _last_line(error: LogError) -> bytes:
    details = cursor_details(error) if isinstance(error, CursorError) else {"message": str(error)}
    return f"! {problem_of(error).code} ".encode() + msgspec.json.encode(details) + b"\n"
