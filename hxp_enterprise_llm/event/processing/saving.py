"""When a state is saved: by time, by number of events, and never at more than a small share of the time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, NamedTuple, TypeVar

import structlog

from hxp_enterprise_llm.event.processing.keeping import StateFile, Unusable
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.outage import Outage

T = TypeVar("T")
log = structlog.get_logger("saving")

MOST_EVENTS = 30_000
"""Events after which a state is saved whatever the time: a start reads at most about so many again, a tenth of a
second of work."""
_SHARE = 0.04
"""Of the time that saving may take: a state that is costly to write is saved less often."""


class Content(NamedTuple):
    """What is to be written, and how far the log is in it."""

    position: int
    data: bytes


class Saver(Generic[T]):
    """Saves one state into its file. Spawn `run`; `close` saves for the last time."""

    def __init__(
        self,
        file: StateFile[T],
        name: str,
        *,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
        content: Callable[[], Content | None],
        told: Callable[[float, int], None],
    ) -> None:
        """`content`: what is to be saved now, None while there is nothing whole.

        `told` is told how many seconds and bytes a save took. `name`: whose state it is, for log lines.
        """
        self.file, self._name, self._clock, self._sleep = file, name, clock, sleep
        self._content, self._told = content, told
        self._writer = ThreadPoolExecutor(1, name)
        self._position = 0
        self._events = 0
        self._many = asyncio.Event()
        self._cost = 0.0
        self.outage = Outage(log, f"{name}.save")

    def begin(self, position: int) -> None:
        """What is in the file holds the log up to here; -1: it holds nothing of it."""
        self._position = position

    def took(self, events: int) -> None:
        """So many events more are in the state."""
        self._events += events
        if self._events >= MOST_EVENTS:
            self._many.set()

    async def read(self) -> T | None:
        """The saved state. One that cannot be used is kept aside: the log has what it was made of."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._read)

    def _read(self) -> T | None:
        try:
            return self.file.read()
        except (Unusable, OSError) as error:
            log.warning("state.unusable", of=self._name, reason=str(error))
            self.set_aside("unusable")
            return None

    def set_aside(self, name: str) -> None:
        """Keep the file under another name, if there is one."""
        with suppress(OSError):
            self.file.set_aside(name)

    async def run(self, interval: Callable[[], float]) -> None:
        """Save after so many seconds or after many events, for ever."""
        while True:
            await self._until_due(interval())
            await self.save()
            await self._sleep(self._cost / _SHARE)

    async def _until_due(self, seconds: float) -> None:
        waits = [asyncio.ensure_future(self._sleep(seconds)), asyncio.ensure_future(self._many.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def save(self) -> None:
        """Save state and position in one step, when there is something new."""
        self._events = 0
        self._many.clear()
        started = self._clock.monotonic()
        content = self._content()
        if content is None or content.position == self._position:
            return
        self._cost = self._clock.monotonic() - started
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._write, content.data)
        except OSError as error:
            self.outage.failed(error)
            return
        self.outage.worked()
        self._position = content.position
        self._told(self._cost, len(content.data))

    def _write(self, data: bytes) -> None:
        started = self._clock.monotonic()
        try:
            self.file.write(data)
        finally:
            self._cost += self._clock.monotonic() - started

    async def close(self) -> None:
        """Save for the last time."""
        await self.save()
        self._writer.shutdown(wait=False)
