"""The data-streaming API (:9102) put together: gateway, dashboards, rules and notifications over one log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.processing import AnalyticsConfig
from hxp_enterprise_llm.config.secrets import Secret, read_secret
from hxp_enterprise_llm.config.streaming import ChannelConfig, OptimizationConfig, StreamingConfig
from hxp_enterprise_llm.event.dashboards import api as dashboards_api
from hxp_enterprise_llm.event.dashboards.prometheus import Prometheus
from hxp_enterprise_llm.event.dashboards.service import Dashboards
from hxp_enterprise_llm.event.log import RemoteLog
from hxp_enterprise_llm.event.log.mirror import Mirror
from hxp_enterprise_llm.event.log.model import EventLog, LogError
from hxp_enterprise_llm.event.notifications import api as notifications_api
from hxp_enterprise_llm.event.notifications.channels.factory import channel_factory
from hxp_enterprise_llm.event.notifications.channels.wording import Wording
from hxp_enterprise_llm.event.notifications.engine import NotificationEngine
from hxp_enterprise_llm.event.notifications.rules.vocabulary import vocabulary
from hxp_enterprise_llm.event.notifications.templates.loading import load as load_templates
from hxp_enterprise_llm.event.notifications.templates.renderer import (
    InlineRenderer,
    ProcessRenderer,
    Renderer,
    TemplateWording,
)
from hxp_enterprise_llm.event.sources.strict_json import read as read_json
from hxp_enterprise_llm.event.streaming import api as streaming_api
from hxp_enterprise_llm.event.streaming.centrifuge import api as centrifuge_api
from hxp_enterprise_llm.event.streaming.centrifuge.endpoint import Endpoint
from hxp_enterprise_llm.event.streaming.centrifuge.keys import load_verifier
from hxp_enterprise_llm.event.streaming.centrifuge.presence import Presence
from hxp_enterprise_llm.event.streaming.gateway import Gateway
from hxp_enterprise_llm.event.streaming.limits import Census
from hxp_enterprise_llm.event.streaming.relay import Relay
from hxp_enterprise_llm.event.streaming.serverapi import api as serverapi
from hxp_enterprise_llm.event.streaming.serverapi.who import Who
from hxp_enterprise_llm.event.views import SHARED_VIEWS
from hxp_enterprise_llm.runtime.cleanup import CleanupStack
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.runtime.tasks import cancel
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.store.database import Store
from hxp_enterprise_llm.telemetry.health import Part, Status
from hxp_enterprise_llm.telemetry.metrics import ApiMetrics, DashboardMetrics, LogMetrics, StreamingMetrics
from hxp_enterprise_llm.telemetry.notification_metrics import NotificationMetrics

log = structlog.get_logger("streaming")

_RECENT_BYTES = 16 * 1024 * 1024
"""The newest events, of another process' log: dashboards that nobody looks at rest between reads."""


def connector_to_the_log(config: OptimizationConfig) -> aiohttp.TCPConnector:
    """Connections to event processing; they are kept for the next question unless somebody has switched that off."""
    pools = config.enabled and "connection_pooling" in config.optimization_strategies
    return aiohttp.TCPConnector(limit=0, force_close=not pools)


