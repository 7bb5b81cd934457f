"""`recovery_mode: cache`: who comes back gets the newest publication alone, wherever it is."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse
from centrifuge.fossil import apply_delta

from hxp_enterprise_llm.config.streaming import ChannelConfig, HighFrequencyConfig, StreamingConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.streaming.centrifuge.codes import INTERNAL
from hxp_enterprise_llm.event.streaming.centrifuge.model import AskNewest, Standing
from hxp_enterprise_llm.event.streaming.encode import Message
from hxp_enterprise_llm.event.streaming.publication import Publication, encode_publication
from tests.unit.streaming.centrifuge.serving import serving
from tests.unit.streaming.centrifuge.sessions import Table
from tests.unit.streaming.centrifuge.test_endpoint import CONNECT, frames
from tests.unit.streaming.gateways import Served, until

CACHED = StreamingConfig(channels={"last": ChannelConfig(types=["llm.*"], recovery_mode="cache")})


def message(offset: int, epoch: str = "e") -> Message:
    return Message(epoch, Stored(Offset(offset), "t", b'{"type":"t"}'))


def cached_table(kept: Message | None = None) -> Table:
    table = Table()
    table.port.standings["a"] = Standing("e", 10, 5, cached=True)
    table.port.kept = kept
    return table


@pytest.mark.parametrize(
    ("since", "given"),
    [
        ({}, [8]),
        ({"offset": 7, "epoch": "e"}, [8]),
        ({"offset": 8, "epoch": "e"}, []),
        ({"offset": 10, "epoch": "e"}, []),
        ({"offset": 11, "epoch": "e"}, [8]),
        ({"offset": 8, "epoch": "another"}, [8]),
        ({"offset": 8}, [8]),
    ],
)
def test_the_newest_at_hand_is_recovery_unless_the_client_has_it(since, given):
    table = cached_table(message(8))
    result = table.ask("subscribe", channel="a", recover=True, **since)
    assert result["recovered"] is result["was_recovering"] is True
    assert (result["epoch"], result["offset"]) == ("e", 10)
    assert [each["offset"] for each in result.get("publications", [])] == given
    assert [(each.cursor, each.returning) for each in table.port.attached] == [(10, True)]


def test_who_does_not_come_back_gets_nothing_of_the_past():
    result = cached_table(message(8)).ask("subscribe", channel="a")
    assert "publications" not in result
    assert "recovered" not in result


@pytest.mark.parametrize("flag", [0, 2])
def test_without_a_publication_nothing_is_recovered(flag):
    table = cached_table()
    table.tell({"id": 2, "subscribe": {"channel": "a", "recover": True, "flag": flag}})
    assert table.port.asked == [AskNewest("a", None)]
    table.session.answer(None)
    assert table.port.lost == 1
    if flag:
        assert table.port.sent[-1]["error"]["code"] == 112
    else:
        assert "recovered" not in table.port.sent[-1]["subscribe"]


@pytest.mark.parametrize(
    ("stored", "arrived", "given"),
    [(message(3), None, [3]), (message(3), message(9), [9]), (None, message(9), [9]), (message(3, "old"), None, [])],
)
def test_what_arrives_while_the_log_is_searched_wins(stored, arrived, given):
    table = cached_table()
    table.tell({"id": 2, "subscribe": {"channel": "a", "recover": True}})
    table.port.kept = arrived
    table.session.answer(stored)
    result = table.port.sent[-1]["subscribe"]
    assert [each["offset"] for each in result.get("publications", [])] == given
    assert result.get("recovered", False) is bool(given)


def test_a_log_that_cannot_be_searched_is_a_temporary_error():
    table = cached_table()
    table.tell({"id": 2, "subscribe": {"channel": "a", "recover": True}})
    table.session.fail(INTERNAL)
    assert table.port.sent[-1]["error"]["temporary"] is True
    assert table.port.attached == []


# Over sockets


async def subscribe(ws: ClientWebSocketResponse, **members: object) -> dict[str, object]:
    """The result of a subscription to `last`, of a client that comes back."""
    request = {"id": 2, "subscribe": {"channel": "last", "recover": True, **members}}
    await ws.send_str(CONNECT + "\n" + msgspec.json.encode(request).decode())
    return (await frames(ws, 2))[1]["subscribe"]


def offsets(result: dict[str, object]) -> list[int]:
    return [each["offset"] for each in result.get("publications", [])]


async def settled(served: Served, offset: int) -> None:
    await until(lambda: served.gateway.hub.position.offset == offset)


async def test_out_of_the_ring_then_live():
    async with (
        serving(CACHED) as served,
        ClientSession() as http,
        http.ws_connect(served.ws("/connection/websocket")) as ws,
    ):
        await served.publish("llm.a", "llm.b", "host.c")
        await settled(served, 3)
        result = await subscribe(ws, offset=1, epoch="of another life")
        assert (result["recovered"], result["offset"], offsets(result)) == (True, 3, [2])
        await served.publish("llm.d")
        assert (await frames(ws, 1))[0]["push"]["pub"]["offset"] == 4
        assert served.sample("citadel_streaming_recoveries_total", recovered="yes") == 1
        assert served.sample("citadel_streaming_recovered_messages_total") == 1


class Counting(MemoryLog):
    """Counts how often it is read."""

    reads = 0

    async def read(self, *arguments, **members):
        self.reads += 1
        return await super().read(*arguments, **members)


async def test_out_of_the_log_once_for_all():
    """The ring is warm with the end of the log only; a hundred clients that come back cost one look."""
    log = Counting()
    await log.open()
    config = StreamingConfig(channels=CACHED.channels, high_frequency_streams=HighFrequencyConfig(buffer_size=4))
    async with serving(config, log) as served:
        await served.publish("llm.a", "llm.b", *["host.c"] * 20)
    async with serving(config, log) as served, ClientSession() as http:
        before = log.reads
        sockets = [await http.ws_connect(served.ws("/connection/websocket")) for _ in range(100)]
        results = await asyncio.gather(*map(subscribe, sockets))
        assert [offsets(result) for result in results] == [[2]] * 100
        assert log.reads - before <= 3
        for ws in sockets:
            await ws.close()


async def test_with_a_filter_the_newest_that_passes():
    async with serving(CACHED) as served, ClientSession() as http:
        await served.publish("llm.a", "llm.b", "llm.b")
        await settled(served, 3)
        for kind, found in (("llm.a", [1]), ("llm.b", [3]), ("llm.z", [])):
            async with http.ws_connect(served.ws("/connection/websocket")) as ws:
                result = await subscribe(ws, tf={"key": "type", "cmp": "eq", "val": kind})
                assert offsets(result) == found
                assert result.get("recovered", False) is bool(found)


async def append(served: Served, data: object, **members: object) -> None:
    publication = Publication(channel="last", data=data, **members)
    answer = await served.log.append(
        [encode_publication(publication, source="/t", id=str(data), time="2026-01-01T00:00:00Z")]
    )
    await settled(served, answer[0].offset)


@pytest.mark.parametrize("hidden", [False, True])
async def test_differences_lean_on_what_was_given(hidden):
    """A publication that the history leaves out is not the newest, and no difference leans on it."""
    async with serving(CACHED) as served, ClientSession() as http:
        await append(served, "x" * 100 + ",1")
        if hidden:
            await append(served, "y" * 100 + ",2", skip_history=True)
        async with http.ws_connect(served.ws("/connection/websocket")) as ws:
            result = await subscribe(ws, delta="fossil")
            (given,) = result["publications"]
            assert msgspec.json.decode(given["data"]) == "x" * 100 + ",1"
            await append(served, "x" * 100 + ",3")
            pub = (await frames(ws, 1))[0]["push"]["pub"]
            assert pub.get("delta", False) is not hidden
            text = (
                apply_delta(given["data"].encode(), pub["data"].encode()).decode() if pub.get("delta") else pub["data"]
            )
            assert msgspec.json.decode(text) == "x" * 100 + ",3"


async def test_a_reload_changes_the_mode():
    async with serving(CACHED) as served, ClientSession() as http:
        await served.publish("llm.a", "llm.b", "llm.c")
        await settled(served, 3)
        plain = StreamingConfig(channels={"last": ChannelConfig(types=["llm.*"])})
        served.gateway.prepare(plain)()
        async with http.ws_connect(served.ws("/connection/websocket")) as ws:
            assert offsets(await subscribe(ws)) == [1, 2, 3]
