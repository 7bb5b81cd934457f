"""What the workers of all channels share: settings, channels, the store that is waited for, and who listens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import structlog

from hxp_enterprise_llm.event.notifications.channels.model import Channel
from hxp_enterprise_llm.event.notifications.delivery import lease
from hxp_enterprise_llm.event.notifications.delivery.limits import Rate
from hxp_enterprise_llm.event.notifications.instant import SteadyClock
from hxp_enterprise_llm.event.notifications.model import Delivery
from hxp_enterprise_llm.event.notifications.outbox import Verdict
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.store.database import Store
from hxp_enterprise_llm.store.errors import StoreUnavailable
from hxp_enterprise_llm.telemetry.notification_metrics import NotificationMetrics

T = TypeVar("T")
log = structlog.get_logger("notifications")
STORE_PAUSE_SECONDS = 1.0


class DeliverySettings(NamedTuple):
    """Seconds that one attempt may take, and after which a delivery is given up; whether anything is delivered."""

    timeout: float
    give_up_after: float
    enabled: bool = True
    rates: Mapping[str, Rate] = {}
    """By channel; one that is missing has no bound."""
    page_url: str = ""
    """Address under which people reach the page; empty: no links."""


class Office:
    """One for all workers of a dispatcher."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        steady: SteadyClock,
        metrics: NotificationMetrics,
        random: Callable[[], float],
    ) -> None:
        self.store, self.clock, self.metrics, self.random = store, clock, metrics, random
        self.now = steady.now
        """The present on both clocks."""
        self.channels: dict[str, Channel] = {}
        self.settings = DeliverySettings(10.0, 4 * 3600.0)
        self.token = 0
        """Of the lease."""
        self.delivers_since = float("inf")
        """Monotonic seconds at which it became ours."""
        self.renewed_at = float("-inf")
        """Monotonic seconds at which the lease was last seen to be ours."""
        self.listeners: dict[str, asyncio.Queue[tuple[Delivery, Verdict]]] = {}
        """By notification: who waits for what becomes of it."""
        self.fault = ""
        """Why the outbox cannot be worked on; empty while it can."""

    def report(self, delivery: Delivery, verdict: Verdict) -> None:
        """Tell who listens what became of an attempt."""
        listener = self.listeners.get(delivery.notification.id)
        if listener is not None:
            listener.put_nowait((delivery, verdict))

    def waited(self, queued_at: float) -> float:
        """Seconds for which a delivery has been tried, or could have been; `queued_at` in steady seconds.

        What passed while nobody delivered does not count: nothing was tried then, and a process that starts cannot tell
        a day without it from a clock that was set.
        """
        served = self.clock.monotonic() - self.delivers_since
        return max(0.0, min(self.now().steady - queued_at, served))

    @property
    def stale(self) -> bool:
        """Whether the process stood still for so long that another one may have taken over."""
        return self.clock.monotonic() - self.renewed_at > lease.SECONDS

    async def stored(self, work: Callable[..., T]) -> T:
        """Do it, however long the store takes to come back: what was sent must be written down before anything else."""
        while True:
            try:
                result = await self.store.run(work)
            except StoreUnavailable as error:
                if not self.fault:
                    log.error("store.unavailable", reason=error.reason)
                self.fault = str(error)
                await asyncio.sleep(STORE_PAUSE_SECONDS)
            else:
                self.fault = ""
                return result
