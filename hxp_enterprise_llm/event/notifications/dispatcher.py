"""Empties the outbox: one worker a channel, so that a slow channel delays no other. Woken, never polling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple, TypeVar

import structlog

from hxp_enterprise_llm.event.notifications import records
from hxp_enterprise_llm.event.notifications.channels.model import Channel, Dead, Retry
from hxp_enterprise_llm.event.notifications.model import LOG_CHANNEL, Delivery
from hxp_enterprise_llm.event.notifications.outbox import Verdict, judge
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.store.database import Store, StoreUnavailable
from hxp_enterprise_llm.telemetry.notification_metrics import NotificationMetrics

T = TypeVar("T")
log = structlog.get_logger("notifications")

WORKERS = (LOG_CHANNEL, "websocket", "sse", "email", "slack")
_RESULT = {"sent": "delivered", "retry": "failed", "dead": "dead"}
_GRACE_SECONDS = 2.0
"""Beyond the timeout that a channel keeps by itself; after it the attempt is cut off."""
_FINISH_SECONDS = 5.0
"""For the delivery that is under way when the process is asked to end: cut off, it might be sent twice."""
_LONGEST_WAIT_SECONDS = 600.0
"""Wall clocks are set now and then; nothing is due later than they say for longer than that."""
STORE_PAUSE_SECONDS = 1.0


class DeliverySettings(NamedTuple):
    """Seconds that one attempt may take, and after which a delivery is given up; whether anything is delivered."""

    timeout: float
    give_up_after: float
    enabled: bool = True


class Dispatcher:
    """Sends what the outbox holds. `use` before `run`."""

    def __init__(
        self, store: Store, *, clock: Clock, metrics: NotificationMetrics, random: Callable[[], float]
    ) -> None:
        self._store, self._clock, self._metrics, self._random = store, clock, metrics, random
        self._channels: dict[str, Channel] = {}
        self._settings = DeliverySettings(10.0, 4 * 3600.0)
        self._bells = {name: asyncio.Event() for name in WORKERS}
        self._barred: dict[str, float] = {}
        self._oldest: dict[str, float | None] = dict.fromkeys(WORKERS)
        self.store_fault = ""
        """Why the outbox cannot be worked on; empty while it can."""
        for name in WORKERS:
            metrics.outbox_oldest.labels(name).set_function(partial(self._age, name))

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The channels in use, by name."""
        return self._channels

    def use(self, channels: Iterable[Channel], settings: DeliverySettings) -> None:
        """Take other channels and settings; what a former channel was barred for is forgotten."""
        self._channels = {channel.name: channel for channel in channels}
        self._settings = settings
        self._barred.clear()
        self.wake(WORKERS)

    def wake(self, names: Iterable[str]) -> None:
        """There is something new in the outbox for these channels."""
        for name in names:
            if name in self._bells:
                self._bells[name].set()

    async def run(self) -> None:
        """Deliver for ever; a delivery that is under way when this is cancelled is brought to its end, bounded."""
        recovered = await self._stored(partial(records.recover, now=self._clock.time()))
        if recovered:
            log.warning("delivery.recovered", count=recovered)
        async with asyncio.TaskGroup() as group:
            for name in WORKERS:
                group.create_task(self._work(name), name=f"deliver-{name}")

    async def _work(self, name: str) -> None:
        while True:
            self._bells[name].clear()
            if not self._settings.enabled:
                await self._wait(name, None)
                continue
            barred = self._barred.get(name, 0.0) - self._clock.monotonic()
            if barred > 0:
                await self._wait(name, barred)
                continue
            now = self._clock.time()
            claim = await self._stored(partial(records.claim, channel=name, now=now))
            self._oldest[name] = claim.oldest
            self._metrics.outbox.labels(name).set(claim.depth)
            if claim.delivery is None:
                await self._wait(name, None if claim.due is None else claim.due - now)
            else:
                await self._finish(asyncio.create_task(self._deliver(claim.delivery), name=f"delivery-{name}"))

    async def _wait(self, name: str, seconds: float | None) -> None:
        delay = None if seconds is None else min(max(seconds, 0.001), _LONGEST_WAIT_SECONDS)
        try:
            async with asyncio.timeout(delay):
                await self._bells[name].wait()
        except TimeoutError:
            return

    async def _finish(self, attempt: asyncio.Task[None]) -> None:
        try:
            await asyncio.shield(attempt)
        except asyncio.CancelledError:
            await asyncio.wait({attempt}, timeout=_FINISH_SECONDS)
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
            raise

    async def _deliver(self, delivery: Delivery) -> None:
        started = self._clock.monotonic()
        failure = await self._attempt(delivery)
        now = self._clock.time()
        verdict = judge(delivery, failure, now, self._settings.give_up_after, self._random)
        if isinstance(failure, Retry) and failure.after is not None:
            self._barred[delivery.channel] = self._clock.monotonic() + failure.after
        self._metrics.delivery_seconds.labels(delivery.channel).observe(self._clock.monotonic() - started)
        self._metrics.delivery.labels(delivery.channel, _RESULT[verdict.state]).inc()
        self._tell(delivery, verdict, now)
        await self._stored(partial(records.settle, delivery=delivery, verdict=verdict, now=now))

    async def _attempt(self, delivery: Delivery) -> Retry | Dead | None:
        channel = self._channels.get(delivery.channel)
        if self._clock.time() - delivery.created_at > self._settings.give_up_after:
            return Dead(f"given up: it waited longer than {self._settings.give_up_after:.0f} s")
        if channel is None:
            return Retry(f"channel {delivery.channel} is not configured")
        if not channel.readiness.ready:
            return Retry(channel.readiness.reason)
        timeout = self._settings.timeout
        try:
            async with asyncio.timeout(timeout + _GRACE_SECONDS):
                await channel.send(delivery, timeout)
        except (Retry, Dead) as failure:
            return failure
        except TimeoutError:
            return Retry(f"no answer within {timeout:g} s")
        except Exception as error:
            # A fault of ours in one channel must not take the others, and the rules, down with it.
            log.exception("delivery.crashed", channel=delivery.channel, error=type(error).__name__)
            return Retry(f"the channel failed: {type(error).__name__}")
        return None

    def _tell(self, delivery: Delivery, verdict: Verdict, now: float) -> None:
        facts = {
            "channel": delivery.channel,
            "notification": delivery.notification.id,
            "attempt": delivery.attempts,
        }
        if verdict.state == "sent":
            level = log.debug if delivery.channel == LOG_CHANNEL else log.info
            level("delivery.sent", **facts)
        elif verdict.state == "retry":
            log.warning("delivery.failed", reason=verdict.error, again_in_s=round(verdict.next_at - now, 1), **facts)
        else:
            log.error("delivery.dead", reason=verdict.error, **facts)

    async def _stored(self, work: Callable[..., T]) -> T:
        """Do it, however long the store takes to come back: what was sent must be written down before anything else."""
        while True:
            try:
                result = await self._store.run(work)
            except StoreUnavailable as error:
                if not self.store_fault:
                    log.error("store.unavailable", reason=error.reason)
                self.store_fault = str(error)
                await asyncio.sleep(STORE_PAUSE_SECONDS)
            else:
                self.store_fault = ""
                return result

    def _age(self, name: str) -> float:
        oldest = self._oldest[name]
        return 0.0 if oldest is None else max(0.0, self._clock.time() - oldest)
