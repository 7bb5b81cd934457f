"""The notification engine: follows the metrics in the log, evaluates the rules, and queues what is to be told."""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.event.log.model import Batch, CursorError, EventLog, LogError
from hxp_enterprise_llm.event.notifications import records
from hxp_enterprise_llm.event.notifications.alerts import Moment
from hxp_enterprise_llm.event.notifications.channels.model import Channel, ChannelFactory
from hxp_enterprise_llm.event.notifications.delivery.dispatcher import WORKERS, Dispatcher
from hxp_enterprise_llm.event.notifications.delivery.office import STORE_PAUSE_SECONDS
from hxp_enterprise_llm.event.notifications.delivery.settings import delivery_settings
from hxp_enterprise_llm.event.notifications.evaluation import Evaluation, Told, Watched, evaluate, restore
from hxp_enterprise_llm.event.notifications.model import LOG_CHANNEL, Notification, alert_data
from hxp_enterprise_llm.event.notifications.monitor import RuleMonitor
from hxp_enterprise_llm.event.notifications.outbox import Recipient, alert_recipients, switched_on
from hxp_enterprise_llm.event.notifications.rules import Rule, compile_rules
from hxp_enterprise_llm.event.notifications.snapshots import (
    SNAPSHOT_TYPES,
    BadSnapshot,
    Place,
    Snapshot,
    read_snapshot,
    starting_place,
    worth_evaluating,
)
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.store.database import Store, StoreUnavailable
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.notification_metrics import NotificationMetrics

log = structlog.get_logger("notifications")

CURSOR = "notifications"
_SAVE_SECONDS = 5.0
_PRUNE_SECONDS = 3600.0
_KEEP_SECONDS = 30 * 86400.0
"""How long finished deliveries stay in the outbox."""
_LOG_PAUSE_SECONDS = 1.0


