"""The bound of what the kernel holds for a stream: there from the start, and gone where other answers are made."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.model import Asked, OpenStream, Route
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.security.sendbuffer import _SO_BUF_LOCK, SEND_BUFFER_BYTES, bound_transport, loosen
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics

SEND_LOCK = 1
LOCKS = tuple(map(int, os.uname().release.split(".")[:2])) >= (5, 14)
"""Whether the kernel lets a buffer that was bounded grow again."""


class Rooms:
    """A route that is a stream or not, and the transports that it was asked on."""

    def __init__(self) -> None:
        self.transports: list[asyncio.Transport] = []

    def lean(self, asked: Asked) -> OpenStream:
        def take(transport: asyncio.Transport, key: str) -> None:
            self.transports.append(transport)
            transport.write(b"HTTP/1.1 200 OK\r\n\r\n")

        return take

    async def usual(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.transports.append(request.transport)
        return web.Response()


@contextlib.asynccontextmanager
async def serving(*, streams: bool) -> AsyncIterator[tuple[Rooms, Listener]]:
    rooms, policy = Rooms(), Policy.of(SecurityConfig())
    routes = [Route("GET", "/plain", rooms.usual, "read", "")]
    if streams:
        routes.append(Route("GET", "/sse/{stream}", rooms.usual, "read", "", upgrade="sse", lean=rooms.lean))
    app = build_app(routes, policy=lambda: policy, metrics=ServiceMetrics(CollectorRegistry()))
    listener = Listener(app, "127.0.0.1", 0, name="test", drain=0.1)
    await listener.start()
    try:
        yield rooms, listener
    finally:
        await listener.stop()


async def asked(rooms: Rooms, listener: Listener, path: str) -> tuple[int, int]:
    """Bytes of the buffer of a connection that has asked for a path, and whether they are bounded."""
    reader, writer = await asyncio.open_connection(*listener.address)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    size, lock = _buffer(rooms.transports[-1])
    writer.close()
    return size, lock


def _buffer(transport: Any) -> tuple[int, int]:
    sock = transport.get_extra_info("socket")
    lock = sock.getsockopt(socket.SOL_SOCKET, _SO_BUF_LOCK) & SEND_LOCK if LOCKS else 0
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), lock


async def test_a_stream_is_bounded_and_what_aiohttp_answers_is_not() -> None:
    async with serving(streams=True) as (rooms, listener):
        assert await asked(rooms, listener, "/sse/a") == (2 * SEND_BUFFER_BYTES, SEND_LOCK * LOCKS)
        assert (await asked(rooms, listener, "/plain"))[1] == 0


async def test_without_streams_nothing_is_bounded() -> None:
    async with serving(streams=False) as (rooms, listener):
        size, lock = await asked(rooms, listener, "/plain")
        assert size > 2 * SEND_BUFFER_BYTES
        assert lock == 0


@pytest.mark.parametrize("act", [bound_transport, loosen])
async def test_a_unix_socket_is_left_alone(act: Any) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport, _ = await asyncio.get_running_loop().create_unix_connection(asyncio.Protocol, sock=ours)
        before = _buffer(transport)
        act(transport)
        assert _buffer(transport) == before
        transport.abort()
        await asyncio.sleep(0)
