"""Following a channel: resume, resets, refusals, a peer that lies. Against real WebSocket servers."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from hxp_enterprise_llm.client import (
    BadAnswer,
    Control,
    Item,
    Lost,
    Position,
    Received,
    Refused,
    Subscription,
    Unreachable,
)
from tests.ports import free_port

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


def event(offset: int, epoch: str = "e1") -> str:
    return json.dumps({"offset": offset, "epoch": epoch, "specversion": "1.0", "id": str(offset), "type": "t"})


class Gateway:
    """Each connection is answered by the next prepared talk or response."""

    def __init__(self) -> None:
        self.queries: list[dict[str, str]] = []
        self.next: list[Talk | web.Response] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.queries.append(dict(request.query))
        step = self.next.pop(0)
        if isinstance(step, web.Response):
            return step
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await step(socket)
        await socket.close()
        return socket


def talk(*texts: str | bytes, close: int = 1012) -> Talk:
    async def speak(socket: web.WebSocketResponse) -> None:
        for text in texts:
            await (socket.send_str(text) if isinstance(text, str) else socket.send_bytes(text))
        await socket.close(code=close, message=b"restart")

    return speak


async def cut_off(socket: web.WebSocketResponse) -> None:
    await socket.send_str(event(1))
    transport = socket._req.transport if socket._req else None
    assert transport is not None
    transport.abort()


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def url(gateway: Gateway) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/ws/{channel}", gateway.handle)
    async with TestServer(app) as server:
        yield f"ws://127.0.0.1:{server.port}"


class Waits:
    def __init__(self) -> None:
        self.taken: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.taken.append(seconds)


async def take(subscription: Subscription, count: int) -> list[Item]:
    items: list[Item] = []
    async with asyncio.timeout(10), aclosing(aiter(subscription)) as stream:
        async for item in stream:
            items.append(item)
            if len(items) == count:
                break
    return items


def quick(url: str, waits: Waits | None = None, **options: object) -> Subscription:
    return Subscription(url, "events", sleep=(waits or Waits()).sleep, jitter=lambda: 1.0, **options)  # type: ignore[arg-type]


async def test_events_come_with_their_place_and_text(gateway: Gateway, url: str) -> None:
    gateway.next = [talk(event(5), event(9))]
    first, second = await take(quick(url, after="e1.4", types=["llm.*", "a"], filter="data.x > 1"), 2)
    assert isinstance(first, Received)
    assert first.position == Position("e1", 5)
    assert first.text == event(5)
    assert isinstance(second, Received)
    assert second.event["id"] == "9"
    assert gateway.queries == [{"after": "e1.4", "type": "llm.*,a", "filter": "data.x > 1"}]


async def test_a_lost_connection_goes_on_where_it_was_and_repeats_are_dropped(gateway: Gateway, url: str) -> None:
    gateway.next = [talk(event(5)), talk(event(4), event(5), event(6))]
    waits = Waits()
    items = await take(quick(url, waits, last=3), 3)
    assert [type(item) for item in items] == [Received, Lost, Received]
    assert items[1] == Lost("closed with 1012 restart", 0.25, Position("e1", 5))
    assert isinstance(items[2], Received)
    assert items[2].position.offset == 6
    assert gateway.queries == [{"last": "3"}, {"after": "e1.5"}]
    assert waits.taken == [0.25]


async def test_a_cut_line_is_a_lost_connection(gateway: Gateway, url: str) -> None:
    gateway.next = [cut_off, talk(event(2))]
    items = await take(quick(url), 3)
    assert isinstance(items[1], Lost)
    assert items[1].reason == "cut off"
    assert isinstance(items[2], Received)


async def test_waits_grow_and_begin_anew_after_an_event(gateway: Gateway, url: str) -> None:
    gateway.next = [talk() for _ in range(8)] + [talk(event(1)), talk(event(2))]
    waits = Waits()
    items = await take(quick(url, waits), 11)
    lost = [item for item in items if isinstance(item, Lost)]
    assert [item.delay for item in lost] == [0.25, 0.5, 1, 2, 4, 8, 10, 10, 0.25]
    assert lost[0].position is None
    assert waits.taken == [item.delay for item in lost]


async def test_after_a_reset_it_goes_on_from_there(gateway: Gateway, url: str) -> None:
    reset = json.dumps({"control": "reset", "reason": "gone", "epoch": "e2", "first": 41, "head": 50, "after": 40})
    gateway.next = [talk(event(9), reset), talk(event(41, "e2"))]
    items = await take(quick(url), 4)
    assert isinstance(items[1], Control)
    assert items[1].kind == "reset"
    assert items[1].fields["first"] == 41
    assert gateway.queries[1] == {"after": "e2.40"}
    assert isinstance(items[3], Received)
    assert items[3].position == Position("e2", 41)


async def test_other_control_messages_do_not_move_the_place(gateway: Gateway, url: str) -> None:
    gateway.next = [talk(event(9), '{"control":"error","message":"x"}'), talk(event(10))]
    items = await take(quick(url), 4)
    assert items[1] == Control("error", {"control": "error", "message": "x"})
    assert gateway.queries[1] == {"after": "e1.9"}


async def test_a_refusal_at_first_has_the_services_words(gateway: Gateway, url: str) -> None:
    body = {"error": {"code": "unknown_channel", "message": "no channel 'evnts'", "hint": "did you mean events?"}}
    gateway.next = [web.json_response(body, status=404)]
    with pytest.raises(Refused) as caught:
        await take(quick(url), 1)
    assert (caught.value.status, caught.value.hint) == (404, "did you mean events?")


@pytest.mark.parametrize("status", [503, 502, 429, 408])
async def test_a_service_that_is_full_is_tried_again_once_it_was_there(gateway: Gateway, url: str, status: int) -> None:
    busy = {"error": {"code": "connection_limit", "message": "200 connections are open"}}
    gateway.next = [
        talk(event(1)),
        web.json_response(busy, status=status),
        talk(event(2)),
        web.json_response(busy, status=403),
    ]
    items = await take(quick(url), 5)
    assert isinstance(items[2], Lost)
    assert items[2].reason == f"200 connections are open ({status} connection_limit)"
    gateway.next = [talk(event(1)), web.json_response(busy, status=403)]
    with pytest.raises(Refused):
        await take(quick(url), 9)
    gateway.next = [web.json_response(busy, status=503)]
    with pytest.raises(Refused):
        await take(quick(url), 9)


@pytest.mark.parametrize("text", ["hello", "[1]", '{"offset":"1","epoch":"e"}', '{"type":"t"}', b"\xff\xfe"])
async def test_a_message_that_is_no_event_is_named(gateway: Gateway, url: str, text: str | bytes) -> None:
    gateway.next = [talk(text)]
    with pytest.raises(BadAnswer, match="a message that is no event"):
        await take(quick(url), 1)


async def test_binary_messages_are_events_as_well(gateway: Gateway, url: str) -> None:
    gateway.next = [talk(event(3).encode())]
    (item,) = await take(quick(url), 1)
    assert isinstance(item, Received)
    assert item.text == event(3)


async def test_nobody_there() -> None:
    url = f"ws://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable) as caught:
        await take(quick(url), 1)
    assert str(caught.value) == f"{url}/ws/events does not answer: Connection refused"


async def test_a_gateway_that_goes_away_is_waited_for(gateway: Gateway) -> None:
    app = web.Application()
    app.router.add_get("/ws/{channel}", gateway.handle)
    server = TestServer(app)
    await server.start_server()
    gateway.next = [talk(event(1))]
    subscription = quick(f"http://127.0.0.1:{server.port}")
    async with asyncio.timeout(10), aclosing(aiter(subscription)) as items:
        assert isinstance(await anext(items), Received)
        await server.close()
        assert isinstance(await anext(items), Lost)
        assert await anext(items) == Lost("Connection refused", 0.5, Position("e1", 1))


async def test_a_gateway_that_hangs_is_left(gateway: Gateway, url: str) -> None:
    release = asyncio.Event()

    async def hang(socket: web.WebSocketResponse) -> None:
        await socket.send_str(event(1))
        await release.wait()

    gateway.next = [hang, talk(event(2))]
    items = await take(quick(url, quiet=0.05), 3)
    release.set()
    assert [item.position for item in items if isinstance(item, Received)] == [Position("e1", 1), Position("e1", 2)]
    assert items[1] == Lost("it gives no sign of life", 0.25, Position("e1", 1))


@asynccontextmanager
async def pinged(talk: Talk) -> AsyncIterator[str]:
    """A gateway that leaves the answers to pings to its talk."""

    async def handle(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        await talk(socket)
        return socket

    app = web.Application()
    app.router.add_get("/ws/events", handle)
    async with asyncio.timeout(10), TestServer(app) as server:
        yield f"ws://127.0.0.1:{server.port}"


async def test_a_quiet_channel_is_not_left() -> None:
    async def answer(socket: web.WebSocketResponse) -> None:
        await socket.send_str(event(1))
        for _ in range(5):
            ping = await socket.receive()
            await socket.pong(ping.data)
        await socket.send_str(event(2))
        await socket.receive()

    async with pinged(answer) as url:
        assert [type(item) for item in await take(quick(url, quiet=0.1), 2)] == [Received, Received]


async def test_who_takes_long_over_an_event_is_not_cut_off() -> None:
    asked = asyncio.Event()

    async def wait(socket: web.WebSocketResponse) -> None:
        for offset in (1, 2, 3):
            await socket.send_str(event(offset))
        for _ in range(4):  # their answers wait behind what was not read
            assert (await socket.receive()).type is web.WSMsgType.PING
        asked.set()
        await socket.receive()

    async with pinged(wait) as url, aclosing(aiter(quick(url, quiet=0.05))) as items:
        assert isinstance(await anext(items), Received)
        await asked.wait()
        assert [type(await anext(items)) for _ in range(2)] == [Received, Received]


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({"after": 0}, {"after": "0"}),
        ({"after": 7}, {"after": "7"}),
        ({"after": Position("e1", 7)}, {"after": "e1.7"}),
        ({"after": "earliest", "types": ["llm.*", "host.cpu"]}, {"after": "earliest", "type": "llm.*,host.cpu"}),
        ({"types": "llm.*"}, {"type": "llm.*"}),
        ({}, {}),
    ],
)
async def test_where_it_begins_and_what_it_asks_for(
    gateway: Gateway, url: str, options: dict[str, Any], query: dict[str, str]
) -> None:
    gateway.next = [talk(event(8))]
    await take(quick(url, **options), 1)
    assert gateway.queries == [query]


async def test_who_leaves_and_iterates_again_goes_on(gateway: Gateway, url: str) -> None:
    gateway.next = [talk(event(1), event(2)), talk(event(2), event(3))]
    subscription = quick(url)
    await take(subscription, 1)
    (item,) = await take(subscription, 1)
    assert isinstance(item, Received)
    assert (item.position, gateway.queries[1]) == (Position("e1", 2), {"after": "e1.1"})


async def speak_no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"220 mail.example.org ESMTP\r\n")
    writer.close()


async def test_somebody_else_at_the_port() -> None:
    server = await asyncio.start_server(speak_no_http, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(BadAnswer):
        await take(quick(f"ws://127.0.0.1:{port}"), 1)
    server.close()
    await server.wait_closed()


async def test_a_handshake_that_fails_later_is_a_lost_connection(gateway: Gateway, url: str) -> None:
    gateway.next = [talk(event(1)), web.Response(status=200, text="a page"), talk(event(2))]
    with pytest.raises(Refused):
        await take(quick(url), 5)


async def test_a_program_that_ends_with_a_break_ends_in_peace(gateway: Gateway, url: str) -> None:
    left: list[int | None] = []

    async def listen(socket: web.WebSocketResponse) -> None:
        await socket.send_str(event(1))
        await socket.receive()
        left.append(socket.close_code)

    gateway.next = [listen]
    program = f"""
import asyncio
from hxp_enterprise_llm.client import Subscription

async def main():
    async for item in Subscription({url!r}, "events"):
        break

asyncio.run(main())
"""
    command = (sys.executable, "-W", "error", "-c", program)
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, said, left) == (0, b"", [1000])


async def test_leaving_in_the_middle_of_a_flood_is_quick(gateway: Gateway, url: str) -> None:
    async def flood(socket: web.WebSocketResponse) -> None:
        offset = 0
        while not socket.closed:
            offset += 1
            try:
                await socket.send_str(event(offset) + " " * 10_000)
            except ConnectionError:
                return

    gateway.next = [flood]
    async with asyncio.timeout(30):
        assert len(await take(quick(url), 2)) == 2


@pytest.mark.parametrize("url", ["nonsense", "ftp://host"])
async def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(Unreachable, match="this is no address"):
        await take(quick(url), 1)


def test_https_becomes_wss_and_names_are_quoted() -> None:
    assert Subscription("https://host/", "a/b").url == "wss://host/ws/a%2Fb"
