"""A worker: the gateway's connections in a process of their own, as long as the first process lives."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace as with_fields
from functools import partial
from pathlib import Path

from aiohttp import web

from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.orchestration.server import ServiceServer
from hxp_enterprise_llm.orchestration.workers.control import Control, Message, Moves, Reload, Start
from hxp_enterprise_llm.orchestration.workers.counts import SharedCounts
from hxp_enterprise_llm.orchestration.workers.forward import Forwarding, open_session
from hxp_enterprise_llm.orchestration.workers.life import EX_SOFTWARE, Life, inherited
from hxp_enterprise_llm.orchestration.workers.presence import Gathering
from hxp_enterprise_llm.orchestration.workers.private import serve_ours
from hxp_enterprise_llm.orchestration.workers.service import ConnectionsService
from hxp_enterprise_llm.orchestration.workers.sockets import FIRST, LOG, SocketDirectory
from hxp_enterprise_llm.runtime.context import Context
from hxp_enterprise_llm.security.model import Handler, Route

STREAM_TYPE = "text/event-stream"
_BY_WISH = "/streams/high_frequency/"
"""These answer with the latest events, or with a stream when the client asks for one."""
_STREAMS = (_BY_WISH, "/connection/")
"""Below these are streams, those too whose request is a POST."""


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
        await serve_ours("private", super().routes(), self._private, self._cleanup)

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
    inherited((sockets.control, sockets.port, sockets.private))
    control = await Control.over(sockets.control)
    try:
        start = await control.receive()
        if not isinstance(start, Start):
            return EX_SOFTWARE
        life = Life(start.number, start.config, control)
        return await life.run(_Worker(start, life, control, sockets, counts(start.number)))
    finally:
        control.close()


class _Worker:
    """What a life of a worker is for."""

    def __init__(self, start: Start, life: Life, control: Control, sockets: Sockets, counts: SharedCounts) -> None:
        self._life = life
        directory = SocketDirectory(Path(start.directory))
        log_socket = directory.address(LOG) if start.own_log else ""
        context = life.context(f"{start.node}-{start.number}")
        service = ConnectionsService(start.config, context, census=counts, log_socket=log_socket)
        together = Gathering(lambda moves: control.send(Moves(moves)), asyncio.get_running_loop().call_later)
        service.presence.moved = together.add
        self._presence = service.presence
        self.server = WorkerServer(start.config, service, context, sockets, directory.address(FIRST))

    def told(self, message: Message) -> None:
        """Who came and went elsewhere, and what configuration is in force."""
        if isinstance(message, Moves):
            for move in message.moves:
                self._presence.follow(move.kept(), news=message.news)
        elif isinstance(message, Reload):
            self._life.reload(self.server, message.config)

    def position(self) -> int:
        """Nobody asks a worker how far it is."""
        return 0
