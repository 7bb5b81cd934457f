"""GET /events/stream: the log as lines, for programs that follow it.

    # EPOCH FIRST HEAD NEXT      first, then at least each 10 s while nothing happens: a sign of life with the cursor
    OFFSET RAW                   an event, byte for byte as it is stored
    ! CODE JSON                  the cursor cannot go on: gone, epoch_changed; or the log cannot: then the end

A reader that stops reading costs nothing here: the write waits, and nothing is read for it meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from aiohttp import web

from hxp_enterprise_llm.event.log.model import Batch, Bounds, CursorError, EventLog, LogError, Stored
from hxp_enterprise_llm.event.model import EARLIEST, Offset, TypePatterns
from hxp_enterprise_llm.event.sources import query
from hxp_enterprise_llm.event.sources.answers import cursor_details, problem_of
from hxp_enterprise_llm.security.edge import ends_with_service

READ_EVENTS = 1000
MAX_LIMIT = query.MAX_OFFSET


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
            query.after(asked, None),
            query.epoch(asked),
            query.types(asked),
            query.limit(asked, None, MAX_LIMIT),
            query.flag(asked, "wait", True),
        )


class EventStream:
    """The handler; one call is one reader."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Follow from `after` (without it: from the head), at most `limit` events; `wait=0` ends at the head."""
        asked = _Asked.of(request.query)
        try:
            bounds = await self._log.bounds()
            after = bounds.head if asked.after is None else asked.after
            batch = await self._log.read(after, self._size(asked.limit), types=asked.types, epoch=asked.epoch)
        except LogError as error:
            raise problem_of(error) from error
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8", "X-Accel-Buffering": "no"})
        await response.prepare(request)
        if request.method != "HEAD":
            with ends_with_service(request):
                start = Offset(bounds.first - 1) if after == EARLIEST else after
                await response.write(_progress(bounds, start))
                await self._send(response, asked, bounds, batch)
        return response

    def _size(self, left: int | None) -> int:
        return READ_EVENTS if left is None else min(READ_EVENTS, left)

    async def _send(self, response: web.StreamResponse, asked: _Asked, bounds: Bounds, batch: Batch) -> None:
        try:
            await (self._follow if asked.wait else self._read)(response, asked, bounds.epoch, batch)
        except LogError as error:
            await response.write(_last_line(error))

    async def _read(self, response: web.StreamResponse, asked: _Asked, epoch: str, batch: Batch) -> None:
        """Up to the head or the limit, then a last progress line."""
        left = asked.limit
        while batch.events or batch.next < batch.head:
            await response.write(_lines(batch.events))
            left = None if left is None else left - len(batch.events)
            if left == 0:
                break
            batch = await self._log.read(batch.next, self._size(left), types=asked.types, epoch=epoch)
        await response.write(_progress(await self._log.bounds(), batch.next))

    async def _follow(self, response: web.StreamResponse, asked: _Asked, epoch: str, batch: Batch) -> None:
        """For ever, or up to the limit."""
        left = asked.limit
        await response.write(_lines(batch.events))
        left = None if left is None else left - len(batch.events)
        if left == 0:
            return await response.write(_progress(await self._log.bounds(), batch.next))
        async for found in self._log.follow(batch.next, types=asked.types, epoch=epoch):
            events = found.events if left is None else found.events[:left]
            ...
