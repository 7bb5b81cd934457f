"""Requests under way: bounded in time, ended by close, their failures in one form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp

from hxp_enterprise_llm.event.log.model import LogClosed
from hxp_enterprise_llm.event.log.remote.answers import Retry
from hxp_enterprise_llm.event.log.remote.lines import ProtocolError


class Calls:
    """All waiting of a remote log goes through `waiting`, so that `close` ends it."""

    def __init__(self) -> None:
        self.closed = False
        self._brief: set[asyncio.Timeout] = set()
        self._endless: set[asyncio.Timeout] = set()
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
        except aiohttp.ClientConnectorError as error:
            raise self._failure(f"no connection: {error}", maybe_stored=False) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ProtocolError) as error:
            raise self._failure(str(error) or type(error).__name__, maybe_stored=within is not None) from error
        finally:
            group.discard(timeout)
            if not self._brief and not self._endless:
                self._none_left.set()

    def _failure(self, reason: str, *, maybe_stored: bool) -> Exception:
        return LogClosed() if self.closed and not maybe_stored else Retry(reason, maybe_stored=maybe_stored)

    async def close(self, within: float) -> None:
        """End what is endless, let the rest finish within so many seconds, then end that too."""
        self.closed = True
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
