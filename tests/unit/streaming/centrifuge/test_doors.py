"""How clients come in: subprotocols, unidirectional streams, rates, oversized requests; and what is told of them."""

from __future__ import annotations

import asyncio

import aiohttp
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from hxp_enterprise_llm.config.streaming import (
    CentrifugeConfig,
    HighFrequencyConfig,
    LiveDashboardConfig,
    SseConfig,
    StreamingConfig,
    WebSocketConfig,
)
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.streaming.api import StreamingApi
from hxp_enterprise_llm.event.streaming.centrifuge.codes import (
    BAD_CONNECTION_REQUEST,
    INVALID_TOKEN,
    UNKNOWN_CHANNEL,
    end_of,
)
from hxp_enterprise_llm.runtime.clock import SystemClock
from tests.unit.streaming.centrifuge.serving import serving
from tests.unit.streaming.centrifuge.test_endpoint import CONNECT, SUBSCRIBE, frames, lines
from tests.unit.streaming.gateways import Served, until

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


# Subprotocols


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        (["centrifuge-json"], "centrifuge-json"),
        (["centrifuge-protobuf", "centrifuge-json"], "centrifuge-json"),
        (["chat"], None),
        (None, None),
    ],
)
async def test_json_is_answered_where_it_is_offered(offered, answered):
    async with serving() as served, connect(served.ws("/connection/websocket"), subprotocols=offered) as client:
        assert client.subprotocol == answered
        await client.send(CONNECT)
        assert msgspec.json.decode(await client.recv())["id"] == 1


async def test_an_empty_offer_is_none(http):
    headers = {"Sec-WebSocket-Protocol": ""}
    async with serving() as served, http.ws_connect(served.ws("/connection/websocket"), headers=headers) as ws:
        await ws.send_str(CONNECT)
        await frames(ws, 1)


@pytest.mark.parametrize(
    ("query", "offered"),
    [
        ("", ["centrifuge-protobuf"]),
        ("?format=protobuf", ["centrifuge-json"]),
        ("?cf_protocol=protobuf", None),
    ],
)
async def test_protobuf_is_refused_with_a_reason(query, offered):
    async with serving() as served:
        with pytest.raises(InvalidStatus) as raised:
            await connect(served.ws("/connection/websocket" + query), subprotocols=offered)
        assert raised.value.response.status_code == 400
        assert b"json_only" in raised.value.response.body
        assert served.open == 0


# Unidirectional HTTP stream


@pytest.mark.parametrize("body", ["{}", ""])
async def test_a_unidirectional_http_stream(http, body):
    async with (
        serving() as served,
        http.post(served.http("/connection/uni_http_stream"), data=body, headers=JSON) as answer,
    ):
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        (first,) = await lines(answer.content, 1)
        assert first["connect"]["ping"] == 25
        assert "session" not in first["connect"]


async def test_a_unidirectional_http_stream_recovers_and_is_told_of_the_end(http):
    async with serving() as served:
        await served.publish("llm.a", "llm.b", "llm.c")
        await until(lambda: served.gateway.hub.position.offset == 3)
        epoch = served.gateway.hub.position.epoch
        wish = {"subs": {"events": {"recover": True, "offset": 1, "epoch": epoch}}}
        async with http.post(served.http("/connection/uni_http_stream"), json=wish) as answer:
            (first,) = await lines(answer.content, 1)
            sub = first["connect"]["subs"]["events"]
            assert sub["recovered"] is True
            assert [each["offset"] for each in sub["publications"]] == [2, 3]
            await served.publish("llm.d")
            (push,) = await lines(answer.content, 1)
            assert (push["channel"], push["pub"]["offset"]) == ("events", 4)
            await served.gateway.farewell(2.0)
            assert await lines(answer.content, 1) == [{"disconnect": {"code": 3001, "reason": "shutdown"}}]
            assert await answer.content.read() == b""


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("uni_http_stream", '{"subs":{"nowhere":{}}}', end_of(UNKNOWN_CHANNEL)),
        ("uni_http_stream", "[", BAD_CONNECTION_REQUEST),
        ("uni_sse", '{"token":"x"}', INVALID_TOKEN),
        ("http_stream", "", BAD_CONNECTION_REQUEST),
        ("sse", "[]", BAD_CONNECTION_REQUEST),
    ],
)
async def test_a_stream_that_cannot_begin_says_so_and_ends(http, path, body, expected):
    async with (
        serving() as served,
        http.post(served.http(f"/connection/{path}"), data=body, headers=JSON) as answer,
    ):
        assert answer.status == 200
        (last,) = await lines(answer.content, 1)
        assert last.get("push", last) == {"disconnect": expected.members()}
        assert ("push" in last) is not path.startswith("uni_")
        async with asyncio.timeout(10):
            assert await answer.content.read() in (b"", b"\n")
        await until(lambda: served.open == 0)


