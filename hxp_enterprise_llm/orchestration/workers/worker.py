"""A worker: the gateway's connections in a process of their own, as long as the first process lives."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace as with_fields
from functools import partial
from pathlib import Path

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.config.processing import AnalyticsConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.orchestration.server import ServiceServer
from hxp_enterprise_llm.orchestration.workers.control import (
    LOOKS,
    Alive,
    Control,
    Moves,
    Ready,
    Reload,
    Start,
    Stop,
)
from hxp_enterprise_llm.orchestration.workers.counts import SharedCounts
from hxp_enterprise_llm.orchestration.workers.forward import Forwarding, open_session
from hxp_enterprise_llm.orchestration.workers.presence import Gathering
from hxp_enterprise_llm.orchestration.workers.service import ConnectionsService
from hxp_enterprise_llm.orchestration.workers.sockets import FIRST, LOG, SocketDirectory
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.runtime.tasks import Supervisor
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.model import Handler, Route
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry import logs
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics

log = structlog.get_logger("worker")

EX_OK = 0
EX_SOFTWARE = 70
STREAM_TYPE = "text/event-stream"
_BY_WISH = "/streams/high_frequency/"
"""These answer with the latest events, or with a stream when the client asks for one."""
_STREAMS = (_BY_WISH, "/connection/")
"""Below these are streams, those too whose request is a POST."""
OURS = Policy.of(SecurityConfig())
"""What holds on the Unix sockets: our own processes come in, nobody else."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """What a worker inherits: its end of the control, its queue of the port, and its Unix socket."""

    control: socket.socket
    port: socket.socket
    private: socket.socket


class WorkerServer(ServiceServer):
    """Streams are served here, everything else by the first process; on its Unix socket it speaks for itself."""

    def __init__(
        self, config: StreamingConfig, service: ConnectionsService, context: Context, sockets: Sockets, first: str
    ) -> None:
        super().__init__(config, service, context, sockets.port)
        self._private, self._first = sockets.private, first

    async def _start(self) -> None:
        session = open_session(self._first)
        self._cleanup.push("session", session.close)
        self._forwarding = Forwarding(session)
        await super()._start()
        # What the first process asks to answer a client counts there, once.
        uncounted = ServiceMetrics(CollectorRegistry())
        app = build_app(super().routes(), policy=lambda: OURS, metrics=uncounted)
        private = Listener(app, "", 0, name="private")
        self._cleanup.push("private", lambda: private.stop(1.0))
        await private.start(self._private)

    def routes(self) -> list[Route]:
        """What clients see."""
        streams = [self._or_forward(route) for route in self.service.routes() if _may_stream(route)]
        return [*streams, *self._forwarding.routes()]

    def _or_forward(self, route: Route) -> Route:
        if not route.path.startswith(_BY_WISH):
            return route
        return with_fields(route, handler=partial(self._by_wish, route.handler))

    async def _by_wish(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        """A route that answers or streams: the stream is ours."""
        wished = STREAM_TYPE in request.headers.get("Accept", "")
        return await (handler if wished else self._forwarding.hand_over)(request)


def _may_stream(route: Route) -> bool:
    return bool(route.upgrade) or route.path.startswith(_STREAMS)


async def work(sockets: Sockets, counts: Callable[[int], SharedCounts]) -> int:
    """Be a worker until told to stop, or the first process is gone, or something fails; answers the exit status."""
    for sock in (sockets.control, sockets.port, sockets.private):
        sock.set_inheritable(False)
        sock.setblocking(False)
    control = await Control.over(sockets.control)
    try:
        start = await control.receive()
        if not isinstance(start, Start):
            return EX_SOFTWARE
        return await _Worker(start, control).run(sockets, counts(start.number))
    finally:
        control.close()


class _Worker:
    """One life, from the first message on."""

    def __init__(self, start: Start, control: Control) -> None:
        self._start, self._control = start, control
        self._end = asyncio.Event()
        self._fatal: BaseException | None = None
        config = start.config
        self._logs = logs.configure(
            config.performance.log_level, config.logging.format, stream=sys.stderr, environ=os.environ
        )
        structlog.contextvars.bind_contextvars(worker=start.number)

    async def run(self, sockets: Sockets, counts: SharedCounts) -> int:
        """Serve, then take leave."""
        loop = asyncio.get_running_loop()
        # A terminal and a service manager signal the whole group; it is the first process that decides.
        for number in (signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, self._end.set)
        supervisor = Supervisor(self._died)
        server = self._server(sockets, counts, supervisor)
        try:
            await server.start()
            server.mark_loaded()
            self._control.send(Ready())
            supervisor.spawn("alive", self._say_alive())
            orders = asyncio.create_task(self._obey(server), name="orders")
            await self._end.wait()
            orders.cancel()
        finally:
            await server.stop(server.config.service.timeout)
            await supervisor.stop()
            self._logs.close()
        return EX_OK if self._fatal is None else EX_SOFTWARE

    def _server(self, sockets: Sockets, counts: SharedCounts, supervisor: Supervisor) -> WorkerServer:
        context = Context(
            supervisor=supervisor,
            on_fatal=self._died,
            registry=CollectorRegistry(auto_describe=True),
            environ=os.environ,
            node=f"{self._start.node}-{self._start.number}",
            hide=self._logs.hide,
        )
        config, directory = self._start.config, SocketDirectory(Path(self._start.directory))
        log_socket = directory.address(LOG) if self._start.own_log else ""
        service = ConnectionsService(config, context, census=counts, log_socket=log_socket)
        together = Gathering(lambda moves: self._control.send(Moves(moves)), asyncio.get_running_loop().call_later)
        service.presence.moved = together.add
        self._presence = service.presence
        return WorkerServer(config, service, context, sockets, directory.address(FIRST))

    def _died(self, cause: BaseException) -> None:
        self._fatal = self._fatal or cause
        self._end.set()

    async def _say_alive(self) -> None:
        while True:
            self._control.send(Alive())
            await asyncio.sleep(self._start.config.service.worker_timeout / LOOKS / 2)

    async def _obey(self, server: WorkerServer) -> None:
        while (message := await self._control.receive()) is not None:
            if isinstance(message, Moves):
                for move in message.moves:
                    self._presence.follow(move.kept(), news=message.news)
            elif isinstance(message, Reload):
                self._reload(server, message.config)
            elif isinstance(message, Stop):
                break
        else:
            log.warning("worker.orphaned", reason="the first process is gone")
        self._end.set()

    def _reload(self, server: WorkerServer, config: StreamingConfig) -> None:
        try:
            server.prepare(config, AnalyticsConfig())()
        except (ConfigError, ValueError) as error:
            # The first process has taken it, so this is a fault of ours; the next life begins with what is in force.
            log.error("config.refused", reason=str(error))
            self._died(error)
            return
        server.mark_loaded()
        self._logs.set_level(config.performance.log_level)
        log.info("config.reloaded")
