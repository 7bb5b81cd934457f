"""The shell of the way: one pass after the other, each stored whole before it is believed, made when it is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec
import structlog
from sqlalchemy import Connection

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.notifications.instant import Instant, SteadyClock
from hxp_enterprise_llm.event.notifications.routing import records
from hxp_enterprise_llm.event.notifications.routing.draft import nothing
from hxp_enterprise_llm.event.notifications.routing.lapses import boundary, lapse
from hxp_enterprise_llm.event.notifications.routing.pipeline import Pass
from hxp_enterprise_llm.event.notifications.routing.receivers import Receivers
from hxp_enterprise_llm.event.notifications.routing.standing import count
from hxp_enterprise_llm.event.notifications.routing.table import RoutingTable
from hxp_enterprise_llm.event.notifications.turns import in_turns
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.store.database import Store
from hxp_enterprise_llm.store.errors import StoreUnavailable
from hxp_enterprise_llm.telemetry.routing_metrics import RoutingMetrics

log = structlog.get_logger("notifications")

_STORE_PAUSE_SECONDS = 1.0
_START_SECONDS = 2.0
"""So long a request waits for what was stored, while the service starts."""
_LONGEST_WAIT_SECONDS = 60.0
"""Wall clocks are set now and then: silences and times of the day are looked at again by then."""
_PRUNE_EVERY = 1000
"""Decisions between two looks at how many there are."""

Fill = Callable[[Pass], Iterator[None] | None]
"""Gives a pass what has changed; what it yields between are places at which others may run."""
Also = Callable[[Connection, float], None]


class InForce(NamedTuple):
    """What the configuration says."""

    table: RoutingTable
    receivers: Receivers
    config: NotificationsConfig
    notice: float


class Router:
    """Alerts in, deliveries into the outbox. `use` and `load` before anything else."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        steady: SteadyClock,
        metrics: RoutingMetrics,
        queued: Callable[[Iterable[str]], None],
    ) -> None:
        """`queued` is told the names of the channels that have something new in the outbox."""
        self._store, self._clock, self._steady, self._metrics, self._queued = store, clock, steady, metrics, queued
        self._lock = asyncio.Lock()
        self._bell = asyncio.Event()
        self._taken_up = asyncio.Event()
        self.state = nothing()
        self.instance = ""
        """Name of this daemon among others, for as long as its store lives."""
        self._in_force: InForce
        self._reroute = False
        self._patient_until = float("-inf")
        self._wakes: dict[str, float] = {}
        self._boundary = float("-inf")
        self._unpruned = _PRUNE_EVERY
        self.fault = ""
        """Why nothing can be told; empty while it can."""
        self.delayed = ""
        """Why what was stored has not been taken up yet, as far as that is known."""

    def use(
        self, table: RoutingTable, receivers: Receivers, config: NotificationsConfig, patience: float = 0.0
    ) -> None:
        """Other routes are in force: everything is looked at by them.

        That is done with the next pass of the rules, or after `patience` seconds: an alert whose rule has gone with the
        same change ends for those who were told, and no one else hears of it.
        """
        self._in_force = InForce(table, receivers, config, seconds(config.silence_notice))
        self._reroute = True
        self._patient_until = self._clock.monotonic() + patience
        self._bell.set()

    @property
    def table(self) -> RoutingTable:
        """The routes in force."""
        return self._in_force.table

    @property
    def config(self) -> NotificationsConfig:
        """The configuration in force."""
        return self._in_force.config

    @property
    def receivers(self) -> Receivers:
        """The receivers in force."""
        return self._in_force.receivers

    def take_up(self, stored: records.Loaded) -> None:
        """Go on from what was stored."""
        self.state, self.instance = stored
        times = (time for group in self.state.groups.values() for time in (group.began, group.told_at))
        self._steady.go_on_from(max(times, default=0.0))
        self._grant_time(self.now().steady)
        self._reroute = True
        self._taken_up.set()

    def _grant_time(self, steady: float) -> None:
        # While we were away nobody could say that an alert goes on: what it inhibits must not slip out now.
        least = steady + seconds(self._in_force.config.foreign.resolve_timeout)
        for fingerprint, known in self.state.alerts.items():
            if known.expires is not None and known.expires < least:
                self.state.alerts[fingerprint] = msgspec.structs.replace(known, expires=least)

    def now(self) -> Instant:
        """The present on both clocks."""
        return self._steady.now()

    def due(self) -> float | None:
        """Seconds until something is due; None: nothing is."""
        now = self.now()
        ahead = [at - now.steady for at in self._wakes.values()]
        if self._reroute:
            ahead.append(self._patient_until - self._clock.monotonic())
        if self._boundary != float("inf"):
            ahead.append(self._boundary - now.wall)
        return max(0.0, min(ahead)) if ahead else None

    async def taken_up(self) -> None:
        """Return once what was stored has been taken up. Raises StoreUnavailable when that takes long."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._taken_up.wait()
        except TimeoutError:
            reason = self.delayed or "what it holds is still being read"
            raise StoreUnavailable(self._store.path, reason) from None

    async def work(self, fill: Fill | None = None, also: Also | None = None) -> None:
        """One pass: `fill` gives it what has changed, `also` writes in the same transaction.

        Raises StoreUnavailable: then nothing has happened.
        """
        await self.taken_up()
        async with self._lock:
            work = self._begin(also is not None)
            await in_turns((fill(work) if fill is not None else None) or ())
            await in_turns(work.settling())
            draft, now = work.draft, work.now
            prune = self._unpruned + len(draft.decisions) >= _PRUNE_EVERY
            most = self._in_force.config.decisions

            def write(connection: Connection) -> None:
                if also is not None:
                    also(connection, now.wall)
                records.save(connection, draft, now)
                if prune:
                    records.prune(connection, most)

            if also is not None or draft.changes:
                await self._store.run(write)
                self._unpruned = 0 if prune else self._unpruned + len(draft.decisions)
            self._adopt(work)

    def _begin(self, by_rules: bool) -> Pass:
        force, now = self._in_force, self.now()
        reroutes = self._reroute and (by_rules or self._clock.monotonic() >= self._patient_until)
        work = Pass(self.state, force.table, force.receivers, now, self.instance)
        if now.wall >= self._boundary or reroutes:
            lapse(work, self.state, force.notice)
        if reroutes:
            work.reroute()
        work.look_at(id for id, at in self._wakes.items() if at <= now.steady)
        self._rerouted_by = force if reroutes else None
        return work

    def _adopt(self, work: Pass) -> None:
        work.draft.adopt()
        for id, at in work.wakes.items():
            if at is None:
                self._wakes.pop(id, None)
            else:
                self._wakes[id] = at
        force = self._in_force
        self._reroute = self._reroute and force is not self._rerouted_by
        self._boundary = boundary(self.state, force.table.timed, force.notice, work.now)
        self._bell.set()
        for reason in work.draft.suppressed:
            self._metrics.suppressed.labels(reason).inc()
        count(self._metrics, self.state, work.now.wall)
        if work.draft.queue:
            self._queued({channel for queued in work.draft.queue for channel, _ in queued.to})

    async def run(self) -> None:
        """Do what is due when it is due, until cancelled."""
        while True:
            self._bell.clear()
            due = self.due()
            if due is None or due > 0:
                await self._wait(due)
                continue
            try:
                await self.work()
                self.fault = ""
            except StoreUnavailable as error:
                if not self.fault:
                    log.error("store.unavailable", reason=error.reason)
                self.fault = str(error)
                await asyncio.sleep(_STORE_PAUSE_SECONDS)

    async def _wait(self, delay: float | None) -> None:
        try:
            async with asyncio.timeout(_LONGEST_WAIT_SECONDS if delay is None else min(delay, _LONGEST_WAIT_SECONDS)):
                await self._bell.wait()
        except TimeoutError:
            return
