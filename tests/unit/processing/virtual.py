"""Virtual time: a clock that moves when a test says so, and an engine in a log that runs on it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.processing import AnalyticsConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import EventLog, Limits
from hxp_enterprise_llm.event.processing.engine import AnalyticsEngine
from hxp_enterprise_llm.event.processing.stored import AnalyticsFile
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics

from .events import NOW


class VirtualClock:
    """Wall and monotonic clock and `sleep`; sleepers wake in the order of their time."""

    def __init__(self, wall: float = NOW) -> None:
        self._elapsed, self._wall = 0.0, wall
        self._numbers = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def time(self) -> float:
        return self._wall + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    def new_id(self) -> str:
        return f"id{next(self._numbers)}"

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock, as an operator would."""
        self._wall = seconds - self._elapsed

    @property
    def awaited(self) -> bool:
        """Whether somebody sleeps."""
        return any(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._numbers), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let time pass; everything that falls due within it runs."""
        end = self._elapsed + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self._elapsed, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            await settle()
        self._elapsed = end
        await settle()


async def settle() -> None:
    """Let every task run until it waits: nothing here waits for anything but the loop and virtual time."""
    for _ in range(50):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until a condition holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


NOWHERE = AnalyticsFile(Path("/nowhere/analytics/state"))
"""Of an engine that never saves."""


def engine_of(
    log: EventLog, clock: VirtualClock, config: AnalyticsConfig | None = None, file: AnalyticsFile = NOWHERE
) -> AnalyticsEngine:
    """An engine of its own registry on virtual time."""
    metrics = ProcessingMetrics(CollectorRegistry())
    return AnalyticsEngine(config or AnalyticsConfig(), log, file, clock=clock, metrics=metrics, sleep=clock.sleep)


@asynccontextmanager
async def running(engine: AnalyticsEngine, *, whole: bool = True) -> AsyncIterator[AnalyticsEngine]:
    """The engine with its two tasks, its windows `whole`; a task that dies fails the test."""
    tasks = [asyncio.create_task(engine.run_follow()), asyncio.create_task(engine.run_ticks())]
    try:
        await until(lambda: engine.ready or not whole or tasks[0].done())
        await settle()
        yield engine
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def opened(clock: VirtualClock, *, offset_step: int = 3, limits: Limits | None = None) -> MemoryLog:
    """An open log in memory; its offsets have holes unless told otherwise."""
    log = MemoryLog(clock=clock, offset_step=offset_step, limits=limits)
    await log.open()
    return log
