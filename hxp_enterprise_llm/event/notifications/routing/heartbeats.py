"""Signs of life to a dead man's switch. They stop when the engine could not tell anybody anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import structlog

from hxp_enterprise_llm.config.faults import masked
from hxp_enterprise_llm.config.routing import HeartbeatConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.notifications.model import Alert, Notification
from hxp_enterprise_llm.event.notifications.routing.draft import Queued
from hxp_enterprise_llm.event.notifications.routing.foreign import fingerprint_of
from hxp_enterprise_llm.event.notifications.routing.pipeline import Pass
from hxp_enterprise_llm.event.notifications.routing.receivers import STREAMS
from hxp_enterprise_llm.event.notifications.routing.router import Router
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.store.errors import StoreUnavailable
from hxp_enterprise_llm.telemetry.routing_metrics import RoutingMetrics

log = structlog.get_logger("notifications")
NAME = "Watchdog"
_TIMEOUT_SECONDS = 10.0
_RESULTS = ("sent", "failed", "withheld")


class Heartbeats:
    """One task a heartbeat. `ill` says why none may be sent; empty while all is well."""

    def __init__(self, router: Router, egress: Egress, metrics: RoutingMetrics, ill: Callable[[], str]) -> None:
        self._router, self._egress, self._metrics, self._ill = router, egress, metrics, ill
        self._changed = asyncio.Event()
        self._beats: dict[str, HeartbeatConfig] = {}

    def use(self, beats: dict[str, HeartbeatConfig]) -> None:
        """Other heartbeats are in force; the first of each is sent at once."""
        if beats != self._beats:
            self._beats = dict(beats)
            self._changed.set()
        for name in beats:
            for result in _RESULTS:
                self._metrics.heartbeats.labels(name, result)

    async def run(self) -> None:
        """Send them until cancelled."""
        while True:
            self._changed.clear()
            if not self._beats:
                await self._changed.wait()
                continue
            async with asyncio.TaskGroup() as group:
                beats = self._beats.items()
                tasks = [group.create_task(self._keep(*each), name=f"heartbeat-{each[0]}") for each in beats]
                await self._changed.wait()
                for task in tasks:
                    task.cancel()

    async def _keep(self, name: str, beat: HeartbeatConfig) -> None:
        while True:
            result = await self._send(name, beat)
            self._metrics.heartbeats.labels(name, result).inc()
            await asyncio.sleep(seconds(beat.every))

    async def _send(self, name: str, beat: HeartbeatConfig) -> str:
        reason = self._ill()
        if reason:
            log.warning("heartbeat.withheld", heartbeat=name, reason=reason)
            return "withheld"
        try:
            if beat.receiver:
                await self._router.work(lambda work: _tell(work, self._router, name, beat.receiver))
            if beat.url:
                await self._ask(beat)
        except (aiohttp.ClientError, TimeoutError, OSError, StoreUnavailable) as error:
            log.warning("heartbeat.failed", heartbeat=name, reason=masked(str(error)) or type(error).__name__)
            return "failed"
        return "sent"

    async def _ask(self, beat: HeartbeatConfig) -> None:
        async with (
            self._egress.session(_TIMEOUT_SECONDS) as session,
            session.request(beat.method, beat.url) as answer,
        ):
            answer.raise_for_status()


def _tell(work: Pass, router: Router, name: str, receiver: str) -> None:
    to = tuple(each for each in router.receivers.recipients(receiver) if each[0] not in STREAMS)
    if to:
        work.draft.queue.append(Queued(watchdog(name, work.now.wall), to))


def watchdog(name: str, wall: float) -> Notification:
    """The alert that always fires."""
    episode, text = f"heartbeat-{name}", "The notification engine is alive. When this stops, nobody is told anything."
    alert = Alert(
        fingerprint=fingerprint_of({"alertname": NAME, "heartbeat": name}),
        episode=episode,
        status="firing",
        priority="info",
        labels={"alertname": NAME, "severity": "none", "heartbeat": name},
        annotations={"summary": text},
        starts_at=wall,
        rule=NAME,
    )
    return Notification(
        id=f"{episode}.{int(wall * 1000)}",
        episode=episode,
        seq=int(wall),
        kind="firing",
        priority="info",
        title=NAME,
        text=text,
        at=wall,
        rule=NAME,
        since=wall,
        alerts=(alert,),
        thread=episode,
    )
