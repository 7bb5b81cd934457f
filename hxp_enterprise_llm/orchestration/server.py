"""One service behind its listeners: the edge, the routes that every service has, the order of start and stop."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog
from aiohttp import web

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.config.processing import AnalyticsConfig, ProcessingConfig
from hxp_enterprise_llm.config.streaming import ChannelConfig, StreamingConfig
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.orchestration import asyncapi, openapi
from hxp_enterprise_llm.orchestration.activation import HandedSockets
from hxp_enterprise_llm.orchestration.described import DOCUMENT, HEALTH, LIVE, METRICS, READY
from hxp_enterprise_llm.runtime.cleanup import CleanupStack
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.security.admit import Policy
from hxp_enterprise_llm.security.capacity import Capacity, descriptor_limit, open_descriptors
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.problems import json_response
from hxp_enterprise_llm.telemetry.exposition import instrument_process, page
from hxp_enterprise_llm.telemetry.health import Part, report, worst
from hxp_enterprise_llm.telemetry.lag import LagSampler
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics

log = structlog.get_logger("service")


ServedConfig = ProcessingConfig | StreamingConfig


class Service(Protocol):
    """A composition root: makes the rooms of one service and knows how they are."""

    async def start(self) -> None: ...
    async def stop(self, within: float) -> None: ...
    async def farewell(self, within: float) -> None:
        """Tell those who are connected that the service goes; called before the listeners close."""
        ...

    def routes(self) -> list[Route]: ...
    async def health(self) -> Mapping[str, Part]: ...
    def prepare(self, config: Any, analytics: AnalyticsConfig) -> Callable[[], None]:
        """Do all of a reload that may fail; the returned function swaps and cannot fail.

        `analytics` are the metrics that conditions may refer to.
        """
        ...

    def channels(self) -> Mapping[str, ChannelConfig]:
        """The channels on which its clients get events."""
        ...

    def extra_ports(self) -> Mapping[str, int]:
        """Further ports, by name, on which the service answers."""
        ...

    def bound(self, name: str, port: int) -> None:
        """A listener of the service is up on this port."""
        ...


class ServiceServer:
    """Starts a service, then listens; says goodbye, stops listening, then stops the service."""

    def __init__(
        self,
        config: ServedConfig,
        service: Service,
        context: Context,
        sock: socket.socket | None = None,
        handed: HandedSockets | None = None,
    ) -> None:
        """`sock` listens already on the service's port, `handed` on any of its ports; others are opened."""
        self._sock, self._handed = sock, handed or HandedSockets()
        self.config, self.service, self.context = config, service, context
        self.metrics = ServiceMetrics(context.registry)
        instrument_process(context.registry)
        self.metrics.build.labels(__version__).set(1)
        self._policy = Policy.of(config.security)
        self.capacity: Capacity
        """Known once the rooms have been started and have opened their files."""
        self._listeners: dict[str, Listener] = {}
        self._cleanup = CleanupStack()
        self.ready = False
        self.schemas: Callable[[], SchemaCatalogue] = cache(SchemaCatalogue.load)
        """Those of events' data that are in force, for the AsyncAPI document."""

    def _make_state_directory(self) -> None:
        with suppress(OSError):  # the room that needs it says more clearly what is wrong
            Path(self.config.state.directory).mkdir(mode=0o700, parents=True, exist_ok=True)

    def _measure(self) -> Capacity:
        clock, metrics = self.context.clock, self.metrics
        capacity = Capacity(descriptor_limit(), open_descriptors(), clock.monotonic, metrics.turned_away.inc)
        metrics.connections_limit.set(capacity.most)
        return capacity

    @property
    def name(self) -> str:
        return self.config.service.name

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """Where the service listens, by name of the listener; the main one has the service's name."""
        return {name: listener.address for name, listener in self._listeners.items()}

    @property
    def listener(self) -> Listener:
        """The main one; the service must have been started."""
        return self._listeners[self.name]

    async def start(self) -> None:
        """Start the rooms, then listen. What was begun is undone when a step fails."""
        try:
            await self._start()
        except BaseException:
            await self.stop(self.config.service.timeout)
            raise

    async def _start(self) -> None:
        within = self.config.service.timeout
        self._cleanup.push("service", lambda: self.service.stop(within))
        self._make_state_directory()
        await self.service.start()
        self.capacity = self._measure()
        clock = self.context.clock
        self.app = build_app(self.routes(), policy=lambda: self._policy, metrics=self.metrics, clock=clock)
        for name, port in {self.name: self.config.service.port, **self.service.extra_ports()}.items():
            await self._listen(name, port)
        self.context.supervisor.spawn(f"{self.name}.lag", LagSampler(self.metrics.loop_lag, self.context.clock).run())
        self.ready = True
        log.info("service.ready", service=self.name, version=__version__)

    async def _listen(self, name: str, port: int) -> None:
        listener = Listener(self.app, self.config.service.host, port, name=name, capacity=self.capacity)
        sockets = self._sockets(name, port)
        await listener.start(sockets[0] if sockets else None)
        for sock in sockets[1:]:
            # A queue of the same port: whoever waits in it is served here as well.
            await listener.serve_also(sock)
        self._listeners[name] = listener
        self.service.bound(name, listener.address[1])
        self._cleanup.push(f"listener {name}", lambda: listener.stop(2.0))

    def _sockets(self, name: str, port: int) -> list[socket.socket]:
        """Those that listen already on a port of ours."""
        if name == self.name and self._sock is not None:
            return [self._sock]
        return self._handed.take(self.config.service.host, port)

    async def stop(self, within: float) -> None:
        """Idempotent and bounded: not ready, farewell, listeners closed, rooms stopped."""
        if self.ready:
            self.ready = False
            self._cleanup.push("farewell", lambda: self.service.farewell(within / 2))
        await self._cleanup.run(within)

    def prepare(self, config: ServedConfig, analytics: AnalyticsConfig) -> Callable[[], None]:
        """Prepare a reload of this service; the returned function applies it."""
        policy = Policy.of(config.security)
        commit_service = self.service.prepare(config, analytics)

        def commit() -> None:
            commit_service()
            self._policy = policy
            self.config = config

        return commit

    def mark_loaded(self) -> None:
        """Say in the metrics which configuration is in force, since now."""
        self.metrics.reload_ok.set(1)
        self.metrics.reload_time.set(self.context.clock.time())
        self.metrics.config_hash.set(zlib.crc32(msgspec.json.encode(self.config)))

    def routes(self) -> list[Route]:
        """Every route of the service; the rooms must have been started."""
        return [*self.service.routes(), *self._common_routes()]

    def _common_routes(self) -> list[Route]:
        return [
            Route("GET", "/health", self._health, "read", "How the service and each part of it is", described=HEALTH),
            Route("GET", "/health/live", self._live, "open", "Whether the process answers", described=LIVE),
            Route("GET", "/health/ready", self._is_ready, "open", "Whether the service takes traffic", described=READY),
            Route("GET", "/metrics", self._metrics, "metrics", "Metrics for Prometheus", described=METRICS),
            Route("GET", "/openapi.json", self._openapi, "read", "These endpoints as OpenAPI", described=DOCUMENT),
            Route(
                "GET", "/asyncapi.json", self._asyncapi, "read", "Channels and events as AsyncAPI", described=DOCUMENT
            ),
        ]

    async def parts(self) -> Mapping[str, Part]:
        """How each part of the service is."""
        return {**await self.service.health(), "connections": self._connections()}

    def _connections(self) -> Part:
        facts = {
            "limit": self.capacity.most,
            "descriptors": open_descriptors(),
            "most_descriptors": self.capacity.limit,
        }
        reason = "connections were turned away: the process may open no more files" if self.capacity.full else ""
        return Part("degraded" if reason else "ok", reason, facts)

    async def _health(self, request: web.Request) -> web.Response:
        parts = await self.parts()
        body = report(self.name, rfc3339(self.context.clock.time()), parts)
        return json_response(body, status=503 if worst(parts) == "down" else 200)

    async def _live(self, request: web.Request) -> web.Response:
        return json_response({"status": "ok"})

    async def _is_ready(self, request: web.Request) -> web.Response:
        ready = self.ready and worst(await self.service.health()) != "down"
        return json_response({"status": "ok" if ready else "not ready"}, status=200 if ready else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        content_type, body = await page(self.context.registry, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _openapi(self, request: web.Request) -> web.Response:
        return json_response(openapi.document(self.name, __version__, self.routes()))

    async def _asyncapi(self, request: web.Request) -> web.Response:
        paths = {route.path for route in self.routes()}
        found = asyncapi.document(
            self.name,
            __version__,
            request.host,
            paths=paths,
            channels=self.service.channels(),
            schemas=self.schemas().all,
        )
        return json_response(found)
