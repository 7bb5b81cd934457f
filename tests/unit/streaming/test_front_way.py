"""Streams that are opened before aiohttp: the same answers as behind it, and nothing is counted twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hxp_enterprise_llm.config.streaming import ChannelConfig, SseConfig, StreamingConfig, WebSocketConfig
from hxp_enterprise_llm.event.streaming import gateway as gateway_module
from tests.unit.streaming.gateways import Served, serving, until

KEY = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\n" + KEY
ASIDE = "Keep-Alive: 5\r\n"
"""A header that means nothing and makes a request one for aiohttp."""


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fills with `front` or `aiohttp` for each stream that is opened."""
    found: list[str] = []
    for name, way in (("adopt", "front"), ("detach", "aiohttp")):
        usual = getattr(gateway_module, name)

        def spy(*arguments: Any, usual: Any = usual, way: str = way) -> Any:
            found.append(way)
            return usual(*arguments)

        monkeypatch.setattr(gateway_module, name, spy)
    return found


async def begin(served: Served, path: str, more: str = "", host: str = "localhost") -> tuple[int, list[str], Any]:
    """Status, the other lines of the head in order of their names, and the reader with its writer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    return int(head[0].split()[1]), sorted(line for line in head[1:] if line), (reader, writer)


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/ws/events", UPGRADE, 101),
        ("/ws/events?type=a.*&filter=data.n==1&last=1", UPGRADE, 101),
        ("/ws/events", UPGRADE + "Sec-WebSocket-Extensions: permessage-deflate\r\n", 101),
        ("/sse/events", "", 200),
        ("/sse/events?last=1", "Accept-Encoding: gzip, br\r\nOrigin: http://localhost\r\n", 200),
        ("/sse/events", "Last-Event-ID: 7\r\n", 200),
    ],
)
async def test_both_ways_give_the_same_answer(path: str, more: str, status: int, ways: list[str]) -> None:
    async with serving() as served:
        await served.publish("a.b", "a.c")
        answers = [await begin(served, path, more + header) for header in ("", ASIDE)]
        assert ways == ["front", "aiohttp"]
        assert answers[0][:2] == answers[1][:2]
        assert answers[0][0] == status
        route = "/ws/{channel}" if status == 101 else "/sse/{stream}"
        assert served.sample("citadel_http_requests_total", route=route, status=str(status)) == 2
        assert served.open == 2
        for _, _, (_, writer) in answers:
            writer.close()
        await until(lambda: served.open == 0)
        assert served.gateway.hub.derived_count == 0


async def test_events_come_to_whoever_was_let_in_before_aiohttp(ways: list[str]) -> None:
    async with serving() as served:
        _, _, (reader, writer) = await begin(served, "/sse/events")
        await served.publish("demo.hello")
        assert b'"demo.hello"' in await reader.readuntil(b'demo.hello"')
        assert ways == ["front"]
        writer.close()


@pytest.mark.parametrize(
    ("path", "more", "status", "reason"),
    [
        ("/ws/events", "", 426, ""),
        ("/ws/events", UPGRADE.replace("13", "8"), 426, ""),
        ("/ws/events", UPGRADE.replace("dGhl", "####"), 400, ""),
        ("/ws/zzz", UPGRADE, 404, ""),
        ("/ws/events?afer=1", UPGRADE, 400, ""),
        ("/sse/zzz", "", 404, ""),
        ("/sse/events?filter=(", "", 400, ""),
    ],
)
async def test_refusals_are_made_by_aiohttp_and_nothing_is_left(
    path: str, more: str, status: int, reason: str, ways: list[str]
) -> None:
    async with serving() as served:
        found, _, (_, writer) = await begin(served, path, more)
        assert (found, "front" in ways) == (status, False)
        route = "/ws/{channel}" if path.startswith("/ws") else "/sse/{stream}"
        await until(lambda: served.sample("citadel_http_requests_total", route=route, status=str(status)) == 1)
        assert (served.open, served.gateway.hub.derived_count) == (0, 0)
        for transport in ("websocket", "sse"):
            assert served.sample("citadel_streaming_connections_opened_total", transport=transport) == 0
        writer.close()


FULL = StreamingConfig(websocket=WebSocketConfig(max_connections=1), sse=SseConfig(max_connections=1))
FAST = StreamingConfig(websocket=WebSocketConfig(connection_rate=0.5), sse=SseConfig(connection_rate_per_address=0.5))


@pytest.mark.parametrize(
    ("path", "more", "transport"), [("/ws/events", UPGRADE, "websocket"), ("/sse/events", "", "sse")]
)
@pytest.mark.parametrize(("config", "reason"), [(FULL, "limit"), (FAST, "rate")])
async def test_a_bound_lets_as_many_in_as_before_and_counts_a_refusal_once(
    config: StreamingConfig, reason: str, path: str, more: str, transport: str, ways: list[str]
) -> None:
    async with serving(config) as served:
        first, _, (_, one) = await begin(served, path, more)
        second, _, (_, two) = await begin(served, path, more)
        assert (first // 100 in (1, 2), second, ways) == (True, 503, ["front"])
        assert served.sample("citadel_streaming_connections_refused_total", transport=transport, reason=reason) == 1
        assert served.sample("citadel_streaming_connections_opened_total", transport=transport) == 1
        one.close()
        two.close()


async def test_while_nobody_is_let_in_aiohttp_says_so(ways: list[str]) -> None:
    off = StreamingConfig(websocket=WebSocketConfig(enabled=False), sse=SseConfig(enabled=False))
    async with serving(off) as served:
        for path, more, transport in (("/ws/events", UPGRADE, "websocket"), ("/sse/events", "", "sse")):
            status, _, (_, writer) = await begin(served, path, more)
            refused = served.sample(
                "citadel_streaming_connections_refused_total", transport=transport, reason="disabled"
            )
            assert (status, refused) == (404, 1)
            writer.close()
    async with serving() as served:
        served.gateway._leaving = True
        status, _, (_, writer) = await begin(served, "/sse/events")
        refused = served.sample("citadel_streaming_connections_refused_total", transport="sse", reason="stopping")
        assert (status, refused) == (503, 1)
        writer.close()
    assert ways == []


async def test_what_would_have_to_wait_for_the_log_is_aiohttp_s(ways: list[str]) -> None:
    async with serving() as served:
        await served.publish("demo.hello")
        status, _, (reader, writer) = await begin(served, "/sse/events?after=earliest")
        assert (status, ways) == (200, ["aiohttp"])
        await reader.readuntil(b"demo.hello")
        writer.close()


async def test_bytes_behind_the_head_are_refused_as_before(ways: list[str]) -> None:
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(f"GET /ws/events HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n".encode() + b"\x81\x80\0\0\0\0")
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 400")
        assert (ways, served.open) == ([], 0)
        writer.close()


async def test_what_a_reload_changes_holds_for_heads_that_were_read_before(ways: list[str]) -> None:
    packed = UPGRADE + "Sec-WebSocket-Extensions: permessage-deflate\r\n"
    asked = [("/ws/events", packed), ("/sse/events", "Accept-Encoding: gzip\r\n"), ("/ws/mine", UPGRADE)]
    mine = {"mine": ChannelConfig(types=["a"])}

    async def ask(served: Served) -> list[tuple[int, bool]]:
        found = []
        for path, more in asked:
            status, lines, (_, writer) = await begin(served, path, more)
            found.append((status, any("deflate" in line or "gzip" in line for line in lines)))
            writer.close()
        return found

    async with serving(StreamingConfig(channels=mine)) as served:
        assert await ask(served) == [(101, True), (200, True), (101, False)]
        plain = WebSocketConfig(compression_enabled=False)
        served.gateway.prepare(StreamingConfig(channels=mine, websocket=plain, sse=SseConfig(enabled=False)))()
        assert await ask(served) == [(101, False), (404, False), (101, False)]
        served.gateway.prepare(StreamingConfig())()
        assert await ask(served) == [(101, True), (200, True), (404, False)]
    assert ways == ["front"] * 7
