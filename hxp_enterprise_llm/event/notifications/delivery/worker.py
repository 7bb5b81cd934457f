"""Delivers what waits for one channel: one delivery at a time to each recipient, some recipients at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection

from hxp_enterprise_llm.event.notifications.channels.model import Dead, FailureClass, Retry
from hxp_enterprise_llm.event.notifications.channels.stream import StreamChannel
from hxp_enterprise_llm.event.notifications.delivery import lease, rows
from hxp_enterprise_llm.event.notifications.delivery.limits import Limits
from hxp_enterprise_llm.event.notifications.delivery.office import Office
from hxp_enterprise_llm.event.notifications.links import linked
from hxp_enterprise_llm.event.notifications.model import LOG_CHANNEL, Delivery, Kept
from hxp_enterprise_llm.event.notifications.outbox import STREAMS, Verdict, judge

log = structlog.get_logger("notifications")

CONCURRENCY = 8
"""Recipients of one channel that are written to at the same time."""
_EVENTS_AT_ONCE = 100
"""Of one append, where what is told is events."""
_TOLD_AT_ONCE = 25
_GRACE_SECONDS = 2.0
"""Beyond the timeout that a channel keeps by itself; after it the attempt is cut off."""
_FINISH_SECONDS = 5.0
"""For the deliveries that are under way when the process is asked to end: cut off, they might be sent twice."""
_COUNT_SECONDS = 1.0
"""Between two counts of what waits, while there is much to deliver."""


class Worker:
    """One channel's part of the outbox. Woken, never polling."""

    def __init__(self, name: str, office: Office) -> None:
        self._name, self._office = name, office
        self._bell = asyncio.Event()
        self._limits = Limits()
        self._barred_until = float("-inf")
        self._barred_for = ""
        self._anew = False
        self._attempts: dict[str, asyncio.Task[None]] = {}
        self._crash: BaseException | None = None
        self._oldest: float | None = None
        self._counted_at = float("-inf")
        office.metrics.outbox_oldest.labels(name).set_function(self._age)

    def use(self) -> None:
        """Other channels and settings are in force: what a former channel was barred for is tried anew."""
        self._anew = True
        self._limits.use(self._office.settings.rates.get(self._name))
        self._barred_until = float("-inf")
        self.wake()

    def wake(self) -> None:
        """There is something new in the outbox."""
        self._bell.set()

    def waits_for(self, target: str) -> str:
        """Why a delivery to the recipient does not go out now; empty when nothing holds it."""
        now = self._office.clock.monotonic()
        if self._barred_until > now:
            return f"the channel is paused for another {self._barred_until - now:.0f} s: {self._barred_for}"
        paused = self._limits.paused(now).get(target)
        return "" if paused is None else f"the rate is limited for another {paused:.0f} s"

    async def run(self) -> None:
        """Deliver until cancelled; what is under way then is brought to its end, bounded. Raises LeaseLost."""
        try:
            while True:
                self._bell.clear()
                wait = await self._step()
                if wait is None or wait > 0:
                    await self._wait(wait)
        except (asyncio.CancelledError, lease.LeaseLost):
            await self._finish()
            raise

    async def _step(self) -> float | None:
        """Start one delivery; answers the seconds until there is more to do, None when somebody must ring."""
        if self._crash is not None:
            raise self._crash
        office, now = self._office, self._office.clock.monotonic()
        if not office.settings.enabled or len(self._attempts) >= CONCURRENCY:
            return None
        if self._barred_until > now:
            return self._barred_until - now
        paused = self._limits.paused(now)
        many, claim = await self._claim(now, paused)
        if claim.waiting is not None:
            self._counted_at = now
            self._oldest = claim.waiting.oldest
            office.metrics.outbox.labels(self._name).set(claim.waiting.depth)
        if many:
            self._begin(many[0].target, self._deliver_all(many))
            return None
        if claim.delivery is not None:
            self._start(claim.delivery, claim.queued_at)
            return 0.0
        due = [] if claim.due is None else [claim.due - office.now().steady]
        return min((*due, *paused.values()), default=None)

    async def _claim(self, now: float, paused: dict[str, float]) -> tuple[list[Delivery], rows.Claim]:
        office = self._office
        at = office.now()
        limited = {target: at.steady - (now - held.until) for target, held in self._limits.ended(now).items()}
        held = frozenset((*self._attempts, *paused))
        counts = now - self._counted_at >= _COUNT_SECONDS
        wanted = rows.Wanted(self._name, office.token, held, limited if self._joins else {}, counts)
        renews = now - office.renewed_at > lease.RENEW_SECONDS

        bulk = self._name in STREAMS and not self._attempts
        anew, self._anew = self._anew, False

        def work(connection: Connection) -> tuple[list[Delivery], rows.Claim]:
            if anew:
                rows.hasten(connection, self._name, at.steady)
            if renews:
                lease.renew(connection, office.token, at.wall)
            if bulk:
                return rows.claim_many(connection, wanted, at, _EVENTS_AT_ONCE)
            return [], rows.claim(connection, wanted, at)

        found = await office.stored(work)
        if renews:
            office.renewed_at = now
        return found

    @property
    def _joins(self) -> bool:
        return self._name in self._office.settings.rates

    def _start(self, delivery: Delivery, queued_at: float) -> None:
        office, target = self._office, delivery.target
        now = office.clock.monotonic()
        held = self._limits.ended(now).get(target)
        if held is not None:
            began = max(held.since, now - (office.now().steady - queued_at))
            office.metrics.deliveries.rate_limited.labels(self._name).inc(max(0.0, held.until - began))
        self._limits.take(target, now)
        self._begin(target, self._deliver(delivery))

    def _begin(self, target: str, attempt: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(attempt, name=f"delivery-{self._name}")
        self._attempts[target] = task
        task.add_done_callback(partial(self._done, target))

    def _done(self, target: str, task: asyncio.Task[None]) -> None:
        self._attempts.pop(target, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crash = error
        self._bell.set()

    async def _wait(self, seconds: float | None) -> None:
        delay = None if seconds is None else max(seconds, 0.001)
        try:
            async with asyncio.timeout(delay):
                await self._bell.wait()
        except TimeoutError:
            return

    async def _finish(self) -> None:
        tasks = list(self._attempts.values())
        if tasks:
            await asyncio.wait(tasks, timeout=_FINISH_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self, delivery: Delivery) -> None:
        office = self._office
        started, kept, failure = office.clock.monotonic(), None, None
        try:
            kept = await self._attempt(delivery)
        except (Retry, Dead) as error:
            failure = error
        wall, now = office.now()
        left = office.settings.give_up_after - office.waited(delivery.queued_at)
        verdict = judge(delivery, failure, now, left, office.random)
        self._hold(delivery, failure)
        work = partial(rows.settle, delivery=delivery, verdict=verdict, now=wall, fence=office.token, kept=kept)
        if await office.stored(work):
            self._count(delivery, verdict, failure, now, office.clock.monotonic() - started)
            self._tell(delivery, verdict, now)
        else:
            log.error("delivery.fenced", channel=delivery.channel, notification=delivery.notification.id)
        office.report(delivery, verdict)

    async def _deliver_all(self, deliveries: Sequence[Delivery]) -> None:
        """One append for all. When it is refused, each is settled by itself: one of them may be at fault."""
        office = self._office
        channel, started = office.channels.get(self._name), office.clock.monotonic()
        late = office.waited(min(each.queued_at for each in deliveries)) > office.settings.give_up_after
        try:
            if late or office.stale or not isinstance(channel, StreamChannel) or not channel.readiness.ready:
                raise Retry("each by itself")
            await channel.send_all([self._linked(each) for each in deliveries], office.settings.timeout)
        except (Retry, Dead, TimeoutError) as error:
            # One of them may be the reason: the others must not wait for it.
            log.debug("delivery.one_by_one", channel=self._name, reason=f"{type(error).__name__}: {error}")
            for delivery in deliveries:
                await self._deliver(delivery)
            return
        wall, now = office.now()
        verdict = Verdict("sent", now)
        ours = await office.stored(partial(rows.settle_sent, deliveries=deliveries, now=wall, fence=office.token))
        each_took = (office.clock.monotonic() - started) / len(deliveries)
        for number, delivery in enumerate(deliveries, 1):
            if delivery.id in ours:
                self._count(delivery, verdict, None, now, each_took)
            else:
                log.error("delivery.fenced", channel=delivery.channel, notification=delivery.notification.id)
            office.report(delivery, verdict)
            if number % _TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)
        log.info("delivery.sent", channel=self._name, count=len(deliveries))

    def _hold(self, delivery: Delivery, failure: Retry | Dead | None) -> None:
        if not isinstance(failure, Retry) or failure.after is None:
            return
        now = self._office.clock.monotonic()
        if failure.scope == "channel":
            self._barred_until, self._barred_for = now + failure.after, failure.reason
        elif failure.scope == "target":
            self._limits.pause(delivery.target, now, failure.after)

    async def _attempt(self, delivery: Delivery) -> Kept | None:
        office = self._office
        channel, settings = office.channels.get(delivery.channel), office.settings
        if office.waited(delivery.queued_at) > settings.give_up_after:
            raise Dead(f"given up: it waited longer than {settings.give_up_after:.0f} s", failure="other")
        if channel is None:
            raise Retry(f"channel {delivery.channel} is not configured")
        able = channel.reaches(delivery.target)
        if not able.ready:
            raise Retry(able.reason)
        if office.stale:
            raise Retry("the process stood still, and another one may deliver it")
        try:
            async with asyncio.timeout(settings.timeout + _GRACE_SECONDS):
                return await channel.send(self._linked(delivery), settings.timeout)
        except (Retry, Dead):
            raise
        except TimeoutError:
            raise Retry(f"no answer within {settings.timeout:g} s", failure="timeout") from None
        except Exception as error:
            # A fault of ours in one channel must not take the others, and the rules, down with it.
            log.exception("delivery.crashed", channel=delivery.channel, error=type(error).__name__)
            raise Retry(f"the channel failed: {type(error).__name__}") from None

    def _linked(self, delivery: Delivery) -> Delivery:
        return delivery._replace(notification=linked(delivery.notification, self._office.settings.page_url))

    def _count(
        self, delivery: Delivery, verdict: Verdict, failure: Retry | Dead | None, now: float, seconds: float
    ) -> None:
        metrics, name = self._office.metrics, delivery.channel
        metrics.delivery_seconds.labels(name).observe(seconds)
        # A drill that fails is no one who was not told.
        dead = verdict.state == "dead" and not delivery.notification.test
        result = "dead" if dead else "failed"
        metrics.delivery.labels(name, "delivered" if verdict.state == "sent" else result).inc()
        if failure is not None:
            reason: FailureClass = failure.failure
            metrics.deliveries.failures.labels(name, reason).inc()
            if dead:
                metrics.deliveries.dead_letters.labels(name, reason).inc()
        else:
            metrics.deliveries.latency.labels(name).observe(max(0.0, now - delivery.queued_at))

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

    def _age(self) -> float:
        return 0.0 if self._oldest is None else max(0.0, self._office.now().steady - self._oldest)
