"""One source, asked for ever: its answers become events, its state is known."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.event.model import Encoded, Event, encode, rfc3339
from hxp_enterprise_llm.event.sources.pollers.breaker import Breaker
from hxp_enterprise_llm.event.sources.pollers.model import Item, PollError, Settings, Source
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.outage import Outage
from hxp_enterprise_llm.telemetry.source_metrics import SourceMetrics

log = structlog.get_logger("sources")

Append = Callable[[list[Encoded]], Awaitable[Any]]


class Poller:
    """Asks `source` when the breaker says so. It is a live source: what cannot be appended is dropped and counted."""

    def __init__(
        self, source: Source, append: Append, *, clock: Clock, metrics: SourceMetrics, jitter: Callable[[], float]
    ) -> None:
        self.source, self._append, self._clock, self._metrics = source, append, clock, metrics
        self.breaker = Breaker(source.interval, source.failures, clock=clock, jitter=jitter)
        self.last: Sequence[Item] = ()
        """The last good answer."""
        self.last_at: float | None = None
        """When it came, in wall-clock seconds."""
        self.problem = ""
        """What was wrong with a part of the last answer."""
        self.failures = 0
        self._woken = asyncio.Event()
        self._appending = Outage(log, "sources.append")
        metrics.begin(source.name)

    @property
    def stale(self) -> bool:
        """Whether the last good answer is no longer to be taken for what is now."""
        return self.breaker.state in ("away", "off") and self.last_at is not None

    def retry(self) -> None:
        """Ask at once, however long the breaker would wait."""
        self.breaker.hurry()
        self._woken.set()

    def apply(self, settings: Settings, reason: str = "switched off") -> None:
        """Go by these from now on: whether it is asked, and how after a failure."""
        switched = settings.live != self.breaker.settings.live
        self.breaker.apply(settings, reason)
        if switched:
            self.failures = 0
            change = self._metrics.begin if settings.live else self._metrics.end
            change(self.source.name)
            log.info("sources.switched", source=self.source.name, live=settings.live)
        self._woken.set()

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await self._turn()
            if self.breaker.state != "off":
                await self.poll()

    async def _turn(self) -> None:
        self._woken.clear()
        wait = self.breaker.due - self._clock.monotonic()
        if wait > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(None if math.isinf(wait) else wait):
                    await self._woken.wait()

    async def poll(self) -> None:
        """Ask once, publish what came, or what stands in for it."""
        began = self._clock.monotonic()
        try:
            reading = await self.source.ask()
        except PollError as error:
            await self._failed(str(error))
            return
        finally:
            self._metrics.duration.labels(self.source.name).observe(self._clock.monotonic() - began)
        if not self.breaker.settings.live:
            return
        self.last, self.last_at = reading.items, self._clock.time()
        self._metrics.succeeded(self.source.name, self.last_at)
        self._note(reading.problem)
        if self.breaker.succeeded() and self.failures:
            log.info("sources.recovered", source=self.source.name, failures=self.failures)
        self.failures = 0
        await self._publish(reading.items)

    async def _failed(self, reason: str) -> None:
        if not self.breaker.settings.live:
            return
        if not self.failures:
            log.warning("sources.failing", source=self.source.name, reason=reason)
        self.failures += 1
        self._metrics.failed(self.source.name)
        was = self.breaker.state
        if not self.breaker.failed(reason):
            return
        if self.breaker.state == "off":
            log.error("sources.given_up", source=self.source.name, reason=reason, failures=self.failures)
        else:
            log.error("sources.away", source=self.source.name, reason=reason, failures=self.failures)
        if was != "away":
            since = "" if self.last_at is None else rfc3339(self.last_at)
            await self._publish(self.source.fallback(self.last, since))

    def _note(self, problem: str) -> None:
        if problem and problem != self.problem:
            log.warning("sources.incomplete", source=self.source.name, problem=problem)
        self.problem = problem

    async def _publish(self, items: Sequence[Item]) -> None:
        if not items:
            return
        batch = [self._event(item) for item in items]
        try:
            await self._append(batch)
        except LogError as error:
            self._appending.failed(error)
            self._metrics.dropped.labels(self.source.name).inc(len(batch))
        else:
            self._appending.worked()

    def _event(self, item: Item) -> Encoded:
        return encode(
            Event(
                id=self._clock.new_id(),
                source=f"/sources/{self.source.name}",
                type=item.type,
                time=rfc3339(self._clock.time()),
                subject=item.subject,
                data=item.data,
            )
        )
