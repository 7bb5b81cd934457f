"""Requests under way: bounded in time, ended by close, their failures in one form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp

from hxp_enterprise_llm.event.log.model import LogClosed
from hxp_enterprise_llm.event.log.remote.answers import Retry
from hxp_enterprise_llm.event.log.remote.lines import ProtocolError

FAILURES = (aiohttp.ClientError, TimeoutError, OSError, ProtocolError)
"""What may go wrong in a request."""


class Calls:
    """All waiting of a remote log goes through `waiting` or is within `streaming`, so that `close` ends it."""

    def __init__(self) -> None:
        self.closed = False
        self._brief: set[asyncio.Timeout] = set()
        self._endless: set[asyncio.Timeout] = set()
        self._streams: set[Callable[[], None]] = set()
        self._none_left = asyncio.Event()
        self._none_left.set()

    @asynccontextmanager
    async def waiting(self, within: float | None) -> AsyncIterator[None]:
        """A wait of at most so many seconds; None: endless, so that `close` does not wait for it either.

        Raises Retry for what goes wrong in it, LogClosed when it was ended before anything can have been stored.
        Not to be held over a `yield` of a generator: its end cancels the task that is in it.
        """
        if self.closed:
            raise LogClosed
        group = self._endless if within is None else self._brief
        timeout = asyncio.timeout(within)
        try:
            async with timeout:
                group.add(timeout)
                self._none_left.clear()
                yield
        except FAILURES as error:
            raise self.failure(error, maybe_stored=within is not None) from error
        finally:
            group.discard(timeout)
            if not self._brief and not self._endless:
                self._none_left.set()

    @contextmanager
    def streaming(self, end: Callable[[], None]) -> Iterator[None]:
        """Until then `close` calls `end`, which makes whoever waits for the stream fail. May be held over a `yield`."""
        self._streams.add(end)
        try:
            yield
        finally:
            self._streams.discard(end)

    def failure(self, error: Exception, *, maybe_stored: bool = False) -> Exception:
        """What one of `FAILURES` means: Retry, or LogClosed when it was ended and nothing can have been stored."""
        reason = str(error) or type(error).__name__
        if isinstance(error, aiohttp.ClientConnectorError):
            reason, maybe_stored = f"no connection: {error}", False
        return LogClosed() if self.closed and not maybe_stored else Retry(reason, maybe_stored=maybe_stored)

    async def close(self, within: float) -> None:
        """End what is endless, let the rest finish within so many seconds, then end that too."""
        self.closed = True
        for end in tuple(self._streams):
            end()
        self._end(self._endless)
        try:
            async with asyncio.timeout(within):
                await self._none_left.wait()
        except TimeoutError:
            self._end(self._brief)
            await self._none_left.wait()

    @staticmethod
    def _end(timeouts: set[asyncio.Timeout]) -> None:
        now = asyncio.get_running_loop().time()
        for timeout in timeouts:
            if not timeout.expired():
                timeout.reschedule(now)


def backoff(first: float = 0.1, most: float = 2.0) -> Iterator[float]:
    """Seconds to wait before each further try."""
    pause = first
    while True:
        yield pause
        pause = min(pause * 2, most)


@contextmanager
def protocol_errors() -> Iterator[None]:
    """What the far side says wrong ends the connection, and another one is tried. Raises Retry."""
    try:
        yield
    except ProtocolError as error:
        raise Retry(str(error), maybe_stored=False) from error
