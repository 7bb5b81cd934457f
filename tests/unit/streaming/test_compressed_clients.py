"""Clients that take compression, as they are: `websockets`, aiohttp, curl and Chromium's EventSource."""

from __future__ import annotations

import asyncio
import json
import zlib
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from hxp_enterprise_llm.config.streaming import OptimizationConfig, SseConfig, StreamingConfig, WebSocketConfig
from tests.browser import chromium, watched_page
from tests.unit.streaming.gateways import numbers, read_sse, serving, until
from tests.unit.streaming.test_websocket import handshake, masked

TEXT = "The request took longer than the limit of its tenant allows. " * 4


def deflate(**parameters: Any) -> list[ClientPerMessageDeflateFactory]:
    return [ClientPerMessageDeflateFactory(**parameters)]


def agreed(client: ClientConnection) -> str | None:
    assert client.response is not None
    return client.response.headers.get("Sec-WebSocket-Extensions")


async def received(client: ClientConnection, count: int) -> list[int]:
    async with asyncio.timeout(30):
        return [json.loads(await client.recv())["data"]["n"] for _ in range(count)]


async def test_every_kind_of_websocket_client_gets_the_same() -> None:
    async with (
        serving() as served,
        connect(served.ws("/ws/events")) as usual,
        connect(served.ws("/ws/events"), compression=None) as plain,
        connect(served.ws("/ws/events"), extensions=deflate(server_no_context_takeover=True)) as forgetful,
        connect(served.ws("/ws/events"), extensions=deflate(server_max_window_bits=9)) as narrow,
        aiohttp.ClientSession() as session,
        session.ws_connect(served.http("/ws/events"), compress=12) as other,
    ):
        assert agreed(usual) == "permessage-deflate; client_no_context_takeover"
        assert agreed(plain) is None
        assert "server_no_context_takeover" in str(agreed(forgetful))
        assert "server_max_window_bits=9" in str(agreed(narrow))
        for round in range(3):
            await served.publish(*["host.cpu"] * 20, text=TEXT)
            wanted = list(range(20 * round + 1, 20 * round + 21))
            for client in (usual, plain, forgetful, narrow):
                assert await received(client, 20) == wanted
            assert [(await other.receive_json(timeout=10))["data"]["n"] for _ in range(20)] == wanted


async def test_clients_with_a_full_window_get_messages_that_look_back_far() -> None:
    async with serving() as served, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(served.ws("/ws/events"))) for _ in range(6)]
        session = await stack.enter_async_context(aiohttp.ClientSession())
        others = [
            await stack.enter_async_context(session.ws_connect(served.http("/ws/events"), compress=15))
            for _ in range(6)
        ]

        async def share_saved(first: int, count: int) -> float:
            names = ("input_bytes_total", "saved_bytes_total")
            before = [served.sample(f"citadel_streaming_compression_{name}") for name in names]
            await served.publish(*["host.cpu"] * count, text=TEXT)
            wanted = list(range(first, first + count))
            for client in clients:
                assert await received(client, count) == wanted
            for other in others:
                assert [(await other.receive_json(timeout=10))["data"]["n"] for _ in wanted] == wanted
            given, saved = (
                served.sample(f"citadel_streaming_compression_{name}") - had
                for name, had in zip(names, before, strict=True)
            )
            return saved / given

        assert await share_saved(1, 1) < 0.6
        for first in range(2, 150, 20):
            await share_saved(first, 20)
        assert await share_saved(162, 1) > 0.8


async def test_the_past_comes_compressed_too_and_is_counted() -> None:
    async with serving() as served:
        await served.publish(*["host.cpu"] * 50, text=TEXT)
        async with connect(served.ws("/ws/events?after=0")) as client:
            assert await received(client, 50) == list(range(1, 51))
            given = served.sample("citadel_streaming_compression_input_bytes_total")
            saved = served.sample("citadel_streaming_compression_saved_bytes_total")
            assert given > 50 * len(TEXT)
            assert saved > 0.8 * given
            assert served.sample("citadel_streaming_sent_bytes_total") == given - saved
            await served.publish(*["host.cpu"] * 10, text=TEXT)
            await received(client, 10)
            assert served.sample("citadel_streaming_compression_input_bytes_total") > given + 10 * len(TEXT)


async def test_clients_speak_compressed_and_are_understood() -> None:
    async with serving() as served, connect(served.ws("/ws/events")) as client:
        for _ in range(2):  # the second looks back into nothing
            await client.send('{"command":"ping"}')
            assert json.loads(await client.recv()) == {"control": "pong"}
            await client.send(['{"comm', 'and":"p', 'ing"}'])
            assert json.loads(await client.recv()) == {"control": "pong"}


async def test_a_deflate_bomb_is_closed_with_1009() -> None:
    config = StreamingConfig(websocket=WebSocketConfig(message_size_limit=10_000))
    async with serving(config) as served:
        async with connect(served.ws("/ws/events")) as client:
            await client.send(" " * 5_000_000)
            with pytest.raises(ConnectionClosed) as raised:
                await client.recv()
            assert raised.value.rcvd is not None
            assert raised.value.rcvd.code == 1009
        await until(lambda: served.open == 0)


