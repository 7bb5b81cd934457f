"""What happens to connections beyond what the process may hold."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.security.capacity import (
    LEAST,
    RESERVE,
    SPARE,
    Capacity,
    TooFewDescriptors,
    open_descriptors,
    raise_descriptor_limit,
)
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.front import overflow
from hxp_enterprise_llm.security.listener import USER_TIMEOUT_MS, Listener
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.security.problems import json_response
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics
from tests.unit.security.serving import Answer, read_answer

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def hello(request: web.Request) -> web.Response:
    return json_response({})


ROUTES = [Route("GET", "/health", hello, "read", ""), Route("GET", "/hello", hello, "read", "")]


class Full:
    """A listener whose capacity is used up from the moment that `close` was called."""

    def __init__(self, listener: Listener, capacity: Capacity, registry: CollectorRegistry) -> None:
        self.listener, self.capacity, self.registry = listener, capacity, registry

    def close(self) -> None:
        self.capacity._end = 0

    async def dial(self) -> Streams:
        return await asyncio.open_connection(*self.listener.address)

    async def ask(self, path: str) -> Answer:
        reader, writer = await self.dial()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        try:
            return await read_answer(reader)
        finally:
            writer.close()


@asynccontextmanager
async def listening(trusted: list[str], limit: int = 4096) -> AsyncIterator[Full]:
    registry = CollectorRegistry()
    metrics, policy = ServiceMetrics(registry), Policy.of(SecurityConfig(trusted_networks=trusted))
    app = build_app(ROUTES, policy=lambda: policy, metrics=metrics)
    loop = asyncio.get_running_loop()
    capacity = Capacity(limit, open_descriptors(), loop.time, metrics.turned_away.inc)
    listener = Listener(app, "127.0.0.1", 0, name="test", drain=0.1, capacity=capacity)
    await listener.start()
    try:
        yield Full(listener, capacity, registry)
    finally:
        await listener.stop(5.0)


@pytest.fixture
async def full() -> AsyncIterator[Full]:
    async with listening([]) as found:
        yield found


def test_a_reserve_is_kept_and_too_few_are_refused() -> None:
    capacity = Capacity(1024, 20, lambda: 0.0, lambda: None)
    assert capacity.most == 1024 - SPARE
    assert capacity.has_room(1024 - SPARE + 19)
    assert not capacity.has_room(1024 - SPARE + 20)
    # Whatever is open at the start, half of the reserve stays.
    assert not Capacity(1024, 10_000, lambda: 0.0, lambda: None).has_room(1024 - SPARE // 2)
    with pytest.raises(TooFewDescriptors, match="LimitNOFILE") as caught:
        Capacity(LEAST - 1, 0, lambda: 0.0, lambda: None)
    assert isinstance(caught.value, OSError)


def test_it_says_for_a_minute_that_somebody_was_turned_away() -> None:
    now = [5.0]
    capacity = Capacity(1024, 20, lambda: now[0], lambda: None)
    assert not capacity.full
    capacity.turn_away()
    assert capacity.full
    now[0] += 60
    assert not capacity.full


def test_as_many_descriptors_as_are_granted_are_taken() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, before[1]), before[1]))
        assert raise_descriptor_limit() == min(before[1], 1 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_who_comes_too_late_is_told_so(full: Full) -> None:
    reader, writer = await full.dial()
    writer.write(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await read_answer(reader)).status == 200
    full.close()
    answer = await full.ask("/hello")
    assert (answer.status, answer.error["code"]) == (503, "no_room")
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["connection"] == "close"
    # Who is in stays in.
    writer.write(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await read_answer(reader)).status == 200
    writer.close()
    assert full.capacity.full
    assert full.registry.get_sample_value("citadel_http_turned_away_total") == 1
    assert full.registry.get_sample_value("citadel_http_refused_total", {"code": "no_room"}) == 1


async def test_health_is_answered_to_this_host_when_nobody_else_gets_in(full: Full) -> None:
    full.close()
    async with AsyncExitStack() as stack:
        silent = [await full.dial() for _ in range(3 * RESERVE)]
        for _, writer in silent:
            stack.callback(writer.close)
        assert (await full.ask("/health")).status == 200
        reader, writer = await full.dial()
        stack.callback(writer.close)
        for piece in (b"GET /he", b"alth HTTP/1.1\r\nHost: local", b"host\r\n\r\n"):
            writer.write(piece)
            await writer.drain()
        assert (await read_answer(reader)).status == 200
        # Whoever was silent longest made room.
        assert [(await read_answer(reader)).status for reader, _ in silent[:RESERVE]] == [503] * RESERVE


async def test_a_guest_who_never_ends_its_head_is_turned_away(full: Full) -> None:
    full.close()
    reader, writer = await full.dial()
    writer.write(b"GET /health HTTP/1.1\r\nX: " + b"x" * 9000)
    assert (await read_answer(reader)).status == 503
    writer.close()


async def test_strangers_hear_it_before_they_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overflow, "LINGER_SECONDS", 0.05)
    async with listening([]) as full:
        monkeypatch.setattr(full.listener._reception.door, "is_local", lambda address: False)
        full.close()
        reader, writer = await full.dial()
        assert (await read_answer(reader)).status == 503
        # A client that does not go is cut off after a while.
        assert await reader.read() == b""
        writer.close()
        polite = [await full.dial() for _ in range(3 * overflow.LINGERING)]
        for reader, writer in polite:
            assert (await reader.read(12)) in (b"HTTP/1.1 503", b"")
            writer.close()


async def test_every_connection_gives_up_a_peer_that_acknowledges_nothing(full: Full) -> None:
    reader, writer = await full.dial()
    writer.write(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await read_answer(reader)
    (handler,) = full.listener._connections()
    assert handler.transport is not None
    sock = handler.transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == USER_TIMEOUT_MS
    writer.close()
