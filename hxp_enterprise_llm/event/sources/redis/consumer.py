"""A consumer of a group: what it asks a Redis server, and in which order.

First comes what it was given before and has not acknowledged, then what others have left, then what is new. An entry
is acknowledged once it is stored, so that it comes again when either side dies in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from hxp_enterprise_llm.event.sources.heard import PATIENCE
from hxp_enterprise_llm.event.sources.redis.replies import (
    Entry,
    Marks,
    ReplyError,
    ServerSaid,
    entries_of,
    id_of,
    member,
    order,
)
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.fetch import FetchError

COUNT, LEAST = 256, 16
"""Most entries of one answer, shared among the streams; and how many each of them may have at least."""
_CLAIMED = 1000
_ROUNDS = 1000
"""Most questions in one search for what others have left."""
_BEGINNING = "0-0"


class Client(Protocol):
    """Asks a server one question after the other."""

    place: str
    marks: Marks

    async def ask(self, *words: str | int, seconds: float = PATIENCE) -> Any:
        """The answer. Raises FetchError: the connection is lost; ServerSaid."""

    async def close(self) -> None:
        """End it at once."""


class Role(NamedTuple):
    """What a consumer is."""

    streams: Sequence[str]
    group: str
    consumer: str
    start: str
    """Where a group begins that is made: an id, or `$`, behind the last entry."""
    claim_after: float
    """Seconds after which entries of other consumers are taken over; 0: never."""


class Consumer:
    """Reads streams for a group. `begin` makes it one; `places` outlives it: how far the group had come by stream."""

    def __init__(self, client: Client, role: Role, places: dict[str, str], clock: Clock) -> None:
        self._client, self._role, self._places, self._clock = client, role, places, clock
        self._keys = {stream.encode(): stream for stream in role.streams}
        self._pending = True
        self._claims = role.claim_after > 0
        self._claim_at = clock.monotonic()
        self._leaving = False
        self._waiting: asyncio.Timeout | None = None
        self.problem = ""
        """What is wrong with a part."""
        self.again = False
        """Whether what has come last was given to somebody before."""

    async def begin(self) -> None:
        """Make the group where it is missing. Raises FetchError."""
        for stream in self._role.streams:
            try:
                await self._join(stream)
            except ServerSaid as error:
                if error.words.startswith("WRONGTYPE"):
                    raise FetchError(
                        f"{stream} is no stream on {self._client.place}, but another kind of value"
                    ) from error
                raise self._failed(error) from error
            except ReplyError as error:
                raise self._strange(error) from error

    async def _join(self, stream: str) -> None:
        group, place = self._role.group, self._places.get(stream)
        try:
            await self._client.ask("XGROUP", "CREATE", stream, group, place or self._role.start, "MKSTREAM")
        except ServerSaid as error:
            if not error.words.startswith("BUSYGROUP"):
                raise
        else:
            if place is not None and order(await self._newest(stream)) < order(place):
                # Somebody has begun the stream anew, with smaller ids.
                await self._client.ask("XGROUP", "SETID", stream, group, _BEGINNING)
        if place is None:
            self._places[stream] = await self._place(stream)

    async def _newest(self, stream: str) -> str:
        return _id(member(await self._client.ask("XINFO", "STREAM", stream), b"last-generated-id"))

    async def _place(self, stream: str) -> str:
        groups = await self._client.ask("XINFO", "GROUPS", stream)
        name = self._role.group.encode()
        found = [each for each in groups if member(each, b"name") == name] if isinstance(groups, list) else []
        return _id(member(found[0] if found else None, b"last-delivered-id"))

    async def receive(self) -> Sequence[Entry] | None:
        """The entries that have come, at least one; None when we have left. Raises FetchError."""
        try:
            while not self._leaving:
                if entries := await self._next():
                    return entries
        except ServerSaid as error:
            raise self._failed(error) from error
        except ReplyError as error:
            raise self._strange(error) from error
        return None

    async def _next(self) -> Sequence[Entry]:
        if not self._pending and self._claims and self._clock.monotonic() >= self._claim_at:
            self._pending = await self._claim()
        new = not self._pending
        self.again = self._pending
        reply = await (self._wait() if new else self._read("0"))
        entries, more = entries_of(reply, self._keys, self._client.marks)
        self._pending = more or (bool(entries) and not new)
        for entry in entries if new else ():
            self._places[entry.stream] = entry.id
        return entries

    async def _wait(self) -> Any:
        """What is new; nothing, once we leave. What the server has given us then comes again to whoever is next."""
        try:
            async with asyncio.timeout(None) as self._waiting:
                return await self._read(">", "BLOCK", round(1000 * PATIENCE), seconds=2 * PATIENCE)
        except TimeoutError:
            return None
        finally:
            self._waiting = None

    async def _read(self, behind: str, *options: str | int, seconds: float = PATIENCE) -> Any:
        role, streams = self._role, self._role.streams
        who = ("XREADGROUP", "GROUP", role.group, role.consumer, "COUNT", max(LEAST, COUNT // len(streams)))
        return await self._client.ask(*who, *options, "STREAMS", *streams, *(behind for _ in streams), seconds=seconds)

    async def _claim(self) -> bool:
        """Take over what others have left for too long; whether there was any."""
        self._claim_at = self._clock.monotonic() + max(1.0, self._role.claim_after / 2)
        try:
            return any([await self._claim_of(stream) for stream in self._role.streams])
        except ServerSaid as error:
            if "unknown command" not in error.words.lower():
                raise
            self._claims = False
            self.problem = f"{self._client.place} is older than Redis 6.2: what other consumers leave is not taken over"
            return False

    async def _claim_of(self, stream: str) -> bool:
        role, cursor, found = self._role, _BEGINNING, False
        idle_ms = round(1000 * role.claim_after)
        for _ in range(_ROUNDS):
            words = (stream, role.group, role.consumer, idle_ms, cursor, "COUNT", _CLAIMED, "JUSTID")
            reply = await self._client.ask("XAUTOCLAIM", *words)
            if not isinstance(reply, list) or len(reply) < 2:
                raise ReplyError("its answer to XAUTOCLAIM is none")
            cursor, found = _id(reply[0]), found or bool(reply[1])
            if self._leaving or cursor == _BEGINNING:
                break
        return found

    async def taken(self, messages: Sequence[Entry]) -> None:
        """Acknowledge them. Raises FetchError."""
        by_stream: dict[str, list[str]] = {}
        for entry in messages:
            by_stream.setdefault(entry.stream, []).append(entry.id)
        try:
            for stream, ids in by_stream.items():
                await self._client.ask("XACK", stream, self._role.group, *ids)
        except ServerSaid as error:
            raise self._failed(error) from error

    def leave(self) -> None:
        """Read no more."""
        if self._waiting is not None and not self._leaving:
            self._waiting.reschedule(0)
        self._leaving = True

    async def close(self) -> None:
        """End the connection at once."""
        await self._client.close()

    def _failed(self, error: ServerSaid) -> FetchError:
        group, place = self._role.group, self._client.place
        if error.words.startswith("NOGROUP"):
            return FetchError(f"the group {group} is gone from {place} and is made anew: {error.words}")
        return FetchError(f"{place} does not do what it is asked: {error.words}")

    def _strange(self, error: ReplyError) -> FetchError:
        return FetchError(f"{self._client.place} is no Redis server: {error}")


def _id(text: Any) -> str:
    try:
        return id_of(text)
    except (TypeError, ValueError) as error:
        raise ReplyError("its answer has no id") from error
