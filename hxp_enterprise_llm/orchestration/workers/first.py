"""The first process of a gateway that has several: runs everything, keeps the others, and speaks for all."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace as with_fields
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web

from hxp_enterprise_llm.config.processing import AnalyticsConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.streaming.service import StreamingService
from hxp_enterprise_llm.orchestration.activation import HandedSockets
from hxp_enterprise_llm.orchestration.server import ServedConfig, ServiceServer
from hxp_enterprise_llm.orchestration.workers.control import Start
from hxp_enterprise_llm.orchestration.workers.counts import SharedCounts
from hxp_enterprise_llm.orchestration.workers.forward import open_session
from hxp_enterprise_llm.orchestration.workers.joined import Joined
from hxp_enterprise_llm.orchestration.workers.pool import WorkerPool
from hxp_enterprise_llm.orchestration.workers.presence import Gathering, Relay
from hxp_enterprise_llm.orchestration.workers.private import serve_ours
from hxp_enterprise_llm.orchestration.workers.sockets import FIRST, LOG, SocketDirectory, dealt, open_group
from hxp_enterprise_llm.runtime.cleanup import close_all
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.metrics import WorkerMetrics

_STATES = ("/streams/status", "/websocket/status")


class FirstServer(ServiceServer):
    """As ServiceServer, with `service.workers` - 1 further processes on the port."""

    def __init__(
        self,
        config: StreamingConfig,
        service: StreamingService,
        context: Context,
        *,
        counts: SharedCounts,
        log_routes: Sequence[Route] = (),
        handed: HandedSockets | None = None,
    ) -> None:
        """`log_routes` serve the log of this process; without them the workers follow the one `monitoring` names."""
        super().__init__(config, service, context, handed=handed)
        self._streaming = service
        self._directory = Path(config.state.directory) / "workers"
        self._counts, self._log_routes = counts, log_routes
        self._workers = WorkerMetrics(context.registry)
        self._workers.running.set(1)
        self._sessions: dict[int, aiohttp.ClientSession] = {}
        self.pool: WorkerPool | None = None
        self._joined = Joined(self._reachable, config.service.workers - 1, self._workers)

    def _reachable(self) -> list[aiohttp.ClientSession]:
        return [self._sessions[number] for number in (self.pool.ready if self.pool else ())]

    async def _start(self) -> None:
        self._cleanup.push("counts", partial(close_all, self._counts))
        service = self.config.service
        group = self._handed.take(service.host, service.port) or open_group(service.host, service.port, service.workers)
        self._sock, *others = dealt(group, service.workers)
        self._cleanup.push("ports", partial(close_all, *others))
        await super()._start()
        for sock in group[service.workers :]:
            await self.listener.serve_also(sock)
        self._streaming.reach_sessions(self._joined.hand_out)
        self._streaming.who.elsewhere = self._joined.known
        directory = SocketDirectory(self._directory)
        self._cleanup.push("socket directory", partial(close_all, directory))
        await self._open_private(directory)
        await self._open_pool(directory, others)

    async def _open_private(self, directory: SocketDirectory) -> None:
        with directory.listen(FIRST) as sock:
            await self.listener.stand_in(sock)
        if self._log_routes:
            await serve_ours(LOG, self._log_routes, directory.listen(LOG), self._cleanup, self.metrics)

    async def _open_pool(self, directory: SocketDirectory, ports: Sequence[socket.socket]) -> None:
        names = [f"worker-{number}.sock" for number in range(1, len(ports) + 1)]
        privates = [directory.listen(name) for name in names]
        self._cleanup.push("private sockets", partial(close_all, *privates))
        for number, name in enumerate(names, 1):
            session = open_session(directory.address(name))
            self._sessions[number] = session
            self._cleanup.push(name, session.close)
        assert isinstance(self.config, StreamingConfig)
        relay = Relay(self._streaming.presence)
        self.pool = WorkerPool(
            self.config,
            partial(Start, node=self.context.node, directory=str(directory.path), own_log=bool(self._log_routes)),
            ports=ports,
            privates=privates,
            counts=self._counts,
            stand_in=self.listener.stand_in,
            context=self.context,
            metrics=self._workers,
            relay=relay,
        )
        self._cleanup.push("workers", self.pool.stop)
        self._streaming.presence.moved = Gathering(relay.tell, asyncio.get_running_loop().call_later).add
        await self.pool.start()

    async def stop(self, within: float) -> None:
        """All processes take leave at the same time."""
        if self.ready and self.pool is not None:
            self.pool.ask_to_stop()
        await super().stop(within)

    def routes(self) -> list[Route]:
        """As the service has them; those that tell of connections tell of all processes."""
        return [
            with_fields(route, handler=self._joined.state(route.handler)) if route.path in _STATES else route
            for route in super().routes()
        ]

    async def parts(self) -> Mapping[str, Part]:
        parts = await super().parts()
        serving, wanted = 1 + len(self.pool.ready if self.pool else ()), len(self._sessions) + 1
        reason = "" if serving == wanted else f"{wanted - serving} of {wanted} processes are being started"
        part = Part("degraded" if reason else "ok", reason, {"serving": serving, "processes": wanted})
        return {**parts, "workers": part}

    def prepare(self, config: ServedConfig, analytics: AnalyticsConfig) -> Callable[[], None]:
        """As ServiceServer, and the workers are told."""
        commit_own = super().prepare(config, analytics)

        def commit() -> None:
            commit_own()
            if self.pool is not None and isinstance(config, StreamingConfig):
                self.pool.reload(config)

        return commit

    async def _metrics(self, request: web.Request) -> web.Response:
        content_type, body = await self._joined.metrics(self.context.registry, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})
