"""What a channel carried, read out of the log: forwards from a place, or backwards from the newest."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from hxp_enterprise_llm.event.log.model import Bounds, CursorError, EventLog, Gone
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.streaming.centrifuge.codes import (
    BAD_REQUEST,
    INTERNAL,
    UNRECOVERABLE,
    Refused,
)
from hxp_enterprise_llm.event.streaming.channel import Channel
from hxp_enterprise_llm.event.streaming.encode import Message
from hxp_enterprise_llm.event.streaming.publication import Content, content_of
from hxp_enterprise_llm.event.streaming.serverapi.commands import History

MAX_PUBLICATIONS = 1000
MAX_BYTES = 8 * 1024 * 1024
"""Bytes of events that one answer carries, about; the next is asked for with `since`."""
SECONDS = 5.0
"""How long a history may take to read."""
_READ_EVENTS = 1000
_WINDOW = (1024, 65536)
"""Offsets looked at in one step backwards: at first, and at most."""


class Publications:
    """What was found, bounded in number and in bytes; what is too much leaves at the far end."""

    def __init__(self, limit: int, *, newest: bool) -> None:
        self.items: deque[tuple[Message, Content]] = deque()
        self._limit, self.newest, self._bytes = limit, newest, 0
        self.full = False

    def add(self, messages: list[Message]) -> None:
        """Take in messages in the order of the log."""
        for message in messages:
            content = content_of(message.type, message.raw)
            if content.skip_history or (self.full and not self.newest):
                continue
            self.items.append((message, content))
            self._bytes += len(message.raw)
            while self._too_much:
                left, _ = self.items.popleft() if self.newest else self.items.pop()
                self._bytes -= len(left.raw)
                self.full = True
            self.full |= len(self.items) == self._limit

    @property
    def _too_much(self) -> bool:
        return len(self.items) > self._limit or (self._bytes > MAX_BYTES and len(self.items) > 1)


async def read_history(event_log: EventLog, channel: Channel, request: History) -> dict[str, Any]:
    """The answer. Raises Refused, and LogError when the log cannot be read."""
    bounds = await event_log.bounds()
    limit = _limit(request)
    found: list[dict[str, Any]] = []
    if limit:
        try:
            async with asyncio.timeout(SECONDS):
                found = await _read(event_log, channel, request, bounds, limit)
        except TimeoutError:
            text = f"internal server error: the history took more than {SECONDS:g} s to read; ask with since"
            raise Refused(INTERNAL._replace(message=text)) from None
        except CursorError as error:
            raise _lost(error) from error
    return {"publications": found, "epoch": bounds.epoch, "offset": bounds.head}


def _limit(request: History) -> int:
    if not -1 <= request.limit <= MAX_PUBLICATIONS:
        text = f"bad request: limit is {request.limit:,}, not -1 to {MAX_PUBLICATIONS:,}"
        raise Refused(BAD_REQUEST._replace(message=text))
    return MAX_PUBLICATIONS if request.limit == -1 else request.limit


async def _read(
    event_log: EventLog, channel: Channel, request: History, bounds: Bounds, limit: int
) -> list[dict[str, Any]]:
    since = request.since
    if since is not None and since.epoch and since.epoch != bounds.epoch:
        raise _lost(f"the log has epoch {bounds.epoch}")
    if since is not None and since.offset < 0:
        raise Refused(BAD_REQUEST._replace(message="bad request: since.offset is below 0"))
    reader = _Reader(event_log, channel, bounds)
    if request.reverse:
        found = await reader.backward(bounds.head if since is None else since.offset - 1, limit)
    else:
        found = await reader.forward(bounds.first - 1 if since is None else since.offset, limit)
    return [_publication(message, content) for message, content in found]


def _lost(reason: object) -> Refused:
    return Refused(UNRECOVERABLE._replace(message=f"unrecoverable position: {reason}"))


def _publication(message: Message, content: Content) -> dict[str, Any]:
    members: dict[str, Any] = {"data": content.data, "offset": message.offset}
    if content.tags:
        members["tags"] = content.tags
    return members


class _Reader:
    """Reads one channel between bounds."""

    def __init__(self, event_log: EventLog, channel: Channel, bounds: Bounds) -> None:
        self._log, self._channel, self._bounds = event_log, channel, bounds

    async def forward(self, after: int, limit: int) -> list[tuple[Message, Content]]:
        """The first ones beyond `after`."""
        if after > self._bounds.head:
            raise _lost(f"the log ends at {self._bounds.head}")
        found = Publications(limit, newest=False)
        await self._scan(after, self._bounds.head, found)
        return list(found.items)

    async def backward(self, upto: int, limit: int) -> list[tuple[Message, Content]]:
        """The last ones up to there, the newest first."""
        if upto > self._bounds.head:
            raise _lost(f"the log ends at {self._bounds.head}")
        answer: list[tuple[Message, Content]] = []
        size, most = _WINDOW
        while upto >= self._bounds.first:
            begin = max(upto - size, self._bounds.first - 1)
            found = Publications(limit - len(answer), newest=True)
            try:
                await self._scan(begin, upto, found)
            except Gone:
                break  # trimmed meanwhile: the history begins here
            answer += reversed(found.items)
            if found.full:
                break
            upto, size = begin, min(2 * size, most)
        return answer

    async def _scan(self, cursor: int, upto: int, found: Publications) -> None:
        while cursor < upto and (found.newest or not found.full):
            batch = await self._log.read(
                Offset(cursor), _READ_EVENTS, types=self._channel.scan_types, epoch=self._bounds.epoch
            )
            found.add(self._channel.select(batch.events, self._bounds.epoch, upto))
            cursor = batch.next
            # A log that answers from memory never waits; the loop has others to serve.
            await asyncio.sleep(0)
