"""The notification engine: follows the metrics in the log, evaluates the rules, and queues what is to be told."""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.event.log.model import Batch, CursorError, EventLog, LogError
from hxp_enterprise_llm.event.model import TypePatterns
from hxp_enterprise_llm.event.notifications import records
from hxp_enterprise_llm.event.notifications.channels.model import Channel, ChannelFactory
from hxp_enterprise_llm.event.notifications.delivery.dispatcher import Dispatcher
from hxp_enterprise_llm.event.notifications.delivery.office import STORE_PAUSE_SECONDS
from hxp_enterprise_llm.event.notifications.delivery.settings import delivery_settings
from hxp_enterprise_llm.event.notifications.instant import SteadyClock
from hxp_enterprise_llm.event.notifications.links import linked
from hxp_enterprise_llm.event.notifications.model import Notification, alert_data
from hxp_enterprise_llm.event.notifications.outbox import Recipient, switched_on
from hxp_enterprise_llm.event.notifications.routing.acknowledgements import ACKNOWLEDGED, PUBLICATION
from hxp_enterprise_llm.event.notifications.routing.adoption import Adopted, adopt, look_up, whole
from hxp_enterprise_llm.event.notifications.routing.desk import Desk
from hxp_enterprise_llm.event.notifications.routing.heartbeats import Heartbeats
from hxp_enterprise_llm.event.notifications.routing.notices import log_only
from hxp_enterprise_llm.event.notifications.routing.pipeline import Pass
from hxp_enterprise_llm.event.notifications.routing.receivers import Receivers
from hxp_enterprise_llm.event.notifications.routing.records import Loaded, load
from hxp_enterprise_llm.event.notifications.routing.router import Router
from hxp_enterprise_llm.event.notifications.routing.table import RoutingTable, compile_routing
from hxp_enterprise_llm.event.notifications.rules import rows
from hxp_enterprise_llm.event.notifications.rules.alerts import Moment
from hxp_enterprise_llm.event.notifications.rules.compiled import Rule, compile_rules
from hxp_enterprise_llm.event.notifications.rules.evaluation import Evaluation, Evaluator
from hxp_enterprise_llm.event.notifications.rules.monitor import RuleMonitor
from hxp_enterprise_llm.event.notifications.rules.snapshots import (
    SNAPSHOT_TYPE,
    BadSnapshot,
    Place,
    Snapshot,
    read_snapshot,
    starting_place,
    worth_evaluating,
)
from hxp_enterprise_llm.event.notifications.rules.telling import Told, Watched
from hxp_enterprise_llm.event.notifications.rules.vocabulary import Vocabulary
from hxp_enterprise_llm.event.notifications.turns import in_turns
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.store.database import Store
from hxp_enterprise_llm.store.errors import StoreClosed, StoreUnavailable
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.notification_metrics import NotificationMetrics

log = structlog.get_logger("notifications")

FOLLOWED = TypePatterns([SNAPSHOT_TYPE, ACKNOWLEDGED, PUBLICATION])
CURSOR = "notifications"
_SAVE_SECONDS = 5.0
_PRUNE_SECONDS = 3600.0
_KEEP_SECONDS = 30 * 86400.0
"""How long finished deliveries stay in the outbox."""
_LOG_PAUSE_SECONDS = 1.0
_ALERTS_AT_ONCE = 50
"""Others run between so many of them."""
_PATIENCE_SECONDS = 3.0
"""After a reload routes wait so long for the rules, so that no one is told of an alert that ends with its rule."""
_SILENCE_SECONDS = 10.0
"""After so long without a snapshot the metrics have no values."""


class Prepared(NamedTuple):
    """A configuration that has been checked in full."""

    config: NotificationsConfig
    names: Vocabulary | None
    rules: tuple[Rule, ...]
    channels: tuple[Channel, ...]
    table: RoutingTable