class StreamingService:
    """Follows a log, its own process' or another's, and gives it to people and programs.

    `event_log` None: the log of the event processing that `monitoring` names. `analytics` are the metrics that
    conditions may refer to.
    """

    def __init__(
        self,
        config: StreamingConfig,
        context: Context,
        *,
        event_log: EventLog | None,
        analytics: AnalyticsConfig,
        census: Census | None = None,
        views: Sequence[Route] = (),
        events_in: str = "",
    ) -> None:
        """`census` counts connections where several processes share the limits.

        `views` are the read routes of the event processing in this process; of another process they are asked for.
        `events_in` is where it takes events in; of another process `monitoring` says so.
        """
        self._events_in = events_in or config.monitoring.real_time_event_processing_endpoint
        self._views = list(views)
        self._census = census
        self.config, self._context, self._analytics = config, context, analytics
        self.presence = Presence(announces=config.centrifuge.join_leave)
        self._shared_log = event_log
        self._cleanup = CleanupStack()
        self._budget = BodyBudget()
        self._egress = Egress(deny_private=config.security.egress.deny_private)
        self.dashboard_ports: dict[int, str] = {}
        """Port → dashboard, filled in when the ports are bound."""

    async def start(self) -> None:
        """Reach the log, open the store, start gateway, rules and dashboards."""
        self._log = self._shared_log or await self._open_remote_log()
        self._followed = self._shared_log or self._mirror(self._log)
        await self._start_gateway()
        await self._start_notifications()
        self._start_dashboards()

    async def _open_remote_log(self, connector: aiohttp.BaseConnector | None = None) -> EventLog:
        endpoint = "http://localhost" if connector else self.config.monitoring.real_time_event_processing_endpoint
        # A socket of our own host is known by its owner, not by a key.
        headers = {} if connector is not None else self._credentials()
        connector = connector or connector_to_the_log(self.config.performance_optimization)
        session = aiohttp.ClientSession(connector=connector, auto_decompress=True, headers=headers)
        self._cleanup.push("session", session.close)
        self._views = Relay(endpoint, session).routes(SHARED_VIEWS)
        metrics = LogMetrics(self._context.registry)
        remote = RemoteLog(endpoint, session=session, clock=self._context.clock, metrics=metrics)
        self._cleanup.push("log", partial(remote.close, 5.0))
        try:
            bounds = await remote.open()
            log.info("log.reached", endpoint=endpoint, epoch=bounds.epoch, head=bounds.head)
        except LogError as error:
            # Not a reason to stay down: clients are told to wait, and everything starts when it answers.
            log.warning("log.unreachable", endpoint=endpoint, reason=str(error))
        return remote

    def _mirror(self, far: EventLog) -> EventLog:
        """One stream from another process for all here who follow everything: each event is sent and read once."""
        mirror = Mirror(far, recent_bytes=_RECENT_BYTES)
        self._spawn("log.mirror", mirror.run())
        return mirror

    def _credentials(self) -> dict[str, str]:
        """What the other side asks of a stranger. A redirect to elsewhere does not get it."""
        key = self._read_secret(self.config.monitoring.api_key_file, "event-log-api-key")
        return {} if key is None else {"Authorization": f"Bearer {key.reveal()}"}

    async def _start_gateway(self) -> None:
        context = self._context
        self._gateway = Gateway(
            self.config,
            self._followed,
            clock=context.clock,
            metrics=StreamingMetrics(context.registry, context.clock),
            spawn=context.supervisor.spawn,
            random=context.random,
            census=self._census,
        )
        await self._gateway.start()
        self._cleanup.push("gateway", self._gateway.stop)
        self._start_centrifuge()
        self._start_api()

    def _start_centrifuge(self) -> None:
        context, config = self._context, self.config.centrifuge
        self._centrifuge = Endpoint(
            config,
            self._log,
            self._gateway.hub,
            clock=context.clock,
            spawn=context.supervisor.spawn,
            random=context.random,
            version=__version__,
            read_json=read_json,
            verifier=load_verifier(config, self._read_secret),
            presence=self.presence,
        )
        self._centrifuge.start()
        self._cleanup.push("centrifuge", self._centrifuge.stop)

    def _start_api(self) -> None:
        context, presence = self._context, self.presence
        self.who = Who(
            self._gateway, clock=context.clock, node=context.node, members=presence.clients, own=presence.own
        )
        self._api_metrics = ApiMetrics(context.registry)

    async def _start_notifications(self) -> None:
        context = self._context
        metrics = NotificationMetrics(context.registry)
        store = Store(Path(self.config.state.directory) / "state.db", failed=metrics.store_errors.inc, owned=True)
        await store.open()
        self._cleanup.push("store", store.close)
        renderer: Renderer = ProcessRenderer() if context.processes else InlineRenderer()
        self._cleanup.push("renderer", renderer.stop)

        def words(config: NotificationsConfig) -> Wording:
            failures = metrics.deliveries.template_failures
            return TemplateWording(renderer, load_templates(config.templates), clock=context.clock, failures=failures)

        self._notifications = NotificationEngine(
            self.config.real_time_notifications,
            self._log,
            store,
            channel_factory(
                self._log, self._read_secret, self._is_on, self._egress, time=context.clock.time, words=words
            ),
            clock=context.clock,
            metrics=metrics,
            metric_names=vocabulary(self._analytics),
            random=context.random.random,
            egress=self._egress,
            node=context.node,
        )
        self._spawn("notifications", self._notifications.run())

    def _is_on(self, transport: str) -> bool:
        return self.config.websocket.enabled if transport == "websocket" else self.config.sse.enabled

    def _read_secret(self, file: str, credential: str) -> Secret | None:
        secret = read_secret(file, credential, self._context.environ)
        if secret is not None:
            self._context.hide(secret.reveal())
        return secret

    def _start_dashboards(self) -> None:
        self._dashboards = Dashboards(
            self.config,
            self._followed,
            clock=self._context.clock,
            metrics=DashboardMetrics(self._context.registry),
            firing=self._firing,
            watched=lambda: self._gateway.watched,
            prometheus=Prometheus(
                self.config.monitoring.metrics_server_endpoint, self._egress, clock=self._context.clock
            ),
        )
        self._spawn("dashboards", self._dashboards.run())
        log.info("dashboards.started", dashboards=len(self.config.live_dashboard.dashboards))

    async def _firing(self) -> Sequence[Mapping[str, Any]]:
        return self._notifications.firing()

    def _spawn(self, name: str, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._context.supervisor.spawn(name, coroutine)
        self._cleanup.push(name, partial(cancel, task))

    async def farewell(self, within: float) -> None:
        """Ask every client to connect again; nobody new is let in."""
        await self._gateway.farewell(within)

    async def stop(self, within: float) -> None:
        """Stop everything, the newest first."""
        await self._cleanup.run(within)

    def routes(self) -> list[Route]:
        """The routes of all rooms; they must have been started."""
        return [
            *self.stream_routes(),
            *self._api_routes(),
            *self._views,
            *notifications_api.routes(self._notifications, clock=self._context.clock, budget=self._budget),
            *dashboards_api.routes(
                self._dashboards,
                node=self._context.node,
                ports=self.dashboard_ports,
                budget=self._budget,
                events_in=self._events_in,
            ),
        ]

    def _api_routes(self) -> list[Route]:
        return serverapi.routes(
            self._gateway,
            self._log,
            self.who,
            clock=self._context.clock,
            metrics=self._api_metrics,
            budget=self._budget,
            read_json=read_json,
        )

    def stream_routes(self) -> list[Route]:
        """The routes that need the gateway alone."""
        return [
            *streaming_api.routes(self._gateway, self._context.clock),
            *centrifuge_api.routes(self._centrifuge, self._gateway, budget=self._budget),
        ]

    def reach_sessions(self, elsewhere: Callable[[bytes], Awaitable[bool]]) -> None:
        """How emulation requests reach the sessions of other processes; answers whether one has taken it."""
        self._centrifuge.elsewhere = elsewhere

    def channels(self) -> Mapping[str, ChannelConfig]:
        """What each channel carries."""
        hub = self._gateway.hub
        return {name: hub.describe(name) for name in hub.channels}

    def extra_ports(self) -> Mapping[str, int]:
        """The own ports of the dashboards that are served."""
        return self.config.live_dashboard.own_ports()

    def bound(self, name: str, port: int) -> None:
        """A listener of ours is up: a dashboard's own port answers with its page."""
        if name in self.config.live_dashboard.ports:
            self.dashboard_ports[port] = name

    async def health(self) -> Mapping[str, Part]:
        health = await self._log.health()
        status: Status = "ok" if health.status == "ok" else "degraded"
        hub = self._gateway.hub
        return {
            "log": Part(status, health.reason, {"durable": health.durable, "head": health.head, "epoch": health.epoch}),
            "streaming": Part("ok" if hub.ready else "degraded", hub.problem),
            "notifications": self._notifications.health(),
            "dashboards": self._dashboards.health(),
        }

    def prepare(self, config: StreamingConfig, analytics: AnalyticsConfig) -> Callable[[], None]:
        """Compile rules, read definitions, check channels; then one swap."""
        commits = [
            self._gateway.prepare(config),
            self._notifications.prepare(config.real_time_notifications, vocabulary(analytics)),
            self._dashboards.prepare(config),
        ]

        def commit() -> None:
            for each in commits:
                each()
            self.config, self._analytics = config, analytics

        return commit


if __name__ == "__main__":
    import sys

    from hxp_enterprise_llm.cli.serve import serve_service

    sys.exit(serve_service("streaming"))