# Limits


async def test_connections_come_within_the_rate(http):
    config = StreamingConfig(websocket=WebSocketConfig(connection_rate=1), sse=SseConfig(connection_rate_per_address=1))
    async with serving(config) as served, http.ws_connect(served.ws("/connection/websocket")):
        with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
            await http.ws_connect(served.ws("/connection/websocket"))
        assert raised.value.status == 503
        async with http.post(served.http("/connection/http_stream"), data=CONNECT, headers=JSON) as first:
            assert first.status == 200
            for path in ("uni_http_stream", "sse"):
                async with http.post(served.http(f"/connection/{path}"), data="{}", headers=JSON) as refused:
                    assert refused.status == 503
                    assert int(refused.headers["Retry-After"]) >= 1
                    assert (await refused.json())["error"]["code"] == "too_many_at_once"
        assert served.sample("citadel_streaming_connections_refused_total", transport="sse", reason="rate") == 2


async def test_a_connect_command_of_a_megabyte_is_refused_politely():
    """In the address or in the body: an answer, not a cut connection, and the next client is served."""
    async with serving() as served:
        text = "x" * 1_000_000
        get = f"GET /connection/uni_sse?cf_connect={text} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        head = "POST /connection/uni_http_stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        for request in (get, f"{head}Content-Length: {len(text)}\r\n\r\n{text}"):
            status = await answered(served, request.encode())
            assert status in (400, 413, 414, 431)
        assert served.open == 0
        async with connect(served.ws("/connection/websocket")) as client:
            await client.send(CONNECT)
            await client.recv()


async def answered(served: Served, request: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        async with asyncio.timeout(10):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1])
    finally:
        writer.close()