class Prepared(NamedTuple):
    """A configuration that has been checked in full."""

    config: NotificationsConfig
    names: frozenset[str] | None
    rules: tuple[Rule, ...]
    channels: tuple[Channel, ...]


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
        metric_names: frozenset[str] | None = None,
        random: Callable[[], float] = _random.random,
        node: str = "localhost",
    ) -> None:
        """Raises RuleFaults, ChannelFault. `metric_names`: what conditions may name; None when it is not known."""
        self._log, self._store, self._clock, self._metrics = event_log, store, clock, metrics
        self._factory = channels
        self._dispatcher = Dispatcher(store, clock=clock, metrics=metrics, random=random, node=node)
        self.monitor = RuleMonitor(metrics, clock)
        self._alerts: dict[str, Watched] = {}
        self._saved_at = self._pruned_at = float("-inf")
        self._faults: dict[str, str] = {}
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

    def prepare(self, config: NotificationsConfig, metric_names: frozenset[str] | None = None) -> Callable[[], None]:
        """Check and compile everything; what is answered puts it in force. Raises RuleFaults, ChannelFault.

        `metric_names` replaces the names that conditions may use; None keeps them.
        """
        names = self._state.names if metric_names is None else metric_names
        return partial(self._apply, self._prepare(config, names))

    def _prepare(self, config: NotificationsConfig, names: frozenset[str] | None) -> Prepared:
        return Prepared(config, names, compile_rules(config, names), tuple(self._factory(config)))

    def _apply(self, prepared: Prepared) -> None:
        self._state = prepared
        self._dispatcher.use(prepared.channels, delivery_settings(prepared.config))
        self.monitor.use(prepared.rules)
        self._saved_at = float("-inf")  # alerts whose rules have changed end with the next batch

    async def run(self) -> None:
        """Follow the log and deliver, until cancelled."""
        await self._load()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="rules")
            group.create_task(self._dispatcher.run(), name="deliveries")

    async def _load(self) -> None:
        stored = await self._store.run(records.load_alerts)
        now = self._now()
        self._alerts = {alert.fingerprint: restore(alert, now) for alert in stored}
        log.info("notifications.started", rules=len(self.rules), alerts=len(self._alerts))

    async def _follow(self) -> None:
        while True:
            try:
                stored = await self._store.run(partial(records.load_cursor, name=CURSOR))
                place = starting_place(stored, await self._log.bounds())
                async for batch in self._log.follow(place.offset, types=SNAPSHOT_TYPES, epoch=place.epoch):
                    self._fault("log", "")
                    await self._take(batch, place.epoch)
            except CursorError as error:
                log.warning("notifications.cursor_lost", reason=str(error))
                await asyncio.sleep(_LOG_PAUSE_SECONDS)
            except LogError as error:
                self._fault("log", str(error))
                await asyncio.sleep(_LOG_PAUSE_SECONDS)
            except StoreUnavailable as error:
                self._fault("store", str(error))
                await asyncio.sleep(STORE_PAUSE_SECONDS)

    async def _take(self, batch: Batch, epoch: str) -> None:
        if not self.config.enabled:  # alerts stay what they are until the rules are evaluated again
            return
        place = Place(epoch, batch.next)
        now = self._clock.time()
        for snapshot in worth_evaluating(batch, self._snapshots(batch, now), now):
            await self._evaluate(snapshot, place)
        if self._clock.monotonic() - self._saved_at >= _SAVE_SECONDS:
            await self._evaluate(None, place)

    def _snapshots(self, batch: Batch, now: float) -> list[Snapshot]:
        found = []
        for event in batch.events:
            try:
                found.append(read_snapshot(event.raw, now))
            except BadSnapshot as error:
                log.warning("snapshot.unreadable", offset=event.offset, reason=str(error))
        return found

    async def _evaluate(self, snapshot: Snapshot | None, place: Place) -> None:
        """Evaluate, store, and only then believe it. Without a snapshot only the rules are looked at."""
        result = evaluate(self.rules, self._alerts, snapshot.values if snapshot else None, self._now())
        if snapshot is None or result.changed or result.dropped or result.told:
            try:
                await self._save(result, place)
            except StoreUnavailable as error:
                self._fault("store", str(error))
                return
            self._fault("store", "")
        self._alerts = result.alerts
        if snapshot is not None:
            self.monitor.evaluated(snapshot, result.outcomes)
        self.monitor.show(self._alerts, result.told)

    async def _save(self, result: Evaluation, place: Place) -> None:
        now, mono = self._now()
        prune_before = now - _KEEP_SECONDS if mono - self._pruned_at >= _PRUNE_SECONDS else None
        told = [(one.notification, self._recipients(one)) for one in result.told]

        def write(connection: Connection) -> None:
            for notification, to in told:
                queue = records.told(connection, notification.episode) if to is None else to
                records.enqueue(connection, notification, queue, now)
            records.save_alerts(connection, result.alerts.values(), now)
            records.drop_alerts(connection, result.dropped)
            records.save_cursor(connection, CURSOR, place)
            if prune_before is not None:
                records.prune(connection, prune_before)

        await self._store.run(write)
        self._saved_at = mono
        self._pruned_at = self._pruned_at if prune_before is None else mono
        if told:
            self._dispatcher.wake(WORKERS)

    def _recipients(self, told: Told) -> list[Recipient] | None:
        """Who is told; None: whoever was told that the alert fires."""
        notification, choice = told
        if notification.kind == "resolved":
            return None
        if not switched_on(self.config, notification.priority):
            return []
        if notification.kind == "pending":
            return [(LOG_CHANNEL, "")]
        return alert_recipients(choice, self.config, self._dispatcher.channels)

    async def send(self, notification: Notification, to: Sequence[Recipient]) -> None:
        """Queue a message for its recipients; durable when this returns. Raises StoreUnavailable."""
        now = self._clock.time()
        await self._store.run(partial(records.enqueue, notification=notification, to=to, now=now))
        self._dispatcher.wake(channel for channel, _ in to)

    async def deliveries(self) -> dict[str, records.Recent]:
        """How the deliveries of each channel went. Raises StoreUnavailable."""
        return await self._store.run(records.recent)

    def firing(self) -> list[dict[str, Any]]:
        """The alerts that fire now, each as its `alert.firing` event carried it."""
        alerts = self._alerts.values()
        fired = [alert.notification for alert in alerts if alert.state.phase in ("firing", "recovering")]
        return [alert_data(notification) for notification in fired if notification is not None]

    def health(self) -> Part:
        """How the engine is, in words."""
        reasons = [reason for reason in (*self._faults.values(), self._dispatcher.store_fault) if reason]
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
        return Moment(self._clock.time(), self._clock.monotonic())