class NotificationEngine:
    """Rules in, notifications out. `run` is one long task; everything else answers at once or asks the store."""

    def __init__(
        self,
        config: NotificationsConfig,
        event_log: EventLog,
        store: Store,
        channels: ChannelFactory,
        *,
        clock: Clock,
        metrics: NotificationMetrics,
        metric_names: Vocabulary | None = None,
        random: Callable[[], float] = _random.random,
        egress: Egress | None = None,
        node: str = "localhost",
    ) -> None:
        """Raises RuleFaults, RoutingFaults, ChannelFault.

        `metric_names`: what conditions may name; None when it is not known.
        """
        self._log, self._store, self._clock, self._metrics = event_log, store, clock, metrics
        self._factory = channels
        self._steady = SteadyClock(clock)
        self._dispatcher = Dispatcher(
            store, clock=clock, steady=self._steady, metrics=metrics, random=random, node=node
        )
        self._router = Router(
            store, clock=clock, steady=self._steady, metrics=metrics.routing, queued=self._dispatcher.wake
        )
        self.desk = Desk(self._router, store, event_log, clock=clock, metrics=metrics.routing)
        """What people and programs ask of the way of alerts: silences, acknowledgements, alerts from outside."""
        self._heartbeats = Heartbeats(self._router, egress or Egress(), metrics.routing, lambda: self.health().reason)
        self.monitor = RuleMonitor(metrics, clock)
        self._alerts: dict[str, Watched] = {}
        self._saved_at = self._pruned_at = float("-inf")
        self._begun = self._seen_at = clock.monotonic()
        self._watched = 0.0
        self._faults: dict[str, str] = {}
        self._names, self._evaluator = metric_names, Evaluator(())
        self._state = self._prepare(config, metric_names)
        self._apply(self._state)

    @property
    def config(self) -> NotificationsConfig:
        """The configuration in force."""
        return self._state.config

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return self._state.rules

    @property
    def alerts(self) -> dict[str, Watched]:
        """The alerts by fingerprint, as they are stored."""
        return self._alerts

    @property
    def dispatcher(self) -> Dispatcher:
        """Who delivers, for what is asked of it by hand."""
        return self._dispatcher

    @property
    def channels(self) -> dict[str, Channel]:
        """The channels in use, by name."""
        return dict(self._dispatcher.channels)

    def receiver(self, name: str) -> list[Recipient] | None:
        """Recipients of a receiver; None when none has that name."""
        return self._receivers.named(name)

    def absence(self, name: str) -> str:
        """Why a receiver has no recipients."""
        return self._receivers.absence(name)

    def prepare(self, config: NotificationsConfig, metric_names: Vocabulary | None = None) -> Callable[[], None]:
        """Check and compile everything; what is answered puts it in force. Raises RuleFaults, RoutingFaults,
        ChannelFault.

        `metric_names` replaces the names that conditions may use; None keeps them.
        """
        names = self._state.names if metric_names is None else metric_names
        return partial(self._apply, self._prepare(config, names))

    def _prepare(self, config: NotificationsConfig, names: Vocabulary | None) -> Prepared:
        known = self._evaluator.rules if self._names == names else ()
        rules = compile_rules(config, names, known)
        return Prepared(config, names, rules, tuple(self._factory(config)), compile_routing(config))

    def _apply(self, prepared: Prepared) -> None:
        self._state = prepared
        config = prepared.config
        self._dispatcher.use(prepared.channels, delivery_settings(config))
        self._receivers = Receivers(config, self._dispatcher.channels)
        self._router.use(prepared.table, self._receivers, config, _PATIENCE_SECONDS if config.enabled else 0.0)
        self._heartbeats.use(config.heartbeats if config.enabled else {})
        self.monitor.use(prepared.rules)
        self._names, self._evaluator = prepared.names, Evaluator(prepared.rules)
        if not config.enabled:
            self._metrics.rule_time.set(float("nan"))
        self._saved_at = float("-inf")  # alerts whose rules have changed end with the next batch

    async def run(self) -> None:
        """Follow the log and deliver, until cancelled."""
        await self._begin()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(), name="rules")
                group.create_task(self._router.run(), name="routes")
                group.create_task(self._heartbeats.run(), name="heartbeats")
                group.create_task(self._dispatcher.run(), name="deliveries")
        except asyncio.CancelledError:
            await self._keep_times()
            raise

    async def _keep_times(self) -> None:
        """An orderly stop: what was watched until now counts for `for` and its like when we are back."""
        watched, steady = self._now().mono, self._steady.now().steady
        with suppress(StoreUnavailable, StoreClosed):  # then it is what was last written, some seconds ago
            await self._store.run(partial(rows.save_watched, seconds=watched, steady=steady))

    async def _begin(self) -> None:
        """Take up what is stored, however long the store takes to come back."""
        while True:
            try:
                await self._load()
            except StoreUnavailable as error:
                self._fault("store", str(error))
                self._router.delayed = error.reason
                await asyncio.sleep(STORE_PAUSE_SECONDS)
            else:
                self._fault("store", "")
                return

    async def _load(self) -> None:
        found = await self._store.run(partial(_load, fresh=self._clock.new_id()))
        self._watched = found.watched
        self._begun = self._seen_at = self._clock.monotonic()
        self._steady.go_on_from(found.steady)
        self._alerts = {alert.fingerprint: alert for alert in found.alerts}
        self._router.take_up(found.way)
        if found.adopted:
            await self._router.work(adopt(found.adopted, {rule.name: rule.config.channel for rule in self.rules}))
        log.info("notifications.started", rules=len(self.rules), alerts=len(self._alerts))

    async def _follow(self) -> None:
        place: Place | None = None
        while True:
            try:
                stored = await self._store.run(partial(records.load_cursor, name=CURSOR))
                place = starting_place(stored, await self._log.bounds())
                async for batch in self._log.follow(place.offset, types=FOLLOWED, epoch=place.epoch):
                    self._fault("log", "")
                    await self._take(batch, place.epoch)
            except CursorError as error:
                log.warning("notifications.cursor_lost", reason=str(error))
                await asyncio.sleep(_LOG_PAUSE_SECONDS)
            except LogError as error:
                self._fault("log", str(error))
                await self._look(place)
                await asyncio.sleep(_LOG_PAUSE_SECONDS)
            except StoreUnavailable as error:
                self._fault("store", str(error))
                await asyncio.sleep(STORE_PAUSE_SECONDS)

    async def _take(self, batch: Batch, epoch: str) -> None:
        if not self.config.enabled:  # alerts stay what they are until the rules are evaluated again
            return
        place = Place(epoch, batch.next)
        now = self._clock.time()
        await self.desk.follow(batch.events)
        for snapshot in worth_evaluating(batch, self._snapshots(batch, now), now):
            self._seen_at = self._clock.monotonic()
            await self._evaluate(snapshot, place, snapshot.at)
        await self._look(place)

    async def _look(self, place: Place | None) -> None:
        """What is to be done now and then, whether snapshots come or not."""
        now = self._clock.monotonic()
        if now - self._saved_at < _SAVE_SECONDS or not self.config.enabled:
            return
        silent = now - self._seen_at >= _SILENCE_SECONDS
        await self._evaluate(Snapshot(self._clock.time(), {}) if silent else None, place, None)

    def _snapshots(self, batch: Batch, now: float) -> list[Snapshot]:
        found = []
        for event in batch.events:
            if event.type != "analytics.snapshot":
                continue
            try:
                found.append(read_snapshot(event.raw, now))
            except BadSnapshot as error:
                log.warning("snapshot.unreadable", offset=event.offset, reason=str(error))
        return found

    async def _evaluate(self, snapshot: Snapshot | None, place: Place | None, at: float | None) -> None:
        """Evaluate, store, and only then believe it. Without a snapshot only the rules are looked at."""
        evaluator, begun = self._evaluator, self._clock.monotonic()
        evaluation = evaluator.begin(self._alerts, snapshot, self._now())
        await in_turns(evaluation.stretches())
        result = evaluation.result()
        took = self._clock.monotonic() - begun
        if at is None or result.changed or result.dropped or result.told:
            try:
                await self._save(result, place)
            except StoreUnavailable as error:
                evaluator.doubt()
                self._fault("store", str(error))
                return
            self._fault("store", "")
            await asyncio.sleep(0)
        self._alerts = result.alerts
        if snapshot is not None:
            evaluator.believe(result)
            await in_turns(self.monitor.evaluated(at, result, took))
        await in_turns(self.monitor.show(self._alerts))
        await in_turns(self.monitor.say(result.told))

    async def _save(self, result: Evaluation, place: Place | None) -> None:
        now, mono = self._now()
        prune_before = now - _KEEP_SECONDS if mono - self._pruned_at >= _PRUNE_SECONDS else None

        def route(work: Pass) -> Iterator[None]:
            for number, one in enumerate(result.told, 1):
                self._route(work, one)
                if number % _ALERTS_AT_ONCE == 0:
                    yield

        def write(connection: Connection, now: float) -> None:
            rows.save_alerts(connection, result.changed, now)
            rows.drop_alerts(connection, result.dropped)
            rows.save_watched(connection, mono, self._steady.now().steady)
            if place is not None:
                records.save_cursor(connection, CURSOR, place)
            if prune_before is not None:
                records.prune(connection, prune_before)

        await self._router.work(route, write)
        self._saved_at = self._clock.monotonic()
        self._pruned_at = self._pruned_at if prune_before is None else mono

    def _route(self, work: Pass, told: Told) -> None:
        """Send an alert on its way. In the log it is whatever becomes of it, unless nobody knows that it began."""
        notification, choice = told
        if notification.kind == "resolved":
            if work.take(notification, choice):
                work.draft.queue.append(log_only(notification))
        elif switched_on(self.config, notification.priority):
            work.draft.queue.append(log_only(notification))
            if notification.kind == "firing":
                work.take(notification, choice)

    async def send(self, notification: Notification, to: Sequence[Recipient]) -> None:
        """Queue a message for its recipients; durable when this returns. Raises StoreUnavailable."""
        now = self._steady.now()
        await self._store.run(partial(records.enqueue, notification=notification, to=to, now=now))
        self._dispatcher.wake(channel for channel, _ in to)

    async def deliveries(self) -> dict[str, records.Recent]:
        """How the deliveries of each channel went. Raises StoreUnavailable."""
        return await self._store.run(records.recent)

    def firing(self) -> list[dict[str, Any]]:
        """The alerts that fire now, each as its `alert.firing` event carried it."""
        alerts = self._alerts.values()
        fired = [alert.notification for alert in alerts if alert.state.open]
        told = [*filter(None, fired), *(known.notification for known in self.desk.foreign())]
        return [alert_data(linked(notification, self.config.page_url)) for notification in told]

    def health(self) -> Part:
        """How the engine is, in words."""
        faults = (*self._faults.values(), self._dispatcher.store_fault, self._router.fault)
        reasons = [reason for reason in faults if reason]
        if reasons:
            return Part("degraded", "; ".join(dict.fromkeys(reasons)))
        return Part("ok", facts={"rules": len(self.rules)})

    def _fault(self, what: str, reason: str) -> None:
        before = self._faults.get(what, "")
        self._faults[what] = reason
        if reason and not before:
            log.error("notifications.degraded", what=what, reason=reason)
        elif before and not reason:
            log.info("notifications.restored", what=what)

    def _now(self) -> Moment:
        return Moment(self._clock.time(), self._watched + self._clock.monotonic() - self._begun)


class _Found(NamedTuple):
    """What a run begins with."""

    watched: float
    steady: float
    alerts: Sequence[Watched]
    way: Loaded
    adopted: list[Adopted]


def _load(connection: Connection, fresh: str) -> _Found:
    stored, way = rows.load_alerts(connection), load(connection, fresh)
    alerts = [alert._replace(notification=whole(alert.notification, alert.fingerprint)) for alert in stored]
    fired = [alert.notification for alert in alerts if alert.state.open]
    return _Found(*rows.load_watched(connection), alerts, way, look_up(connection, fired, way.state))
