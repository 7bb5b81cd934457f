"""Connections that never get a request together, on real sockets and with a short time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics

SECONDS = 0.4
HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


async def answer(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(text="ok")


@contextlib.asynccontextmanager
async def listening(most: int = 256, registry: CollectorRegistry | None = None) -> AsyncIterator[Listener]:
    policy = Policy.of(SecurityConfig(max_half_open_per_address=most))
    routes = [Route("GET", "/", answer, "open", ""), Route("POST", "/", answer, "open", "", ("*/*", "text/plain"))]
    app = build_app(routes, policy=lambda: policy, metrics=ServiceMetrics(registry or CollectorRegistry()))
    listener = Listener(app, "127.0.0.1", 0, name="test", drain=0.1, first_request=SECONDS)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop()


async def trickle(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"X-A: b\r\n")
            await writer.drain()
            await asyncio.sleep(SECONDS / 20)


@pytest.mark.parametrize("begin", [b"", b"GET / HT", HEAD], ids=["silent", "half a line", "half a head"])
async def test_a_connection_without_a_request_is_closed(begin: bytes) -> None:
    async with listening() as listener:
        begun = asyncio.get_running_loop().time()
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(begin)
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        assert asyncio.get_running_loop().time() - begun >= SECONDS
        writer.close()


async def test_a_head_that_trickles_in_is_closed_and_others_are_served() -> None:
    async with listening() as listener:
        pairs = [await asyncio.open_connection(*listener.address) for _ in range(50)]
        for _, writer in pairs:
            writer.write(HEAD)
        tasks = [asyncio.create_task(trickle(writer)) for _, writer in pairs]
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(HEAD + b"\r\n")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(30):
            for each, _ in pairs:
                with contextlib.suppress(ConnectionError):
                    assert await each.read() == b""
        assert listener._newcomers.closed == 50
        # Between requests the long keep-alive holds: the good one is still there.
        writer.write(HEAD + b"\r\n")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, each_writer in [*pairs, (reader, writer)]:
            each_writer.close()


async def test_a_request_under_way_is_not_closed() -> None:
    async with listening() as listener:
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\n")
        other, silent = await asyncio.open_connection(*listener.address)
        assert await other.read() == b""  # its time is over, and so is that of the one before it
        writer.write(b"x")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.close()
        silent.close()