@pytest.mark.parametrize("size", [999, 1000, 1001])
async def test_a_message_may_be_as_long_as_the_limit(http, size):
    config = StreamingConfig(centrifuge=CentrifugeConfig(message_size_limit=1000))
    text = CONNECT + " " * (size - len(CONNECT))
    async with serving(config) as served, http.ws_connect(served.ws("/connection/websocket")) as ws:
        await ws.send_str(text)
        received = await ws.receive(10)
        assert (received.data == 1009) is (size > 1000)
        async with http.post(served.http("/connection/http_stream"), data=text, headers=JSON) as answer:
            assert answer.status == (413 if size > 1000 else 200)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("", 3501),
        ("\n", 3501),
        (CONNECT + "\n\n" + SUBSCRIBE, 3501),
        (SUBSCRIBE, 3501),
        ("{}", 3501),
        (CONNECT + "\n" + CONNECT, 3501),
        (CONNECT + '\n{"id":2,"connect":null}', 3501),
        (CONNECT + '\n{"id":2,"unheard_of":{}}', 3501),
        (CONNECT + "\n{}", 3501),
    ],
)
async def test_what_is_no_command_is_closed_with_its_code(http, sent, code):
    async with serving() as served, http.ws_connect(served.ws("/connection/websocket")) as ws:
        await ws.send_str(sent)
        async with asyncio.timeout(10):
            while (received := await ws.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert received.data == code
        await until(lambda: served.open == 0)


async def test_text_that_is_not_utf8_is_closed_with_1007():
    async with serving() as served, connect(served.ws("/connection/websocket")) as client:
        await client.send(b"\xff\xfe", text=True)
        await client.wait_closed()
        assert client.close_code == 1007


async def test_members_that_nobody_knows_are_passed_over(http):
    command = '{"id":1,"connect":{"data":{"a":[1]},"flag":1,"dict":"x","headers":{"a":"b"},"new":null},"x":1}\n'
    async with serving() as served, http.ws_connect(served.ws("/connection/websocket")) as ws:
        await ws.send_str(command + '{"id":2,"subscribe":{"channel":"events","joinx":true,"positioned":true}}\n')
        first, second = await frames(ws, 2)
        assert "flag" not in first["connect"]
        assert second["subscribe"]["recoverable"] is True


# What is told of them


async def test_the_status_page_lists_channels_of_centrifuge_connections(http):
    async with serving() as served, http.ws_connect(served.ws("/connection/websocket")) as ws:
        await ws.send_str(CONNECT + "\n" + SUBSCRIBE + '\n{"id":3,"subscribe":{"channel":"system_alerts"}}')
        await frames(ws, 3)
        answer = await StreamingApi(served.gateway, SystemClock()).websocket_status(None)
        status = msgspec.json.decode(answer.body)
        assert status["channels"] == {"events": 1, "system_alerts": 1}
        assert (status["connections"], status["behind"]) == (1, 0)


async def recover(http: aiohttp.ClientSession, served: Served, offset: int, epoch: str = "") -> dict:
    async with http.ws_connect(served.ws("/connection/websocket")) as ws:
        wish = {"channel": "events", "recover": True, "offset": offset, "epoch": epoch}
        await ws.send_str(CONNECT + "\n" + msgspec.json.encode({"id": 2, "subscribe": wish}).decode())
        reply = (await frames(ws, 2))[1]["subscribe"]
        missing = 6 - offset - len(reply.get("publications", []))
        if reply.get("recovered"):
            await frames(ws, missing)
        return reply


async def test_recoveries_are_counted(http):
    config = StreamingConfig(high_frequency_streams=HighFrequencyConfig(buffer_size=2))
    async with serving(config) as served:
        await served.publish(*["llm.a"] * 6)
        await until(lambda: served.gateway.hub.position.offset == 6)
        for offset, epoch, messages in ((5, "", 1), (1, "", 5), (6, "", 0), (3, "another", 0)):
            before = served.sample("citadel_streaming_recovered_messages_total")
            await recover(http, served, offset, epoch)
            assert served.sample("citadel_streaming_recovered_messages_total") - before == messages
        assert served.sample("citadel_streaming_recoveries_total", recovered="yes") == 3
        assert served.sample("citadel_streaming_recoveries_total", recovered="no") == 1


async def test_a_filter_that_never_began_leaves_nothing_behind(http):
    """Its channel was made for the recovery; the client left in the same message, or broke off behind it."""
    wish = '{"id":2,"subscribe":{"channel":"events","recover":true,"tf":{"key":"a","cmp":"eq","val":"%d"}}}\n'
    async with serving() as served:
        await served.publish("llm.a")
        await until(lambda: served.gateway.hub.position.offset == 1)
        for number, last in enumerate(('{"id":3,"unsubscribe":{"channel":"events"}}', "{}")):
            async with http.ws_connect(served.ws("/connection/websocket")) as ws:
                await ws.send_str(CONNECT + "\n" + wish % number + last)
                await frames(ws, 2)
                await until(lambda: served.gateway.hub.derived_count == 0)


async def test_pings_say_at_least_a_second(http):
    config = StreamingConfig(centrifuge=CentrifugeConfig(ping_interval=0.3))
    async with serving(config) as served, http.ws_connect(served.ws("/connection/websocket")) as ws:
        await ws.send_str(CONNECT)
        assert (await frames(ws, 1))[0]["connect"]["ping"] == 1


async def test_a_second_client_does_not_wait_for_the_first_to_be_answered(http):
    """A log that does not answer holds back one connection's commands, and no other's."""

    class Stuck(MemoryLog):
        gate: asyncio.Event | None = None

        async def bounds(self):
            if self.gate is not None:
                await self.gate.wait()
            return await super().bounds()

    log = Stuck()
    await log.open()
    async with (
        serving(None, log) as served,
        http.ws_connect(served.ws("/connection/websocket")) as slow,
        http.ws_connect(served.ws("/connection/websocket")) as quick,
    ):
        log.gate = asyncio.Event()
        await slow.send_str(CONNECT + '\n{"id":2,"history":{"channel":"events","limit":1}}\n' + SUBSCRIBE)
        assert [each["id"] for each in await frames(slow, 1)] == [1]
        await quick.send_str(CONNECT + "\n" + SUBSCRIBE)
        await frames(quick, 2)
        await served.publish("llm.a")
        assert (await frames(quick, 1))[0]["push"]["pub"]["offset"] == 1
        log.gate.set()
        assert [each["id"] for each in await frames(slow, 2)] == [2, 2]


async def test_dashboard_pages_have_a_limit_of_their_own_whatever_their_transport(http):
    """`live_dashboard.max_connections`: one more page is refused, by WebSocket or SSE, and nobody else is."""
    config = StreamingConfig(live_dashboard=LiveDashboardConfig(max_connections=1))
    async with serving(config) as served:
        assert not served.gateway.watched
        async with http.ws_connect(served.ws("/connection/websocket?page=live")):
            assert served.gateway.watched
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(served.ws("/connection/websocket?page=live"))
            assert refused.value.status == 503
            async with http.ws_connect(served.ws("/connection/websocket")):
                assert served.open == 2
        await until(lambda: not served.gateway.watched)
        async with http.ws_connect(served.ws("/connection/websocket?page=live")):
            assert served.gateway.watched


async def test_a_client_that_follows_dashboards_looks_too(http):
    async with serving() as served, http.ws_connect(served.ws("/connection/websocket")) as client:
        assert not served.gateway.watched
        await client.send_str('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"dashboard_updates"}}')
        await until(lambda: served.gateway.watched)
