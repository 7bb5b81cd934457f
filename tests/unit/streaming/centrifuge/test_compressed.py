"""Centrifuge clients that take compression: what is equal for all is compressed once, and everything comes as it is."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from hxp_enterprise_llm.config.streaming import (
    CentrifugeConfig,
    HighFrequencyConfig,
    OptimizationConfig,
    StreamingConfig,
    WebSocketConfig,
)
from hxp_enterprise_llm.event.streaming.centrifuge.wire import FRAMES, SINGLE_FRAMES, DeflatedFrames
from hxp_enterprise_llm.event.streaming.compress import SMALLEST, WebSocketDeflate
from hxp_enterprise_llm.event.streaming.encode import Packed
from tests.unit.streaming.centrifuge.serving import serving
from tests.unit.streaming.gateways import until
from tests.unit.streaming.test_compress import Client

CONNECT = '{"id":1,"connect":{}}'
SUBSCRIBE = '{"id":2,"subscribe":{"channel":"%s","flag":1}}'
TEXT = "The request took longer than the limit of its tenant allows. " * 4


def deflate(**parameters):
    return [ClientPerMessageDeflateFactory(**parameters)]


def agreed(client: ClientConnection) -> str | None:
    assert client.response is not None
    return client.response.headers.get("Sec-WebSocket-Extensions")


async def replies(client: ClientConnection, count: int) -> list[dict]:
    found: list[dict] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += map(msgspec.json.decode, (await client.recv()).split("\n"))
    return [each for each in found if each]


async def subscribed(client: ClientConnection, channel: str = "events") -> None:
    await client.send(CONNECT + "\n" + SUBSCRIBE % channel)
    await replies(client, 2)


@pytest.mark.parametrize("plain", [FRAMES, SINGLE_FRAMES], ids=["lines", "single"])
@pytest.mark.parametrize("format", [WebSocketDeflate(), WebSocketDeflate(takeover=False), WebSocketDeflate(True, 9)])
def test_frames_come_back_in_any_order(plain, format):
    client, framing = Client(format), DeflatedFrames(plain, format)
    for count in (1, 20, 3):
        parts = [b'{"push":{"n":%d,"text":"%b"}}' % (n, TEXT.encode()) for n in range(count)]
        data = framing.join(parts)
        assert isinstance(data, Packed)
        assert data.saved > 0
        assert client.texts(data) == list(plain.texts(parts))
        assert client.texts(framing.join([b"{}"])) == [b"{}"]
    small = [b'{"id":1}'] * 3
    assert sum(map(len, small)) < SMALLEST
    assert framing.join(small) == plain.join(small)


async def test_every_kind_of_client_gets_the_same():
    async with (
        serving() as served,
        connect(served.ws("/connection/websocket")) as usual,
        connect(served.ws("/connection/websocket"), compression=None) as plain,
        connect(served.ws("/connection/websocket"), extensions=deflate(server_no_context_takeover=True)) as forgetful,
        connect(served.ws("/connection/websocket"), extensions=deflate(server_max_window_bits=9)) as narrow,
    ):
        clients = (usual, plain, forgetful, narrow)
        assert [agreed(each) is not None for each in clients] == [True, False, True, True]
        assert "server_max_window_bits=9" in str(agreed(narrow))
        for client in clients:
            await subscribed(client)
        for round in range(3):
            await served.publish(*["host.cpu"] * 20, text=TEXT)
            wanted = list(range(20 * round + 1, 20 * round + 21))
            for client in clients:
                pushes = await replies(client, 20)
                assert [each["push"]["pub"]["data"]["data"]["n"] for each in pushes] == wanted
        assert served.sample("citadel_streaming_compression_saved_bytes_total") > 100 * len(TEXT)


async def test_equal_clients_share_what_is_compressed(monkeypatch):
    """Fifty clients, one compression for each flush."""
    calls = []
    pack = WebSocketDeflate.pack
    monkeypatch.setattr(WebSocketDeflate, "pack", lambda self, texts: calls.append(len(texts)) or pack(self, texts))
    async with serving() as served:
        clients = [await connect(served.ws("/connection/websocket")).__aenter__() for _ in range(50)]
        for client in clients:
            await subscribed(client)
        channel = served.gateway.hub.channels["events"]
        await until(lambda: channel.live_count == 50)
        calls.clear()
        await served.publish(*["host.cpu"] * 5, text=TEXT)
        for client in clients:
            assert len(await replies(client, 5)) == 5
        assert len(calls) == 1
        await asyncio.gather(*[client.close() for client in clients])


async def test_unidirectional_clients_too():
    address = '/connection/uni_websocket?cf_connect={"subs":{"events":{}}}'
    async with serving() as served, connect(served.ws(address)) as client:
        await replies(client, 1)
        await served.publish(*["host.cpu"] * 20, text=TEXT)
        assert [each["pub"]["data"]["data"]["n"] for each in await replies(client, 20)] == list(range(1, 21))
        assert served.sample("citadel_streaming_compression_saved_bytes_total") > 10 * len(TEXT)


async def test_answers_that_are_long_are_compressed_too():
    async with serving() as served, connect(served.ws("/connection/websocket")) as client:
        await served.publish(*["host.cpu"] * 50, text=TEXT)
        await until(lambda: served.gateway.hub.position.offset == 50)
        await client.send(CONNECT + '\n{"id":2,"history":{"channel":"events","limit":50}}')
        _, reply = await replies(client, 2)
        assert len(reply["history"]["publications"]) == 50


@pytest.mark.parametrize(
    "config",
    [
        StreamingConfig(websocket=WebSocketConfig(compression_enabled=False)),
        StreamingConfig(performance_optimization=OptimizationConfig(compression_enabled=False)),
    ],
    ids=["websocket", "optimization"],
)
async def test_the_switches_hold(config):
    async with serving(config) as served, connect(served.ws("/connection/websocket")) as client:
        assert agreed(client) is None


async def test_a_channel_that_is_not_to_be_compressed_stays_plain():
    """The connection has agreed to compression, its other channels use it."""
    config = StreamingConfig(high_frequency_streams=HighFrequencyConfig(compression_enabled=False))
    async with serving(config) as served, connect(served.ws("/connection/websocket")) as client:
        assert agreed(client) is not None
        for channel, saves in (("system_metrics", False), ("events", True)):
            await client.send((CONNECT + "\n" if not saves else "") + SUBSCRIBE % channel)
            await replies(client, 1 if saves else 2)
            await served.publish(*["host.cpu"] * 10, text=TEXT)
            await replies(client, 20 if saves else 10)
            assert (served.sample("citadel_streaming_compression_saved_bytes_total") > 0) is saves


async def test_clients_speak_compressed_and_are_understood():
    async with serving() as served, connect(served.ws("/connection/websocket")) as client:
        await client.send([CONNECT[:9], CONNECT[9:]])
        assert (await replies(client, 1))[0]["id"] == 1
        for number in range(2, 5):
            await client.send(b'{"id":%d,"presence":{"channel":"events"}}'.decode() % number)
            assert (await replies(client, 1))[0] == {"id": number, "presence": {"presence": {}}}


async def test_a_deflate_bomb_is_closed_with_1009():
    config = StreamingConfig(centrifuge=CentrifugeConfig(message_size_limit=10_000))
    async with serving(config) as served:
        async with connect(served.ws("/connection/websocket")) as client:
            await client.send(" " * 5_000_000)
            with pytest.raises(ConnectionClosed) as raised:
                await client.recv()
            assert raised.value.rcvd is not None
            assert raised.value.rcvd.code == 1009
        await until(lambda: served.open == 0)
