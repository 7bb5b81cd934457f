"""The connection taken over from aiohttp: on both loops, with clients that never read, that vanish, or come back."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop
from aiohttp import web
from websockets.asyncio.client import connect

from hxp_enterprise_llm.config.streaming import SseConfig, StreamingConfig, WebSocketConfig
from hxp_enterprise_llm.event.streaming import gateway as gateway_module
from hxp_enterprise_llm.event.streaming import link as link_module
from hxp_enterprise_llm.event.streaming.encode import PING
from hxp_enterprise_llm.event.streaming.link import Link
from hxp_enterprise_llm.event.streaming.websocket import WebSocketLink
from hxp_enterprise_llm.security.sendbuffer import SEND_BUFFER_BYTES
from tests.unit.streaming.gateways import Served, serving, until

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def on_loop(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main)

    return on_loop


def test_websocket_and_stream_on_both_loops(run: Run, sockets: contextlib.ExitStack) -> None:
    async def main() -> None:
        async with serving() as served:
            reader = await Reader.open(served, sockets)
            async with connect(served.ws("/ws/events")) as client:
                (link,) = served.gateway.places["websocket"]
                assert "RequestHandler" not in type(link._transport.get_protocol()).__name__  # type: ignore[union-attr]
                await served.publish("host.cpu")
                assert '"n":1' in str(await client.recv())
                await (await client.ping())
            await reader.read_until(1)
            reader.sock.close()
            await until(lambda: served.open == 0)
            # aiohttp has forgotten both and serves others on.
            assert (await served.get("/streams"))[0] == 200

    run(main())


@pytest.fixture
def sockets() -> Iterator[contextlib.ExitStack]:
    """Closes what a test leaves open, also when it fails."""
    with contextlib.ExitStack() as stack:
        yield stack


class Reader:
    """A stream read by hand from a socket with a small buffer: it can stop, and it can go on."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.numbers: list[int] = []
        self._rest = b""

    @classmethod
    async def open(
        cls, served: Served, sockets: contextlib.ExitStack, path: str = "/sse/events", more: str = ""
    ) -> Reader:
        sock = sockets.enter_context(socket.socket())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", served.port))
        await loop.sock_sendall(sock, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n{more}\r\n".encode())
        reader = cls(sock)
        while b"\r\n\r\n" not in reader._rest:
            reader._rest += await loop.sock_recv(sock, 4096)
        return reader

    async def read_until(self, last: int) -> None:
        """Read until the event of this number has come as a whole."""
        loop = asyncio.get_running_loop()
        while not self.numbers or self.numbers[-1] < last:
            chunk = await loop.sock_recv(self.sock, 65536)
            assert chunk
            *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
            self.numbers += [int(found[1]) for block in blocks if (found := re.search(rb'"n":([0-9]+)', block))]


def held(served: Served) -> int:
    """Bytes that the transports hold back."""
    links = served.gateway.places["sse"]
    return sum(link._transport.get_write_buffer_size() for link in links if link._transport is not None)


def test_clients_that_never_read_delay_nobody_cost_constant_memory_and_catch_up(
    run: Run, sockets: contextlib.ExitStack
) -> None:
    async def main() -> None:
        config = StreamingConfig(sse=SseConfig(max_connections=200))
        async with serving(config) as served:
            served.gateway.hub.options.ring_bytes = 1 << 20
            slow = [await Reader.open(served, sockets) for _ in range(50)]
            fast = [await Reader.open(served, sockets) for _ in range(150)]
            total, sizes = 0, []
            for _ in range(3):
                for _ in range(8):
                    total += 10
                    await served.publish(*["host.cpu"] * 10, text="x" * 4000)
                    await asyncio.gather(*[reader.read_until(total) for reader in fast])
                sizes.append(held(served))
            assert all(reader.numbers == list(range(1, total + 1)) for reader in fast)
            # A write goes to a transport that holds back less than the high-water mark, and is bounded itself.
            high_water = served.gateway.config.performance_optimization.buffer_size
            assert max(sizes) <= 50 * (served.gateway.hub.options.write_bytes + 4500 + high_water)
            assert sizes[2] == sizes[1]
            assert served.sample("citadel_streaming_connections_behind") == 50
            await asyncio.gather(*[reader.read_until(total) for reader in slow])
            assert all(reader.numbers == list(range(1, total + 1)) for reader in slow)
            await until(lambda: served.sample("citadel_streaming_connections_behind") == 0)
            for reader in slow + fast:
                reader.sock.close()
            await until(lambda: served.open == 0)

    run(main())


def test_a_client_that_does_not_read_its_farewell_is_cut_off(run: Run, sockets: contextlib.ExitStack) -> None:
    async def main() -> None:
        async with serving() as served:
            reader = await Reader.open(served, sockets)
            for _ in range(20):
                await served.publish(*["host.cpu"] * 10, text="x" * 8000)
            await until(lambda: held(served) > 0)
            await served.gateway.stop(0.05)
            await until(lambda: served.open == 0)
            reader.sock.close()

    run(main())


def test_what_is_written_after_the_end_is_for_nobody(run: Run, sockets: contextlib.ExitStack) -> None:
    async def main() -> None:
        async with serving(StreamingConfig(websocket=WebSocketConfig(heartbeat_interval=60))) as served:
            reader = await Reader.open(served, sockets)
            (link,) = served.gateway.places["sse"]
            reader.sock.close()
            await until(lambda: served.open == 0)
            link.write(b"nobody")
            link.finish("shutdown", b"nobody")
            link.abort("shutdown")
            link.beat()
            assert link.reason in ("client", "lost")
            assert not link.writable

    run(main())


@pytest.mark.parametrize("more", ["", "Keep-Alive: 5\r\n"], ids=["front", "aiohttp"])
async def test_the_socket_is_tuned(sockets: contextlib.ExitStack, more: str) -> None:
    async with serving() as served:
        reader = await Reader.open(served, sockets, more=more)
        (link,) = served.gateway.places["sse"]
        assert link._transport is not None
        sock = link._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * SEND_BUFFER_BYTES
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        reader.sock.close()


class SocketlessTransport(asyncio.Transport):
    """As one of TLS or of a Unix socket looks to us: it cannot be half closed, and may fail when it is."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.fails, self.closed, self.aborted = fails, False, False

    def can_write_eof(self) -> bool:
        if self.fails:
            raise OSError(107, "not connected")
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: Any) -> None:
        self.written = bytes(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


async def test_without_half_close_the_transport_is_closed() -> None:
    async with serving() as served:
        link = Link(served.gateway.places["sse"], lambda _: None, 4096)
        transport = SocketlessTransport()
        link.connection_made(transport)
        assert transport.high == 4096
        link.finish("shutdown", b"bye")
        assert (transport.written, transport.closed) == (b"bye", True)
        broken = SocketlessTransport(fails=True)
        other = Link(served.gateway.places["sse"], lambda _: None, 4096)
        other.connection_made(broken)
        other.finish("shutdown")
        assert broken.aborted
        for act in (link.beat, lambda: link.farewell("", 0)):
            with pytest.raises(NotImplementedError):
                act()


async def test_one_that_takes_data_slowly_is_alive_and_one_that_takes_none_is_not() -> None:
    async with serving() as served:
        link = WebSocketLink(served.gateway.places["websocket"], lambda _: None, 4096, 1000)
        transport = SocketlessTransport()
        link.connection_made(transport)
        link.beat()
        assert transport.written == PING
        link.pause_writing()
        link.resume_writing()
        link.beat()
        assert not transport.aborted
        link.beat()
        assert (transport.aborted, link.reason) == (True, "ping_timeout")
        link.data_received(b"too late")


async def test_a_client_that_has_gone_before_the_answer_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def gone(request: web.Request, *rest: Any) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        tried.append(served.open)
        return link_module.detach(request, *rest)

    monkeypatch.setattr(gateway_module, "detach", gone)
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        path = "/sse/events?filter=data.n==1"
        # The header makes the request one for aiohttp, which is what this is about.
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nKeep-Alive: 5\r\n\r\n"
        writer.write(head.encode())
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        assert (tried, served.open, served.gateway.hub.derived_count) == ([1], 0, 0)


async def test_a_detached_answer_sends_nothing() -> None:
    answer = link_module.Detached(status=101)
    assert answer.prepared
    await answer.write_eof(b"x")
    assert isinstance(answer, web.StreamResponse)
