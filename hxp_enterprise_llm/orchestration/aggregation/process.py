"""The process that follows the log: a mirror of the log, the followers, and a Unix socket on which they answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace as with_fields
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web

from hxp_enterprise_llm.config.processing import AnalyticsConfig, ProcessingConfig
from hxp_enterprise_llm.config.streaming import ChannelConfig
from hxp_enterprise_llm.event.log import RemoteLog
from hxp_enterprise_llm.event.log.mirror import Mirror
from hxp_enterprise_llm.event.log.model import LogLocked
from hxp_enterprise_llm.event.log.sqlite.files import DirectoryLock
from hxp_enterprise_llm.event.processing.part import Followers
from hxp_enterprise_llm.orchestration.server import ServiceServer
from hxp_enterprise_llm.orchestration.workers.control import Control, Message, ReloadAggregation, StartAggregation
from hxp_enterprise_llm.orchestration.workers.life import EX_SOFTWARE, Life, inherited
from hxp_enterprise_llm.orchestration.workers.private import serve_ours
from hxp_enterprise_llm.orchestration.workers.sockets import LOG, SocketDirectory
from hxp_enterprise_llm.runtime.cleanup import CleanupStack
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.runtime.tasks import cancel
from hxp_enterprise_llm.security.model import Handler, Route
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.lag import LagSampler
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics

LABEL = "aggregation"
HEAD = "X-Citadel-Head"
"""The head of the log when the question was asked: what was stored before it is in the answer."""
_CATCH_UP_SECONDS = 2.0
"""How long a question waits for the log to be here up to that head."""


_LOOK_SECONDS = 0.05
_RECENT_BYTES = 64 * 1024 * 1024
"""The newest events: the history rests while much comes in, and then finds them in memory all the same."""


class AggregationService:
    """The followers of a log that another process has."""

    def __init__(self, config: ProcessingConfig, context: Context, log_socket: str) -> None:
        self._context = context
        self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=log_socket, limit=0))
        # What is appended is counted where the log is.
        far = RemoteLog("http://localhost", session=self._session, clock=context.clock, ours=True)
        self._mirror = Mirror(far, recent_bytes=_RECENT_BYTES)
        metrics = ProcessingMetrics(context.registry)
        self.followers = Followers(config, context, self._mirror, metrics, apart=True)
        self._lock = DirectoryLock(Path(config.state.directory) / "aggregation.lock")
        self._cleanup = CleanupStack()

    async def start(self) -> None:
        """Reach the log, follow it and count. Raises LogError."""
        self._cleanup.push("session", self._session.close)
        await self._wait_for_predecessor()
        self._cleanup.push("log", partial(self._mirror.close, 5.0))
        await self._mirror.open()
        mirroring = self._context.supervisor.spawn("log.mirror", self._mirror.run())
        self._cleanup.push("log.mirror", partial(cancel, mirroring))
        self.followers.start(self._cleanup)

    async def _wait_for_predecessor(self) -> None:
        """Two that write one history would count twice: one whose first process was killed may still be ending."""
        while True:
            try:
                self._lock.acquire()
                break
            except LogLocked:
                await asyncio.sleep(_LOOK_SECONDS)
        self._cleanup.push("lock", self._let_go)

    async def _let_go(self) -> None:
        self._lock.release()

    async def farewell(self, within: float) -> None:
        """Nobody is connected but the first process."""

    async def stop(self, within: float) -> None:
        """Stop counting and keep the state."""
        await self._cleanup.run(within)

    def routes(self) -> list[Route]:
        """What the followers answer, each once the log is here as far as it was when the question was asked."""
        routes = [*self.followers.routes(), *self.followers.views()]
        return [with_fields(route, handler=partial(self._caught_up, route.handler)) for route in routes]

    async def _caught_up(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        await self._mirror.reached(int(request.headers.get(HEAD, "0")), _CATCH_UP_SECONDS)
        return await handler(request)

    def channels(self) -> Mapping[str, ChannelConfig]:
        return {}

    def bound(self, name: str, port: int) -> None:
        """It has no port."""

    def extra_ports(self) -> Mapping[str, int]:
        return {}

    async def health(self) -> Mapping[str, Part]:
        return await self.followers.health()

    def prepare(self, config: ProcessingConfig, analytics: AnalyticsConfig) -> Callable[[], None]:
        return self.followers.prepare(config)


class AggregationServer(ServiceServer):
    """As ServiceServer, on a Unix socket alone."""

    def __init__(
        self, config: ProcessingConfig, service: AggregationService, context: Context, private: socket.socket
    ) -> None:
        super().__init__(config, service, context)
        self._private = private

    async def _start(self) -> None:
        within = self.config.service.timeout
        self._cleanup.push("service", lambda: self.service.stop(within))
        await self.service.start()
        self.capacity = self._measure()
        await serve_ours("private", self.routes(), self._private, self._cleanup)
        self.context.supervisor.spawn("lag", LagSampler(self.metrics.loop_lag, self.context.clock).run())
        self.ready = True


class _Aggregation:
    """What the life of this process is for."""

    def __init__(self, start: StartAggregation, life: Life, private: socket.socket) -> None:
        self._life = life
        context = life.context(start.node)
        log_socket = SocketDirectory(Path(start.directory)).address(LOG)
        self._service = AggregationService(start.config, context, log_socket)
        self.server = AggregationServer(start.config, self._service, context, private)

    def told(self, message: Message) -> None:
        """What configuration is in force."""
        if isinstance(message, ReloadAggregation):
            self._life.reload(self.server, message.config)

    def position(self) -> int:
        """How far analytics is."""
        return self._service.followers.position


async def aggregate(control_socket: socket.socket, private: socket.socket) -> int:
    """Follow the log until told to stop, or the first process is gone; answers the exit status."""
    inherited((control_socket, private))
    control = await Control.over(control_socket)
    try:
        start = await control.receive()
        if not isinstance(start, StartAggregation):
            return EX_SOFTWARE
        life = Life(LABEL, start.config, control)
        return await life.run(_Aggregation(start, life, private))
    finally:
        control.close()
