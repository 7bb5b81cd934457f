"""Empties the outbox: one worker a channel, under a lease, so that no two processes deliver the same thing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import get_args

import structlog
from sqlalchemy import Connection

from hxp_enterprise_llm.config.delivery import DeliveryChannel
from hxp_enterprise_llm.event.notifications.channels.model import Channel
from hxp_enterprise_llm.event.notifications.delivery import dead, lease, rows
from hxp_enterprise_llm.event.notifications.delivery.office import DeliverySettings, Office
from hxp_enterprise_llm.event.notifications.delivery.resender import Resender
from hxp_enterprise_llm.event.notifications.delivery.worker import Worker
from hxp_enterprise_llm.event.notifications.instant import SteadyClock
from hxp_enterprise_llm.event.notifications.model import LOG_CHANNEL
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.store.database import Store
from hxp_enterprise_llm.store.errors import StoreClosed, StoreUnavailable
from hxp_enterprise_llm.telemetry.notification_metrics import NotificationMetrics

log = structlog.get_logger("notifications")

WORKERS: tuple[str, ...] = (LOG_CHANNEL, *get_args(DeliveryChannel))


class Dispatcher:
    """Sends what the outbox holds. `use` before `run`."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        steady: SteadyClock,
        metrics: NotificationMetrics,
        random: Callable[[], float],
        node: str = "localhost",
    ) -> None:
        """`node`: the host's name; a new process on it need not wait for the lease of the one before."""
        self.office = Office(store, clock, steady, metrics, random)
        self._node, self._run = node, clock.new_id()
        self._workers = {name: Worker(name, self.office) for name in WORKERS}
        self._resender = Resender("alertmanager", self.office)
        self._elsewhere = ""

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The channels in use, by name."""
        return self.office.channels

    @property
    def store_fault(self) -> str:
        """Why nothing is delivered by this process; empty while it is."""
        return self.office.fault or self._elsewhere

    def use(self, channels: Iterable[Channel], settings: DeliverySettings) -> None:
        """Take other channels and settings; what a former channel was barred for is forgotten."""
        self.office.channels = {channel.name: channel for channel in channels}
        self.office.settings = settings
        for worker in self._workers.values():
            worker.use()

    def wake(self, names: Iterable[str]) -> None:
        """There is something new in the outbox for these channels."""
        for name in names:
            if name in self._workers:
                self._workers[name].wake()

    def waits_for(self, channel: str, target: str) -> str:
        """Why a delivery does not go out now; empty when nothing holds it."""
        return self._workers[channel].waits_for(target)

    async def run(self) -> None:
        """Deliver for ever; deliveries that are under way when this is cancelled are brought to their end, bounded."""
        try:
            await self._deliver()
        except asyncio.CancelledError:
            await self._release()
            raise

    async def _deliver(self) -> None:
        starts = True
        while True:
            await self._acquire(starts)
            starts = False
            try:
                async with asyncio.TaskGroup() as group:
                    for name, worker in self._workers.items():
                        group.create_task(worker.run(), name=f"deliver-{name}")
                    group.create_task(self._renew(), name="delivery-lease")
                    group.create_task(self._resender.run(), name="deliver-again")
            except* lease.LeaseLost as lost:
                log.error("delivery.lease_lost", holder=str(_first(lost)))

    async def _acquire(self, starts: bool) -> None:
        """Wait until this process may deliver, then take up what the one before had in flight."""
        office = self.office
        while True:
            now, began = office.clock.time(), office.clock.monotonic()
            ask = partial(lease.acquire, node=self._node, run=self._run, now=now, starts=starts)
            answer = await office.stored(ask)
            if answer.token is not None:
                break
            self._elsewhere = f"another process delivers: {answer.holder}"
            await asyncio.sleep(min(max(answer.wait, 0.05), lease.RENEW_SECONDS))
        self._elsewhere = ""
        office.token, office.renewed_at, office.delivers_since = answer.token, began, began
        recovered = await office.stored(partial(rows.recover, now=office.now().steady, fence=answer.token))
        if recovered:
            log.warning("delivery.recovered", count=recovered)

    async def _renew(self) -> None:
        office = self.office
        while True:
            await asyncio.sleep(lease.RENEW_SECONDS)
            now, began = office.clock.time(), office.clock.monotonic()
            await office.stored(partial(lease.renew, token=office.token, now=now))
            office.renewed_at = max(office.renewed_at, began)

    async def _release(self) -> None:
        with suppress(StoreUnavailable, StoreClosed):  # it expires by itself
            await self.office.store.run(partial(lease.release, token=self.office.token))

    async def dead(self) -> list[dead.DeadLetter]:
        """The deliveries that were given up, the newest first. Raises StoreUnavailable."""
        return await self.office.store.run(dead.letters)

    async def replay(self, ids: Iterable[int] | None) -> list[int]:
        """Queue dead deliveries again, all of them for None; answers which. Raises StoreUnavailable."""
        wanted, now = None if ids is None else list(ids), self.office.now().steady

        def work(connection: Connection) -> list[int]:
            return dead.replay(connection, wanted, now)

        replayed = await self.office.store.run(work)
        self.wake(WORKERS)
        return replayed


def _first(group: BaseExceptionGroup[lease.LeaseLost]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
