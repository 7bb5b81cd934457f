"""A network in memory: hosts with addresses, listeners, connections; delay, split, partition, reset, power failure."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.sim.loop import SimLoop, World
from tests.sim.transport import Connection, Endpoint, SimTransport

CONNECT_SECONDS = 20.0
"""How long a client tries to reach a host that does not answer."""
RETRANSMIT_SECONDS = 0.4

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Line:
    """What the network of a seed is like."""

    latency: float = 0.0005
    jitter: float = 0.002
    split: float = 0.2
    """Share of writes that arrive in pieces."""
    window: int = 64 * 1024
    """Bytes of one direction that are under way or wait to be read."""


class SimSocket:
    """What the program takes for a socket. It belongs to the host whose loop runs."""

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None) -> None:
        self.family = socket.AddressFamily(family if family != -1 else socket.AF_INET)
        self.type, self.proto = socket.SOCK_STREAM, proto
        self.address: Address = ("0.0.0.0", 0)
        self.end: Endpoint | None = None
        self.closed = False

    def setsockopt(self, *_: Any) -> None:
        """Options of a kernel that is not there."""

    def getsockopt(self, *_: Any) -> int:
        return 0

    def setblocking(self, _: bool) -> None:
        """Nothing here blocks."""

    def bind(self, address: Address) -> None:
        self.address = (address[0], address[1])

    def listen(self, _: int = 0) -> None:
        """The loop that serves it makes it known."""

    def getsockname(self) -> Address:
        return self.end.here if self.end is not None else self.address

    def getpeername(self) -> Address:
        if self.end is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return self.end.there

    def fileno(self) -> int:
        return -1

    def detach(self) -> int:
        return -1

    def dup(self) -> SimSocket:
        copy = SimSocket(self.family)
        copy.address = self.address
        return copy

    def close(self) -> None:
        self.closed = True


class SimServer(asyncio.AbstractServer):
    """A listener of the virtual network."""

    def __init__(
        self, network: Network, loop: SimLoop, factory: Callable[[], asyncio.Protocol], sock: SimSocket
    ) -> None:
        self._network, self.loop, self.factory = network, loop, factory
        self.sockets: tuple[SimSocket, ...] = (sock,)

    def is_serving(self) -> bool:
        return self in self._network.servers.values()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self.loop

    async def start_serving(self) -> None:
        """It serves since it was made."""

    async def serve_forever(self) -> None:
        """It serves without that."""

    def close(self) -> None:
        """Take no more connections."""
        for at in [at for at, server in self._network.servers.items() if server is self]:
            del self._network.servers[at]

    async def wait_closed(self) -> None:
        """Closed at once."""


class Network:
    """All hosts and what connects them."""

    def __init__(self, world: World, line: Line) -> None:
        self.world, self.line = world, line
        self.servers: dict[Address, SimServer] = {}
        self.connections: dict[Connection, None] = {}
        self.dark: set[str] = set()
        """Hosts without power."""
        self._apart: set[frozenset[str]] = set()
        self._ports = itertools.count(40_000)
        self.random = world.stream("network")

    def resolve(self, host: Any, port: Any) -> list[Any]:
        """Only addresses: there is no name service."""
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (str(host), int(port or 0)))]

    def serve(self, loop: SimLoop, factory: Any, sock: Any, host: Any, port: Any) -> SimServer:
        if sock is None:
            sock = SimSocket()
            sock.bind((host or "0.0.0.0", port or 0))
        number = sock.address[1] or next(self._ports)
        if (loop.host, number) in self.servers:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        sock.address = (loop.host, number)
        server = SimServer(self, loop, factory, sock)
        self.servers[sock.address] = server
        return server

    async def connect(self, loop: SimLoop, sock: Any, address: Any) -> None:
        """The handshake. Raises ConnectionRefusedError, TimeoutError."""
        host, port = str(address[0]), int(address[1])
        begun = loop.time()
        await asyncio.sleep(2 * self.delay())
        while self.is_cut(loop.host, host):
            if loop.time() - begun > CONNECT_SECONDS:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            await asyncio.sleep(RETRANSMIT_SECONDS)
        server = self.servers.get((host, port))
        if server is None or server.loop.dead:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        connection = Connection(self, loop, (loop.host, next(self._ports)), server.loop, (host, port))
        self.connections[connection] = None
        sock.end = connection.client
        accepted = SimSocket()
        accepted.end = connection.server
        server.loop.call_soon(self._accept, connection, server, accepted)

    def _accept(self, connection: Connection, server: SimServer, sock: SimSocket) -> None:
        if not connection.server.lost:
            connection.server.attach(SimTransport(connection.server, sock), server.factory())

    async def open(self, loop: SimLoop, factory: Any, sock: Any, host: Any, port: Any) -> Any:
        """The transport and protocol of a new connection; `sock` is connected already."""
        if sock is None:
            sock = SimSocket()
            await self.connect(loop, sock, (host, port))
        protocol = factory()
        transport = SimTransport(sock.end, sock)
        sock.end.attach(transport, protocol)
        await asyncio.sleep(0)
        return transport, protocol

    # The weather

    def delay(self) -> float:
        """Seconds that a packet takes."""
        return self.line.latency + self.line.jitter * self.random.random() ** 3

    def is_cut(self, one: str, other: str) -> bool:
        """Whether nothing passes between two hosts now."""
        return one in self.dark or other in self.dark or frozenset((one, other)) in self._apart

    def part(self, one: str, other: str) -> None:
        """Nothing passes between two hosts until `heal`; packets are sent again and again meanwhile."""
        self._apart.add(frozenset((one, other)))

    def heal(self, one: str, other: str) -> None:
        """Packets pass again."""
        self._apart.discard(frozenset((one, other)))
        self._send_again()

    def power_off(self, host: str) -> None:
        """The host answers nothing any more; its peers are not told."""
        self.dark.add(host)

    def power_on(self, host: str) -> None:
        """The host is back, and knows nothing of its old connections."""
        self.dark.discard(host)
        self._send_again()

    def _send_again(self) -> None:
        for connection in list(self.connections):
            connection.send_again()

    def end_of(self, loop: SimLoop, *, silent: bool) -> None:
        """A process is gone: its host ends the connections, or is silent because it has no power."""
        for at in [at for at, server in self.servers.items() if server.loop is loop]:
            del self.servers[at]
        for connection in list(self.connections):
            for end in (connection.client, connection.server):
                if end.loop is loop:
                    end.abandon(silent=silent, politely=self.random.random() < 0.5)

    def reset(self, count: int, host: str) -> int:
        """Reset so many of the connections of a host; answers how many there were."""
        alive = [c for c in self.connections if host in (c.client.here[0], c.server.here[0])]
        chosen = self.random.sample(alive, min(count, len(alive)))
        for connection in chosen:
            connection.reset()
        return len(chosen)

    def forget(self, connection: Connection) -> None:
        """Both ends are gone."""
        self.connections.pop(connection, None)

    def count(self, loop: SimLoop) -> int:
        """Open connections of a process."""
        return sum(not end.lost for c in self.connections for end in (c.client, c.server) if end.loop is loop)
