"""The transports over real sockets: opening, refusing, emulation, unidirectional, slow clients, history, the end."""

from __future__ import annotations

import asyncio
import re
import socket

import aiohttp
import msgspec
import pytest
from centrifuge.fossil import apply_delta

from hxp_enterprise_llm.config.streaming import (
    CentrifugeConfig,
    ChannelConfig,
    HighFrequencyConfig,
    OptimizationConfig,
    SseConfig,
    StreamingConfig,
    WebSocketConfig,
)
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import Gone, LogUnavailable
from hxp_enterprise_llm.event.streaming.centrifuge import history as history_module
from tests.unit.streaming.centrifuge.serving import serving
from tests.unit.streaming.gateways import until

CONNECT = '{"id":1,"connect":{}}'
SUBSCRIBE = '{"id":2,"subscribe":{"channel":"events"}}'


def decode(text):
    return [msgspec.json.decode(line) for line in text.strip().split("\n")]


async def frames(ws, count):
    """The next replies, whatever the frames they come in; pings left out."""
    replies = []
    async with asyncio.timeout(10):
        while len(replies) < count:
            replies += [each for each in decode(await ws.receive_str()) if each]
    return replies


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def lines(content, count):
    replies = []
    async with asyncio.timeout(10):
        while len(replies) < count:
            line = (await content.readline()).decode().removeprefix("data: ").strip()
            if line:
                replies.append(msgspec.json.decode(line))
    return replies


@pytest.mark.parametrize(("kind", "method"), [("http_stream", "POST"), ("sse", "POST"), ("sse", "GET")])
async def test_a_stream_takes_commands_by_emulation(http, kind, method):
    async with serving() as served:
        address = served.http(f"/connection/{kind}")
        if method == "GET":
            request = http.get(address, params={"cf_connect": CONNECT})
        else:
            request = http.post(address, data=CONNECT, headers={"Content-Type": "application/json"})
        async with request as answer:
            (connected,) = await lines(answer.content, 1)
            echo = {name: connected["connect"][name] for name in ("session", "node")}
            async with http.post(served.http("/emulation"), json={**echo, "data": SUBSCRIBE}) as sent:
                assert sent.status == 204
            await lines(answer.content, 1)
            await served.publish("llm.a")
            (push,) = await lines(answer.content, 1)
            assert push["push"]["pub"]["data"]["data"] == {"n": 1}
            async with http.post(served.http("/emulation"), json={**echo, "data": "{"}) as sent:
                assert sent.status == 204
            (last,) = await lines(answer.content, 1)
            assert last == {"push": {"disconnect": {"code": 3501, "reason": "bad request"}}}
            assert await answer.content.read() in (b"", b"\n")
        gone = {**echo, "data": SUBSCRIBE}
        await until(lambda: served.open == 0)
        async with http.post(served.http("/emulation"), json=gone) as sent:
            assert sent.status == 204
        async with http.post(served.http("/emulation"), json={**gone, "node": "other"}) as sent:
            assert sent.status == 404
        async with http.post(served.http("/emulation"), json={"session": 1}) as sent:
            assert sent.status == 400


async def test_unidirectional_clients_only_listen(http):
    wish = '{"subs":{"events":{}}}'
    async with (
        serving() as served,
        http.get(served.http("/connection/uni_sse"), params={"cf_connect": wish}) as sse,
        http.post(served.http("/connection/uni_sse"), data=wish, headers={"Content-Type": "application/json"}) as post,
        http.ws_connect(served.ws("/connection/uni_websocket")) as ws,
    ):
        await ws.send_str(wish)
        for stream in (sse, post):
            (first,) = await lines(stream.content, 1)
            assert first["connect"]["subs"]["events"]["recoverable"] is True
        await frames(ws, 1)
        await served.publish("llm.a", "llm.b")
        for pushes in (await lines(sse.content, 2), await lines(post.content, 2), await frames(ws, 2)):
            assert [each["pub"]["data"]["data"]["n"] for each in pushes] == [1, 2]
            assert {each["channel"] for each in pushes} == {"events"}
        async with http.ws_connect(served.ws("/connection/uni_websocket?cf_connect={}")) as other:
            assert "connect" in (await frames(other, 1))[0]
        await served.gateway.farewell(2.0)
        assert (await lines(sse.content, 1))[0] == {"disconnect": {"code": 3001, "reason": "shutdown"}}
        assert (await frames(ws, 1))[0]["disconnect"]["code"] == 3001
        assert (await ws.receive()).data == 3001


