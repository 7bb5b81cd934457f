"""A source that is asked for ever: its answers become events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.event.model import Encoded, Event, encode, rfc3339
from hxp_enterprise_llm.event.sources.pollers.model import Item, PollError, Source
from hxp_enterprise_llm.event.sources.pollers.tended import Tended, log
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.outage import Outage
from hxp_enterprise_llm.telemetry.source_metrics import SourceMetrics

Append = Callable[[list[Encoded]], Awaitable[Any]]


class Poller(Tended):
    """Asks `source` when it has its turn. It is a live source: what cannot be appended is dropped and counted."""

    def __init__(
        self, source: Source, append: Append, *, clock: Clock, metrics: SourceMetrics, jitter: Callable[[], float]
    ) -> None:
        super().__init__(source.name, source.interval, source.failures, clock=clock, metrics=metrics, jitter=jitter)
        self._source, self._append = source, append
        self._appending = Outage(log, "sources.append")

    async def poll(self) -> None:
        """Ask once, publish what came, or what stands in for it."""
        began = self._clock.monotonic()
        try:
            reading = await self._source.ask()
        except PollError as error:
            await self._in_vain(str(error))
            return
        finally:
            self._metrics.duration.labels(self.name).observe(self._clock.monotonic() - began)
        if not self.breaker.settings.live:
            return
        self.last, self.last_at = reading.items, self._clock.time()
        self._metrics.succeeded(self.name, self.last_at)
        self._note(reading.problem)
        self._succeeded()
        await self._publish(reading.items)

    async def _in_vain(self, reason: str) -> None:
        if self.breaker.settings.live and self._failed(reason):
            since = "" if self.last_at is None else rfc3339(self.last_at)
            await self._publish(self._source.fallback(self.last, since))

    async def _publish(self, items: Sequence[Item]) -> None:
        if not items:
            return
        batch = [self._event(item) for item in items]
        try:
            await self._append(batch)
        except LogError as error:
            self._appending.failed(error)
            self._metrics.dropped.labels(self.name).inc(len(batch))
        else:
            self._appending.worked()

    def _event(self, item: Item) -> Encoded:
        return encode(
            Event(
                id=self._clock.new_id(),
                source=f"/sources/{self.name}",
                type=item.type,
                time=rfc3339(self._clock.time()),
                subject=item.subject,
                data=item.data,
            )
        )
