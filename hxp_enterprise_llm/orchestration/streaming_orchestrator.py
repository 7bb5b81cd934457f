"""The whole program as one object: `start`, `reload`, `stop`, `addresses`. Tests start the real thing on port 0."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import LoggingConfig, PerformanceConfig
from hxp_enterprise_llm.config.processing import AnalyticsConfig, ProcessingConfig
from hxp_enterprise_llm.config.reload import differences
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.processing.service import ProcessingService
from hxp_enterprise_llm.event.streaming.service import StreamingService
from hxp_enterprise_llm.orchestration.activation import HandedSockets
from hxp_enterprise_llm.orchestration.aggregation.first import Aggregation, FirstProcessingServer
from hxp_enterprise_llm.orchestration.server import ServiceServer
from hxp_enterprise_llm.orchestration.workers.counts import SharedCounts
from hxp_enterprise_llm.orchestration.workers.first import FirstServer
from hxp_enterprise_llm.runtime.cleanup import CleanupStack
from hxp_enterprise_llm.runtime.clock import Clock, SystemClock
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.runtime.tasks import Supervisor
from hxp_enterprise_llm.security.model import Route

log = structlog.get_logger("orchestrator")

LOG_PATHS = ("/events", "/events/stream", "/events/bounds")


@dataclass(frozen=True, slots=True)
class Settings:
    """What runs in this process: either service, or both, and then they share one log."""

    processing: ProcessingConfig | None = None
    streaming: StreamingConfig | None = None
    declared: AnalyticsConfig = field(default_factory=AnalyticsConfig)
    """The metrics that conditions refer to, where event processing runs in another process."""
    apart: bool = False
    """What `service.aggregation_process: auto` means: whether the log is followed in a process of its own."""

    @property
    def performance(self) -> PerformanceConfig:
        """The gateway's word, where there is one, also for the log lines of the process."""
        return (self.streaming or self.processing or ProcessingConfig()).performance

    @property
    def logging(self) -> LoggingConfig:
        """As `performance`."""
        return (self.streaming or self.processing or ProcessingConfig()).logging

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where the services are to listen."""
        found = []
        if self.processing is not None:
            found.append((self.processing.service.host, self.processing.service.port))
        if self.streaming is not None:
            ports = [self.streaming.service.port, *self.streaming.live_dashboard.own_ports().values()]
            found.extend((self.streaming.service.host, port) for port in ports)
        return found

    @property
    def analytics(self) -> AnalyticsConfig:
        """The metrics that conditions refer to."""
        return self.processing.analytics if self.processing is not None else self.declared


@dataclass(frozen=True, slots=True)
class ReloadReport:
    """What a reload changed at once, and what waits for a restart (dotted paths)."""

    applied: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


class StreamingOrchestrator:
    """Starts, reloads and stops the services of one process."""

    def __init__(
        self,
        settings: Settings,
        *,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        seed: int | None = None,
        hide: Callable[[str], None] = lambda _: None,
        processes: bool = True,
        handed: HandedSockets | None = None,
    ) -> None:
        """`handed` are the listening sockets that a service manager keeps for us."""
        self._handed = handed or HandedSockets()
        self.settings = settings
        self._environ = environ or {}
        self._clock = clock or SystemClock()
        self._random = random.Random(seed)
        self._hide = hide
        self._processes = processes
        self._cleanup = CleanupStack()
        self._servers: dict[str, ServiceServer] = {}
        self.supervisor = Supervisor(self._fatal)
        # None until something that must not fail has failed; then the process ends.
        self.fatal: BaseException | None = None
        self.ended = asyncio.Event()

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """Every address on which something listens, by name."""
        return {name: at for server in self._servers.values() for name, at in server.addresses.items()}

    @property
    def servers(self) -> Mapping[str, ServiceServer]:
        """The running services: `processing`, `streaming`."""
        return self._servers

    @property
    def event_log(self) -> Any:
        """The log of the event processing in this process."""
        service = self._servers["processing"].service
        assert isinstance(service, ProcessingService)
        return service.event_log

    async def start(self) -> None:
        """Start event processing first: the gateway follows its log. Undone when a step fails."""
        self._cleanup.push("tasks", self.supervisor.stop)
        try:
            self._handed.check(self.settings.addresses)
            await self._start_processing()
            await self._start_streaming()
        except BaseException:
            await self.stop()
            raise

    async def _start_processing(self) -> None:
        config = self.settings.processing
        if config is not None:
            context = self._context()
            server, service = self._processing_server(config, context)
            server.schemas = lambda: service.catalogue
            await self._serve("processing", server)

    def _processing_server(self, config: ProcessingConfig, context: Context) -> tuple[ServiceServer, ProcessingService]:
        """One process, or the first of two."""
        wanted = config.service.aggregation_process
        if not self._processes or not (wanted == "own" or (wanted == "auto" and self.settings.apart)):
            service = ProcessingService(config, context)
            return ServiceServer(config, service, context, handed=self._handed), service
        aggregation = Aggregation(config, context)
        service = ProcessingService(config, context, aggregation)
        return FirstProcessingServer(config, service, context, aggregation, self._handed), service

    async def _start_streaming(self) -> None:
        config = self.settings.streaming
        if config is not None:
            context = self._context()
            server = self._gateway_server(config, context)
            if (processing := self._servers.get("processing")) is not None:
                server.schemas = processing.schemas
            await self._serve("streaming", server)

    def _gateway_server(self, config: StreamingConfig, context: Context) -> ServiceServer:
        """One process, or the first of several."""
        processes = config.service.workers
        counts = SharedCounts.create(processes) if processes > 1 else None
        shared = self.event_log if "processing" in self._servers else None
        service = StreamingService(
            config,
            context,
            event_log=shared,
            analytics=self.settings.analytics,
            census=counts,
            views=self._views(),
            events_in=self._events_in(),
        )
        if counts is None:
            return ServiceServer(config, service, context, handed=self._handed)
        return FirstServer(config, service, context, counts=counts, log_routes=self._log_routes(), handed=self._handed)

    def _views(self) -> list[Route]:
        """The routes of event processing that the gateway answers as well."""
        if "processing" not in self._servers:
            return []
        service = self._servers["processing"].service
        assert isinstance(service, ProcessingService)
        return service.views()

    def _events_in(self) -> str:
        """Where the event processing of this process takes events in; empty where it is another's."""
        if (server := self._servers.get("processing")) is None:
            return ""
        host, port = server.listener.address
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def _log_routes(self) -> list[Route]:
        """The routes by which other processes follow and feed the log of this one."""
        if "processing" not in self._servers:
            return []
        return [route for route in self._servers["processing"].service.routes() if route.path in LOG_PATHS]

    async def _serve(self, key: str, server: ServiceServer) -> None:
        within = server.config.service.timeout
        await server.start()
        self._servers[key] = server
        self._cleanup.push(key, lambda: server.stop(within))
        server.mark_loaded()

    def _context(self) -> Context:
        return Context(
            supervisor=self.supervisor,
            on_fatal=self._fatal,
            clock=self._clock,
            registry=CollectorRegistry(auto_describe=True),
            random=self._random,
            environ=self._environ,
            node=socket.gethostname(),
            hide=self._hide,
            processes=self._processes,
        )

    def _fatal(self, cause: BaseException) -> None:
        self.fatal = self.fatal or cause
        self.ended.set()

    async def trouble(self) -> str:
        """What keeps a service from working, in words; empty: nothing does."""
        down = []
        for server in self._servers.values():
            parts = (await server.parts()).items()
            down += [f"{server.name}: {name}: {part.reason}" for name, part in parts if part.status == "down"]
        return "; ".join(down)

    def reload(self, settings: Settings) -> ReloadReport:
        """Prepare everything, then swap. Raises what a preparation raises, and then nothing has changed."""
        commits: list[Callable[[], None]] = []
        applied: list[str] = []
        restart: list[str] = []
        for key, server in self._servers.items():
            new = getattr(settings, key)
            changes = differences(server.config, new)
            commits.append(server.prepare(new, settings.analytics))
            applied.extend(changes.live)
            restart.extend(changes.restart)
        for commit in commits:
            commit()
        self.settings = settings
        for server in self._servers.values():
            server.mark_loaded()
        return ReloadReport(tuple(applied), tuple(restart))

    def reload_failed(self) -> None:
        """Say in the metrics that the last reload was refused."""
        for server in self._servers.values():
            server.metrics.reload_ok.set(0)

    async def stop(self) -> None:
        """Stop in the reverse order of the start; idempotent, bounded by each service's timeout."""
        configs = [c for c in (self.settings.processing, self.settings.streaming) if c is not None]
        await self._cleanup.run(sum(config.service.timeout for config in configs) + 1)
