"""Keeps the state of the dashboards at the head of the log: reads its tail at the start, then follows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from hxp_enterprise_llm.event.dashboards.state import DashboardState
from hxp_enterprise_llm.event.log.model import CursorError, EventLog, LogClosed, LogCorrupt, LogError
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.runtime.clock import Clock

log = structlog.get_logger("dashboards")

TAIL = 200_000
"""Offsets that are read back: with ordinary traffic more than the hour that is kept."""
_READ_EVENTS = 8192
"""Most of one read of the tail. Each waits for its turn among the threads, at a start longer than it reads."""
RETRY_SECONDS = 1.0
UNWATCHED_SECONDS, FEW_EVENTS = 0.1, 64
"""Pause while nobody looks, unless so many events came at once: then there may be more than a pause lets through."""

Firing = Callable[[], Awaitable[Sequence[Mapping[str, Any]]]]
"""Answers the data of the alerts that fire now, each as `alert.firing` carries it."""


class Follower:
    """Owns the state. `moved` is called after each stretch of the log."""

    def __init__(
        self,
        log: EventLog,
        *,
        clock: Clock,
        firing: Firing | None = None,
        watched: Callable[[], bool] = lambda: True,
        tail: int = TAIL,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """`watched` answers whether somebody looks: for nobody, single events are taken together."""
        self._log, self._clock, self._firing, self._watched = log, clock, firing, watched
        self._tail, self._retry_seconds = tail, retry_seconds
        self.state = DashboardState()
        self.ready = asyncio.Event()
        """Set while the state is that of the log; cleared when the log was recreated and is read anew."""

    async def run(self, moved: Callable[[], None]) -> None:
        """Follow for ever. Raises LogError when the log is closed or corrupt."""
        told = False
        while True:
            try:
                if not self.ready.is_set():
                    await self.rebuild()
                    moved()
                told = False
                await self._follow(moved)
            except CursorError as error:
                log.warning("dashboards.reset", reason=str(error))
                self.ready.clear()
            except (LogClosed, LogCorrupt):
                raise
            except LogError as error:
                # Also one that refuses us: whoever answers in its place today may not do so tomorrow.
                if not told:
                    log.warning("dashboards.log_unavailable", reason=str(error))
                told = True
                await asyncio.sleep(self._retry_seconds)

    async def rebuild(self) -> None:
        """Make the state anew from the log's tail."""
        bounds = await self._log.bounds()
        state = DashboardState(bounds.epoch)
        state.position = Offset(max(bounds.first - 1, bounds.head - self._tail))
        while state.position < bounds.head:
            batch = await self._log.read(state.position, _READ_EVENTS, epoch=bounds.epoch)
            state.take(batch.events, batch.next)
            await asyncio.sleep(0)  # others have their turn while a long tail is read
        if self._firing is not None:
            state.alerts.replace(await self._firing(), self._clock.time())
        self.state = state
        self.ready.set()

    async def _follow(self, moved: Callable[[], None]) -> None:
        async for batch in self._log.follow(self.state.position, epoch=self.state.epoch):
            self.state.take(batch.events, batch.next)
            moved()
            if 0 < len(batch.events) < FEW_EVENTS and not self._watched():
                await asyncio.sleep(UNWATCHED_SECONDS)