async def test_native_pings(http):
    config = StreamingConfig(centrifuge=CentrifugeConfig(ping_interval=1.0, pong_timeout=1.0, connect_timeout=10))
    async with (
        serving(config) as served,
        http.ws_connect(served.ws("/connection/websocket?cf_ws_frame_ping_pong=true"), autoping=False) as ws,
    ):
        await ws.send_str(CONNECT)
        assert "ping" not in (await frames(ws, 1))[0]["connect"]
        assert (await ws.receive(10)).type is aiohttp.WSMsgType.PING
        await ws.pong()
        assert (await ws.receive(10)).type is aiohttp.WSMsgType.PING
        closed = await ws.receive(10)
        assert (closed.type, closed.data, closed.extra) == (aiohttp.WSMsgType.CLOSE, 3012, "no pong")


async def test_what_is_not_for_us_is_refused(http):
    config = StreamingConfig(centrifuge=CentrifugeConfig(message_size_limit=1000))
    async with serving(config) as served:
        for path, status in (
            ("/connection/websocket?format=protobuf", 400),
            ("/connection/websocket", 426),
            ("/connection/sse", 400),
            ("/connection/uni_sse", 400),
        ):
            async with http.get(served.http(path)) as answer:
                assert answer.status == status, path
        binary = {"Content-Type": "application/octet-stream"}
        async with http.post(served.http("/connection/http_stream"), data=b"x", headers=binary) as answer:
            assert answer.status == 415
        async with http.post(served.http("/connection/http_stream"), json="x" * 2000) as answer:
            assert answer.status == 413
        assert served.open == 0
        for data, code in ((b"binary", 3501), ("x" * 2000, 1009)):
            async with http.ws_connect(served.ws("/connection/websocket")) as ws:
                await (ws.send_str if isinstance(data, str) else ws.send_bytes)(data)
                assert (await ws.receive(10)).data == code


async def test_places_are_shared_and_switches_hold(http):
    config = StreamingConfig(websocket=WebSocketConfig(max_connections=1), sse=SseConfig(enabled=False))
    async with serving(config) as served, http.ws_connect(served.ws("/connection/websocket")):
        async with http.get(served.http("/connection/websocket"), headers=_upgrade()) as answer:
            assert answer.status == 503
        async with http.post(served.http("/connection/http_stream"), json={}) as answer:
            assert answer.status == 404
    off = StreamingConfig(centrifuge=CentrifugeConfig(enabled=False))
    async with serving(off) as served, http.get(served.http("/connection/websocket"), headers=_upgrade()) as answer:
        assert answer.status == 404


def _upgrade():
    return {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }


