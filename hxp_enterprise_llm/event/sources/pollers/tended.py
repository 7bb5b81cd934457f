"""What is common to a source that is asked and one that is listened to: its state, its switch, its next try."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from hxp_enterprise_llm.event.sources.pollers.breaker import Breaker
from hxp_enterprise_llm.event.sources.pollers.model import Item, Settings
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.telemetry.source_metrics import SourceMetrics

log = structlog.get_logger("sources")


class Tended:
    """A source by name, that has its turn when the breaker says so."""

    def __init__(
        self,
        name: str,
        interval: float,
        failures: int,
        *,
        clock: Clock,
        metrics: SourceMetrics,
        jitter: Callable[[], float],
    ) -> None:
        """`interval`: seconds between two turns while all is well; `failures` in a row make it away."""
        self.name, self._clock, self._metrics = name, clock, metrics
        self.breaker = Breaker(interval, failures, clock=clock, jitter=jitter)
        self.last: Sequence[Item] = ()
        """What it said last."""
        self.last_at: float | None = None
        """When that was, in wall-clock seconds."""
        self.problem = ""
        """What was wrong with a part of it."""
        self.failures = 0
        self._woken = asyncio.Event()
        metrics.begin(name)

    @property
    def stale(self) -> bool:
        """Whether what it said last is no longer to be taken for what is now."""
        return self.breaker.state in ("away", "off") and self.last_at is not None

    def retry(self) -> None:
        """Try at once, however long the breaker would wait."""
        self.breaker.hurry()
        self._woken.set()

    def apply(self, settings: Settings, reason: str = "switched off") -> None:
        """Go by these from now on: whether it has turns, and when after a failure."""
        switched = settings.live != self.breaker.settings.live
        self.breaker.apply(settings, reason)
        if switched:
            self.failures = 0
            change = self._metrics.begin if settings.live else self._metrics.end
            change(self.name)
            log.info("sources.switched", source=self.name, live=settings.live)
        self._woken.set()

    async def run(self) -> None:
        """Have turns for ever."""
        while True:
            await self._rest()
            if self.breaker.state != "off":
                await self.poll()

    async def poll(self) -> None:
        """One turn."""
        raise NotImplementedError

    async def leave(self) -> None:
        """Get ready for the end of `run`."""

    async def _rest(self) -> None:
        self._woken.clear()
        wait = self.breaker.due - self._clock.monotonic()
        if wait > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(None if math.isinf(wait) else wait):
                    await self._woken.wait()

    def _succeeded(self) -> None:
        if self.breaker.succeeded() and self.failures:
            log.info("sources.recovered", source=self.name, failures=self.failures)
        self.failures = 0

    def _failed(self, reason: str) -> bool:
        """It did not work; True when it has just become away, or was given up without having been away."""
        if not self.failures:
            log.warning("sources.failing", source=self.name, reason=reason)
        self.failures += 1
        self._metrics.failed(self.name)
        was = self.breaker.state
        if not self.breaker.failed(reason):
            return False
        if self.breaker.state == "off":
            log.error("sources.given_up", source=self.name, reason=reason, failures=self.failures)
        else:
            log.error("sources.away", source=self.name, reason=reason, failures=self.failures)
        return was != "away"

    def _note(self, problem: str) -> None:
        if problem and problem != self.problem:
            log.warning("sources.incomplete", source=self.name, problem=problem)
        self.problem = problem