def compressed(frame: bytes) -> bytes:
    return bytes((frame[0] | 0x40,)) + frame[1:]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (compressed(masked(1, b"\xff\xff\xff\xff")), 1002),
        (compressed(masked(9, b"ping")), 1002),
        (compressed(masked(1, zlib.compress(b"\xff\xfe", wbits=-15))), 1007),
    ],
    ids=["not deflate", "a compressed ping", "not UTF-8 inside"],
)
async def test_faulty_compressed_frames(sent: bytes, code: int) -> None:
    async with serving() as served:
        status, reader, writer = await handshake(served, Sec_WebSocket_Extensions="permessage-deflate")
        assert status == 101
        writer.write(sent)
        answer = await reader.read()
        writer.close()
        close = answer[answer.rindex(b"\x88") :]
        assert int.from_bytes(close[2:4], "big") == code
        await until(lambda: served.open == 0)


async def test_a_compressed_frame_that_was_not_agreed_on() -> None:
    async with serving() as served:
        status, reader, writer = await handshake(served)
        assert status == 101
        writer.write(compressed(masked(1, b"\x00")))
        answer = await reader.read()
        writer.close()
        assert int.from_bytes(answer[answer.rindex(b"\x88") :][2:4], "big") == 1002


async def test_offers_that_cannot_be_read_are_refused() -> None:
    async with serving() as served:
        status, _, writer = await handshake(served, Sec_WebSocket_Extensions="permessage-deflate; ;")
        writer.close()
        assert (status, served.open) == (400, 0)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_stream_read_by_aiohttp(coding: str) -> None:
    async with serving() as served, aiohttp.ClientSession(headers={"Accept-Encoding": coding}) as session:
        await served.publish("host.cpu")
        async with session.get(served.http("/sse/events?after=0")) as answer:
            assert answer.headers["Content-Encoding"] == coding
            assert answer.headers["Vary"] == "Accept-Encoding, Origin"
            assert numbers(await read_sse(answer.content, 1)) == [1]
            await served.publish(*["host.cpu"] * 30, text=TEXT)
            assert numbers(await read_sse(answer.content, 30)) == list(range(2, 32))
        assert served.sample("citadel_streaming_compression_saved_bytes_total") > 20 * len(TEXT)


async def test_the_last_words_are_read_before_a_compressed_stream_ends() -> None:
    async with (
        serving() as served,
        aiohttp.ClientSession(headers={"Accept-Encoding": "gzip"}) as session,
        session.get(served.http("/sse/events")) as answer,
    ):
        await answer.content.readuntil(b"\n\n")
        await served.gateway.stop(5.0)
        assert b": the server restarts\nretry: " in await answer.content.read()


async def test_switched_off_means_plain() -> None:
    off = OptimizationConfig(compression_enabled=False)
    async with serving(StreamingConfig(performance_optimization=off)) as served, aiohttp.ClientSession() as session:
        async with session.get(served.http("/sse/events"), headers={"Accept-Encoding": "gzip"}) as answer:
            assert "Content-Encoding" not in answer.headers
        async with connect(served.ws("/ws/events")) as client:
            assert agreed(client) is None


async def test_a_keep_alive_is_part_of_the_compressed_stream() -> None:
    config = StreamingConfig(sse=SseConfig(keep_alive_interval=0.05))
    async with (
        serving(config) as served,
        aiohttp.ClientSession(headers={"Accept-Encoding": "gzip"}) as session,
        session.get(served.http("/sse/events")) as answer,
        asyncio.timeout(30),
    ):
        await answer.content.readuntil(b"\n\n")
        assert await answer.content.readuntil(b"\n\n") == b": keep-alive\n\n"


@pytest.mark.parametrize("accepted", [[], ["-H", "Accept-Encoding: deflate"]], ids=["all it can", "deflate"])
async def test_a_stream_read_by_curl(accepted: list[str]) -> None:
    async with serving() as served:
        await served.publish(*["host.cpu"] * 20, text=TEXT)
        command = ["curl", "-sSN", "--compressed", *accepted, served.http("/sse/events?after=0")]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        async with asyncio.timeout(30):
            text = await process.stdout.readuntil(b'"n":20,')
            assert text.startswith(b"retry: 5000\nid: ")
            assert served.sample("citadel_streaming_compression_saved_bytes_total") > 10 * len(TEXT)
            await served.publish("host.memory")
            await process.stdout.readuntil(b'"n":21')
            await served.gateway.stop(5.0)
            assert b"retry: " in await process.stdout.read()
            assert await process.wait() == 0


_PAGE_SCRIPT = """
new Promise((resolve, reject) => {
    const seen = [];
    const source = new EventSource("/sse/events?after=0");
    source.onmessage = (event) => {
        seen.push(JSON.parse(event.data).data.n);
        if (seen.length === 41) { source.close(); resolve(seen); }
    };
    setTimeout(() => reject(new Error("only " + seen.length)), 30000);
})
"""


async def test_a_stream_read_by_a_browser() -> None:
    async with serving() as served, chromium() as browser, watched_page(browser) as page:
        await served.publish(*["host.cpu"] * 20, text=TEXT)
        await page.route("**/page", lambda route: route.fulfill(content_type="text/html", body="<!doctype html>"))
        await page.goto(served.http("/page"))
        reading = asyncio.create_task(page.evaluate(_PAGE_SCRIPT))
        await until(lambda: served.open == 1)
        await served.publish("host.memory")
        await served.publish(*["host.cpu"] * 20, text=TEXT)
        assert await reading == list(range(1, 42))
        assert served.sample("citadel_streaming_compression_saved_bytes_total") > 20 * len(TEXT)
        await until(lambda: served.open == 0)