async def raw_client(served):
    """A WebSocket with a small buffer that reads nothing unless it is told to."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", served.port))
    head = "".join(f"{name}: {value}\r\n" for name, value in _upgrade().items())
    await loop.sock_sendall(sock, f"GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
    assert (await loop.sock_recv(sock, 4096)).startswith(b"HTTP/1.1 101")
    return sock


def masked(text):
    data = text.encode()
    size = bytes((0x80 | len(data),)) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + data


async def test_a_slow_client_falls_behind_and_catches_up():
    """Publications wait in the log, not in memory, and all of them come in the end, as differences."""
    config = StreamingConfig(performance_optimization=OptimizationConfig(buffer_size=1024))
    async with serving(config) as served:
        loop = asyncio.get_running_loop()
        sock = await raw_client(served)
        subscribe = '{"id":2,"subscribe":{"channel":"events","delta":"fossil"}}'
        await loop.sock_sendall(sock, masked(CONNECT + "\n" + subscribe))
        channel = served.gateway.hub.channels["events"]
        await until(lambda: channel.live_count == 1)
        for number in range(120):
            await served.publish("llm.a", "llm.b", text=f"{number} " + "y" * 3000, other=str(number) * 300)
        await until(lambda: channel.live_count == 0)
        received = b""
        async with asyncio.timeout(10):
            while received.count(b'"pub":') < 240 or not received.endswith(b"}}}"):
                received += await loop.sock_recv(sock, 65536)
        assert served.open == 1
        sock.close()
        assert [event["data"]["n"] for event in undelta(received)] == list(range(1, 241))


def undelta(received):
    """The events of publications by differences."""
    base = b""
    for match in re.finditer(rb'\{"push":.*?\}\}\}(?=[\n\x81]|$)', received):
        pub = msgspec.json.decode(match[0])["push"]["pub"]
        base = apply_delta(base, pub["data"].encode()) if pub.get("delta") else pub["data"].encode()
        yield msgspec.json.decode(base)


async def test_a_channel_that_keeps_only_those_who_keep_up():
    channels = {"events": ChannelConfig(types=["*"], slow="disconnect")}
    config = StreamingConfig(performance_optimization=OptimizationConfig(buffer_size=1024), channels=channels)
    async with serving(config) as served:
        sock = await raw_client(served)
        await asyncio.get_running_loop().sock_sendall(sock, masked(CONNECT + "\n" + SUBSCRIBE))
        await until(lambda: served.gateway.hub.channels["events"].live_count == 1)
        while served.open:
            await served.publish("llm.a", "llm.b", text="y" * 30_000)
            await asyncio.sleep(0)
        assert served.sample("citadel_streaming_connections_closed_total", transport="websocket", reason="slow") == 1
        sock.close()


LLM = {"key": "type", "cmp": "eq", "val": "llm.a"}


@pytest.mark.parametrize(
    ("since", "extra", "given", "pushed"),
    [
        (7, {}, [8, 9, 10], []),
        (7, {"delta": "fossil"}, [8, 9, 10], []),
        (7, {"tf": LLM}, [9], []),
        (10, {}, [], []),
        (2, {}, [], [3, 4, 5, 6, 7, 8, 9, 10]),
        (2, {"tf": LLM}, [], [3, 5, 7, 9]),
    ],
)
async def test_recovery_out_of_the_ring_and_out_of_the_log(http, since, extra, given, pushed):
    """A short ring: what it does not have comes behind the reply; both ways are complete, filtered or not."""
    config = StreamingConfig(high_frequency_streams=HighFrequencyConfig(buffer_size=4))
    async with serving(config) as served, http.ws_connect(served.ws("/connection/websocket")) as ws:
        await served.publish(*["llm.a", "host.b"] * 5)
        await until(lambda: served.gateway.hub.position.offset == 10)
        wish = {"channel": "events", "recover": True, "offset": since, **extra}
        await ws.send_str(CONNECT + "\n" + msgspec.json.encode({"id": 2, "subscribe": wish}).decode())
        _, reply, *pushes = await frames(ws, 2 + len(pushed))
        result = reply["subscribe"]
        assert result["recovered"] is True
        assert result["offset"] == since
        assert [each["offset"] for each in result.get("publications", [])] == given
        assert [each["push"]["pub"]["offset"] for each in pushes] == pushed
        await served.publish("llm.a")
        (push,) = await frames(ws, 1)
        assert push["push"]["pub"]["offset"] == 11
        assert push["push"]["pub"].get("delta", False) is ("delta" in extra)
        await ws.send_str('{"id":3,"unsubscribe":{"channel":"events"}}')
        await frames(ws, 1)
        assert served.gateway.hub.derived_count == 0


async def test_what_clients_publish_is_an_event(http):
    config = StreamingConfig(centrifuge=CentrifugeConfig(publish_from_clients=True))
    async with serving(config) as served, http.ws_connect(served.ws("/connection/websocket")) as ws:
        await ws.send_str(CONNECT + '\n{"id":2,"subscribe":{"channel":"system_alerts"}}')
        await frames(ws, 2)
        await ws.send_str('{"id":3,"publish":{"channel":"system_alerts","data":{"a" : 1}}}')
        replies = await frames(ws, 2)
        assert {"id": 3, "publish": {}} in replies
        (info,) = [each["push"]["pub"].pop("info") for each in replies if "push" in each]
        assert info["user"] == ""
        assert info["client"]
        assert {"push": {"channel": "system_alerts", "pub": {"data": {"a": 1}, "offset": 1}}} in replies
        assert (await served.log.read(0)).events[0].type == "stream.publication"
        await ws.send_str('{"id":4,"history":{"channel":"system_alerts","limit":1}}')
        assert (await frames(ws, 1))[0]["history"]["publications"] == [{"data": {"a": 1}, "offset": 1, "info": info}]


async def test_too_many_filters(http, monkeypatch):
    monkeypatch.setattr("hxp_enterprise_llm.event.streaming.centrifuge.connection.MAX_DERIVED", 0)
    async with serving() as served, http.ws_connect(served.ws("/connection/websocket")) as ws:
        await ws.send_str(CONNECT + '\n{"id":2,"subscribe":{"channel":"events","tf":{"key":"a","cmp":"ex"}}}')
        assert (await frames(ws, 2))[1]["error"]["code"] == 106


async def test_the_last_place_for_a_filter_is_gone(http, monkeypatch):
    """The reply is out already: the client is asked to subscribe again."""
    monkeypatch.setattr("hxp_enterprise_llm.event.streaming.hub.MAX_DERIVED", 0)
    async with serving() as served, http.ws_connect(served.ws("/connection/websocket")) as ws:
        wish = '{"channel":"events","tf":{"key":"a","cmp":"ex"},"recover":true}'
        await ws.send_str(CONNECT + '\n{"id":2,"subscribe":' + wish + "}")
        assert (await frames(ws, 3))[2]["push"]["unsubscribe"]["code"] == 2500


class Trimmed(MemoryLog):
    """A log that says it has more than it has: what is read is gone meanwhile."""

    trimming = False

    async def read(self, after, limit=1000, *, types=None, epoch=None):
        if self.trimming:
            raise Gone(await self.bounds(), after)
        return await super().read(after, limit, types=types, epoch=epoch)


async def test_a_position_that_is_gone_meanwhile_asks_to_subscribe_again(http):
    log = Trimmed()
    await log.open()
    config = StreamingConfig(high_frequency_streams=HighFrequencyConfig(buffer_size=2))
    async with serving(config, log) as served, http.ws_connect(served.ws("/connection/websocket")) as ws:
        await served.publish(*["llm.a"] * 9)
        await until(lambda: served.gateway.hub.position.offset == 9)
        log.trimming = True
        wish = '{"id":2,"subscribe":{"channel":"events","recover":true,"offset":1}}'
        await ws.send_str(CONNECT + "\n" + wish)
        replies = await frames(ws, 3)
        assert replies[1]["subscribe"]["recovered"] is True
        assert replies[2]["push"]["unsubscribe"]["code"] == 2500
        assert (await ask_history(ws, limit=3))["code"] == 112
        log.trimming = False
        await ws.send_str(wish.replace('"id":2', '"id":6'))
        assert (await frames(ws, 1))[0]["subscribe"]["recovered"] is True


async def test_a_client_that_reads_no_answers_is_cut_off():
    config = StreamingConfig(centrifuge=CentrifugeConfig(queue_size_limit=20_000))
    async with serving(config) as served:
        loop = asyncio.get_running_loop()
        sock = await raw_client(served)
        await loop.sock_sendall(sock, masked(CONNECT + "\n" + SUBSCRIBE))
        await served.publish(*["llm.a"] * 100, text="y" * 1000)
        ask = masked('{"id":9,"history":{"channel":"events","limit":100}}')

        async def go_on():
            while served.open:
                await loop.sock_sendall(sock, ask)
                await asyncio.sleep(0)

        async with asyncio.timeout(10):
            try:
                await go_on()
            except ConnectionError:
                await until(lambda: served.open == 0)
        assert served.sample("citadel_streaming_connections_closed_total", transport="websocket", reason="slow") == 1
        sock.close()


async def ask_history(ws, **members):
    request = {"id": 5, "history": {"channel": "events", **members}}
    await ws.send_str(msgspec.json.encode(request).decode())
    (reply,) = await frames(ws, 1)
    if "error" in reply:
        return reply["error"]
    return [each["offset"] for each in reply["history"].get("publications", [])]


async def test_history_both_ways(http, monkeypatch):
    monkeypatch.setattr(history_module, "FIRST_WINDOW", 2)
    async with serving() as served, http.ws_connect(served.ws("/connection/websocket")) as ws:
        await served.publish(*["llm.a"] * 9)
        await until(lambda: served.gateway.hub.position.offset == 9)
        await ws.send_str(CONNECT)
        await frames(ws, 1)
        epoch = served.gateway.hub.position.epoch
        assert await ask_history(ws, limit=3) == [1, 2, 3]
        assert await ask_history(ws, limit=3, since={"offset": 5, "epoch": epoch}) == [6, 7, 8]
        assert await ask_history(ws, limit=-1, since={"offset": 99, "epoch": epoch}) == []
        assert await ask_history(ws, limit=4, reverse=True) == [9, 8, 7, 6]
        assert await ask_history(ws, limit=-1, reverse=True, since={"offset": 4, "epoch": epoch}) == [3, 2, 1]
        await served.log.trim(5)
        first = (await served.log.bounds()).first
        assert await ask_history(ws, limit=1) == [first]


class Failing(MemoryLog):
    """A log whose bounds cannot be known when it is told so."""

    failing = False

    async def bounds(self):
        if self.failing:
            raise LogUnavailable("away", maybe_stored=False)
        return await super().bounds()


async def test_a_log_that_is_away_is_a_temporary_error(http):
    log = Failing()
    await log.open()
    async with serving(None, log) as served, http.ws_connect(served.ws("/connection/websocket")) as ws:
        await ws.send_str(CONNECT)
        await frames(ws, 1)
        log.failing = True
        assert (await ask_history(ws, limit=3)) == {"code": 100, "message": "internal server error", "temporary": True}
        log.failing = False
        assert await ask_history(ws, limit=3) == []


async def test_a_changed_channel_asks_to_subscribe_again(http):
    async with serving() as served, http.ws_connect(served.ws("/connection/websocket")) as ws:
        await ws.send_str(CONNECT + "\n" + SUBSCRIBE)
        await frames(ws, 2)
        channels = {"events": ChannelConfig(types=["llm.*"])}
        served.gateway.prepare(msgspec.structs.replace(served.gateway.config, channels=channels))()
        (push,) = await frames(ws, 1)
        assert push["push"]["unsubscribe"]["code"] == 2500
