"""Reading a request body: bounded in size, ratio, time and memory over all requests.

The application runs with `auto_decompress=False`: what arrives here is as it was on the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp
from aiohttp import web

from hxp_enterprise_llm.security.inflate import Bomb, Corrupt, Inflater
from hxp_enterprise_llm.security.problems import Problem

DEADLINE_SECONDS = 10.0
BYTES_PER_SECOND = 100_000
FIRST_BREATH_BYTES = 64 * 1024
"""Bytes that each body may make without waiting for its turn: most have no more."""
BREATH_BYTES = 256 * 1024
"""Bytes that all bodies together make between two turns of the event loop, about a millisecond of it."""
_END = object()


class BodyBudget:
    """Bytes of bodies that all requests together may hold in memory.

    An eighth more is kept for the first `FIRST_BREATH_BYTES` of each: where large bodies have taken all there is, small
    ones still come in.
    """

    def __init__(self, total: int = 128 * 1024 * 1024) -> None:
        self.total = total
        self.held = 0
        self.turn = asyncio.Lock()
        """Held while a step of one compressed body is made, so that many of them make no longer steps together."""

    def room(self, *, small: bool) -> int:
        """Bytes that may still come, of a small body or of a large one."""
        return self.total + (self.total // 8 if small else 0) - self.held

    def lease(self) -> Lease:
        """A share that grows as one body arrives."""
        return Lease(self)


class Lease:
    """The share of one request; given back when the request has been answered."""

    __slots__ = ("_budget", "_held")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget, self._held = budget, 0

    def take(self, size: int) -> bool:
        """Whether so many bytes more are within the budget; if so they are held."""
        if size > self._budget.room(small=self._held + size <= FIRST_BREATH_BYTES):
            return False
        self._budget.held += size
        self._held += size
        return True

    def release(self) -> None:
        """Give everything back. Idempotent."""
        self._budget.held -= self._held
        self._held = 0


LEASE = web.RequestKey("LEASE", Lease)
"""Where the edge finds the lease that it releases when the request has been answered."""


async def read_body(request: web.Request, *, limit: int, budget: BodyBudget) -> bytes:
    """The body, decompressed; at most `limit` bytes both on the wire and after decompression.

    Raises Problem: 400 cut off or corrupt, 408 too slow, 413 too large, 503 too many bodies at once.
    The bytes count against `budget` until the edge has answered the request.
    """
    announced = request.content_length or 0
    if announced > limit:
        raise too_large(announced, limit)
    lease = request[LEASE] = budget.lease()
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    assembly = _Assembly(limit, lease, None if encoding == "identity" else Inflater(encoding))
    try:
        await _receive(request.content, assembly, budget.turn)
        return assembly.finish()
    except Corrupt as error:
        raise Problem(400, "bad_encoding", str(error), "send the whole compressed body, or send it plain") from None
    except Bomb as error:
        raise Problem(413, "decompression_bomb", str(error), "send it in several requests, or plain") from None


def too_large(found: int, limit: int, *, at_least: bool = False) -> Problem:
    """The refusal of a body beyond the limit."""
    more = "more than " if at_least else ""
    return Problem(
        413,
        "body_too_large",
        f"the body has {more}{found:,} bytes, at most {limit:,} are taken",
        "send it in several requests",
        limit=limit,
    )


class _Assembly:
    """Puts a body together out of what arrives, within its bounds."""

    def __init__(self, limit: int, lease: Lease, inflater: Inflater | None) -> None:
        self.received = 0
        self._limit, self._lease, self._inflater = limit, lease, inflater
        self._parts: list[bytes] = []
        self._size = 0
        self._breath = FIRST_BREATH_BYTES

    @property
    def takes_turns(self) -> bool:
        """Whether it is compressed and has become too large to be made beside others."""
        return self._inflater is not None and self._breath == BREATH_BYTES

    def feed(self, chunk: bytes) -> Iterator[None]:
        """Take a chunk from the wire; yields after each breath, so that the caller can let others run."""
        self.received += len(chunk)
        if self.received > self._limit:
            raise too_large(self._limit, self._limit, at_least=True)
        breath = 0
        for piece in self._inflater.feed(chunk) if self._inflater else (chunk,):
            self._add(piece)
            breath += len(piece)
            if breath >= self._breath:
                breath, self._breath = 0, BREATH_BYTES
                yield

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise too_large(self._limit, self._limit, at_least=True)
        if not self._lease.take(len(piece)):
            raise Problem(
                503, "too_many_bodies", "too many bodies arrive at once", "try again", headers={"Retry-After": "1"}
            )
        self._parts.append(piece)

    def finish(self) -> bytes:
        if self._inflater is not None and self.received:
            self._inflater.finish()
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


async def _feed(assembly: _Assembly, chunk: bytes, turn: asyncio.Lock) -> None:
    steps = assembly.feed(chunk)
    while not assembly.takes_turns:
        if next(steps, _END) is _END:
            return
        await asyncio.sleep(0)
    while True:
        # Held for a turn of the loop, then it goes to who has waited longest.
        async with turn:
            if next(steps, _END) is _END:
                return
            await asyncio.sleep(0)


async def _receive(content: aiohttp.StreamReader, assembly: _Assembly, turn: asyncio.Lock) -> None:
    if content.is_eof() and content.exception() is None:
        # A small body is here together with the head: there is nothing to wait for.
        return await _feed(assembly, content.read_nowait(), turn)
    start = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(start + DEADLINE_SECONDS) as deadline:
            while chunk := await content.readany():
                await _feed(assembly, chunk, turn)
                deadline.reschedule(start + DEADLINE_SECONDS + assembly.received / BYTES_PER_SECOND)
    except TimeoutError:
        text = f"the body arrives too slowly: {assembly.received:,} bytes in the time for it"
        raise Problem(
            408, "body_too_slow", text, "at least 100 kB a second are expected", headers={"Connection": "close"}
        ) from None
    except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, ConnectionError) as error:
        text = f"the body is cut off after {assembly.received:,} bytes"
        raise Problem(400, "body_cut_off", text, "send as many bytes as announced") from error
