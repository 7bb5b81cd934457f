"""A listening socket with the application behind it, bounded in its start and in its end."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from hxp_enterprise_llm.security.capacity import Capacity
from hxp_enterprise_llm.security.front.door import DOOR
from hxp_enterprise_llm.security.front.reception import Reception
from hxp_enterprise_llm.security.newcomers import Newcomers
from hxp_enterprise_llm.security.sendbuffer import bound
from hxp_enterprise_llm.telemetry.text import clean

log = structlog.get_logger("listener")

BACKLOG = 4096
ANY_ADDRESS = "0.0.0.0"
LAST_TURNS = 4
USER_TIMEOUT_MS = 30_000
KEEPALIVE_SECONDS = 75.0
FIRST_REQUEST_SECONDS = 15.0


class ListenError(Exception):
    """An address on which the service cannot listen."""

    def __init__(self, host: str, port: int, reason: str, hint: str) -> None:
        super().__init__(host, port, reason, hint)
        self.host, self.port, self.reason, self.hint = host, port, reason, hint

    def __str__(self) -> str:
        return f"cannot listen on {_shown(self.host, self.port)}: {self.reason}; {self.hint}"


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def open_socket(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A bound TCP socket; `shared`: others of this user may have the port too. Raises ListenError with the cause."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ListenError(
            host, port, error.strerror or str(error), "set service.host to an address of this host"
        ) from error
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _listen_error(host, port, error) from error
    return sock


def _listen_error(host: str, port: int, error: OSError) -> ListenError:
    if error.errno == errno.EADDRINUSE:
        hint = f"see who has it with: ss -ltnp 'sport = :{port}'; or take another (hxp up --free-ports)"
        return ListenError(host, port, "the port is in use", hint)
    if error.errno == errno.EACCES:
        return ListenError(host, port, "no right to use this port", "take a port above 1023")
    if error.errno == errno.EADDRNOTAVAIL:
        return ListenError(host, port, "this host has no such address", "see its addresses with: ip address")
    return ListenError(host, port, error.strerror or str(error), "see the addresses in use with: ss -ltn")


def _arrival(sock: socket.socket) -> tuple[str, int] | None:
    """Where all the connections of a listening socket arrive; None: it may be at any address of the host."""
    if sock.family != socket.AF_INET:
        return None
    host, port = sock.getsockname()
    return None if host == ANY_ADDRESS else (host, port)


def _is_our_fault(record: logging.LogRecord) -> bool:
    """Keeps what anyone may do by the thousand from filling the log with tracebacks: no HTTP, going away too early."""
    error = record.exc_info[1] if record.exc_info else None
    # What fails while the client is there the gate has answered; what comes here is the client's going.
    if isinstance(error, ConnectionError):
        log.debug("request.abandoned")
        return False
    if not isinstance(error, HttpProcessingError):
        return True
    log.debug("request.malformed", reason=clean(error.message))
    return False


class Listener:
    """Serves an application on one address or more. Several listeners may share one application."""

    def __init__(
        self,
        app: web.Application,
        host: str,
        port: int,
        *,
        name: str,
        drain: float = 0.5,
        first_request: float = FIRST_REQUEST_SECONDS,
        capacity: Capacity | None = None,
    ) -> None:
        """`app` is one of `edge.build_app`.

        `drain`: seconds that requests under way get at the stop before they are cancelled.
        `first_request`: seconds in which a new connection must have sent the whole head of a request.
        `capacity`: how many connections the process may hold.
        """
        self.name, self._host, self._port = name, host, port
        logger = logging.Logger("aiohttp.server")
        logger.parent = logging.getLogger("aiohttp.server")
        logger.addFilter(_is_our_fault)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=logger,
            auto_decompress=False,
            keepalive_timeout=KEEPALIVE_SECONDS,
            shutdown_timeout=drain,
        )
        door = app[DOOR]
        self._drain = drain
        self._servers: list[asyncio.Server] = []
        self._reception = Reception(
            door, lambda: self._runner.server, lambda *who: self._newcomers.inherit(*who), capacity
        )
        self._newcomers = Newcomers(
            self._reception,
            self._connections,
            seconds=first_request,
            keep_alive=KEEPALIVE_SECONDS,
            most=lambda: door.max_half_open_per_address,
            count=door.closed_half_open,
        )
        self._addresses: list[tuple[str, int]] = []

    def _connections(self) -> Sequence[RequestHandler]:
        return self._runner.server.connections if self._runner.server is not None else ()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first site, the port as the system chose it."""
        return self._addresses[0]

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """All sites."""
        return tuple(self._addresses)

    async def start(self, sock: socket.socket | None = None) -> None:
        """Serve on a listening socket, or bind one. Raises ListenError; then nothing is left behind."""
        sock = sock or open_socket(self._host, self._port)
        await self._runner.setup()
        self._newcomers.start()
        await self._serve(sock)

    async def serve_also(self, sock: socket.socket) -> None:
        """Serve what comes in on a further listening socket, which is now the listener's."""
        await self._open(sock)

    async def add_site(self, host: str, port: int) -> tuple[str, int]:
        """Serve the same on a further address; answers it. Raises ListenError."""
        return await self._serve(open_socket(host, port))

    async def stand_in(self, sock: socket.socket) -> Callable[[], Awaitable[None]]:
        """Serve also what comes in on a socket that stays the caller's; the answer ends that. Idempotent."""
        server = await self._open(sock.dup())

        async def end() -> None:
            if server in self._servers:
                self._servers.remove(server)
                server.close()

        return end

    async def _open(self, sock: socket.socket) -> asyncio.Server:
        if sock.family != socket.AF_UNIX:
            # Connections have this from the socket that they came in by.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
                # Who acknowledges nothing for so long is gone; the system itself would wait a quarter of an hour.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
            if self._reception.door.has_streams:
                bound(sock)
        make = partial(self._reception.make, _arrival(sock))
        server = await asyncio.get_running_loop().create_server(make, sock=sock, backlog=BACKLOG)
        self._servers.append(server)
        return server

    async def _serve(self, sock: socket.socket) -> tuple[str, int]:
        where = sock.getsockname()
        host, port = where[:2] if isinstance(where, tuple) else (where, 0)
        await self._open(sock)
        self._addresses.append((host, port))
        log.info("listener.opened", name=self.name, host=host, port=port)
        return host, port

    async def stop(self, within: float = 5.0) -> None:
        """Take no more connections, let requests end, cut the rest. Bounded and idempotent."""
        self._newcomers.stop()
        try:
            async with asyncio.timeout(within):
                for server in self._servers:
                    server.close()
                self._servers.clear()
                # A connection accepted in the last moment reaches its handler some turns of the loop later: only
                # then is there somebody to close it.
                for _ in range(LAST_TURNS):
                    await asyncio.sleep(0)
                await self._reception.stop(self._drain)
                await self._runner.cleanup()
        except TimeoutError:
            self._reception.abort()
            # Left in the middle of its clean-up, aiohttp would leave them open.
            for connection in self._connections():
                if connection.transport is not None:
                    connection.transport.abort()
            log.warning("listener.stop_overdue", name=self.name, within=within)
