"""How clients are sent away: spread, in random order, each once, each with its code."""

from __future__ import annotations

import asyncio
import random
import re

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from hxp_enterprise_llm.config.streaming import ChannelConfig, StreamingConfig, StreamingServiceConfig, WebSocketConfig
from hxp_enterprise_llm.event.streaming import gateway as gateways
from hxp_enterprise_llm.event.streaming import leaving, link
from hxp_enterprise_llm.event.streaming.leaving import STEP_SECONDS, drain_time, slices
from tests.unit.streaming.gateways import serving, until
from tests.unit.streaming.test_websocket import handshake


@given(st.integers(0, 3000), st.sampled_from([0.0, 0.01, 1.0, 5.0]))
def test_everybody_once_and_in_time(count: int, seconds: float) -> None:
    parts = [list(part) for part in slices(list(range(count)), seconds, random.Random(1))]
    assert sorted(item for part in parts for item in part) == list(range(count))
    assert (len(parts) - 1) * STEP_SECONDS <= max(seconds, 0)
    if len(parts) > 1:
        assert len(parts[0]) >= 10


def test_the_order_is_random_and_many_take_the_whole_time() -> None:
    parts = list(slices(list(range(10_000)), 5.0, random.Random(1)))
    assert len(parts) == 100
    assert parts[0] != list(range(100))


def test_a_few_go_at_once() -> None:
    assert len(list(slices(list(range(10)), 5.0, random.Random(1)))) == 1


@pytest.mark.parametrize(("wanted", "within", "seconds"), [(5, 15, 5), (30, 15, 13), (5, 1, 0), (0, 15, 0)])
def test_the_drain_ends_in_time(wanted: float, within: float, seconds: float) -> None:
    assert drain_time(wanted, within) == seconds


async def test_who_stays_still_gets_events_and_who_comes_is_told_to_come_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Thirty clients in slices of one: the service delivers until the last has gone."""
    monkeypatch.setattr(leaving, "LEAST_PER_SECOND", 0)
    monkeypatch.setattr(gateways, "STEP_SECONDS", 0.01)
    config = StreamingConfig(service=StreamingServiceConfig(drain_seconds=2.0))
    async with serving(config) as served:
        clients = [await connect(served.ws("/ws/events")) for _ in range(30)]
        farewell = asyncio.create_task(served.gateway.farewell(5.0))
        while served.open == 30:
            await asyncio.sleep(0)
        assert served.open > 0
        status, headers, body = await served.get("/sse/events")
        assert (status, body["error"]["code"]) == (503, "stopping")
        assert headers["Retry-After"] == "5"
        (offset,) = await served.publish("host.cpu")
        await farewell
        got = [await to_the_end(client) for client in clients]
        assert {code for _, code in got} == {1012}
        with_event = [offsets for offsets, _ in got if offsets]
        assert with_event
        assert all(offsets == [offset] for offsets in with_event)
        assert served.open == 0
        assert [code for _, code in got] == [1012] * 30


async def test_who_ignores_the_goodbye_is_cut_off_soon_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drain time is for many: a few that stay do not get all of it."""
    monkeypatch.setattr(gateways, "GOODBYE_SECONDS", 0.1)
    monkeypatch.setattr(link, "CLOSE_SECONDS", 60.0)
    config = StreamingConfig(service=StreamingServiceConfig(drain_seconds=60.0))
    async with serving(config) as served:
        _, _, writer = await handshake(served)
        async with asyncio.timeout(30):  # a link by itself waits longer
            await served.gateway.farewell(90.0)
            await until(lambda: served.open == 0)
        writer.close()


async def to_the_end(client: ClientConnection) -> tuple[list[int], int]:
    """The offsets that a client still got, and its close code."""
    offsets = []
    try:
        while True:
            offsets.append(msgspec.json.decode(await client.recv())["offset"])
    except ConnectionClosed as error:
        return offsets, error.rcvd.code if error.rcvd is not None else 0


async def test_browsers_get_different_pauses() -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        served.gateway.hub.options.slice = 3  # the loop gets its turn in between
        streams = [await session.get(served.http("/sse/events")) for _ in range(8)]
        await served.gateway.farewell(5.0)
        ends = [(await stream.read()).decode() for stream in streams]
        pauses = [int(re.findall(r"retry: (\d+)", end)[-1]) for end in ends]
        assert all(5000 <= pause <= 10_000 for pause in pauses)
        assert len(set(pauses)) > 4
        assert all(": the server restarts" in end for end in ends)


async def test_a_changed_channel_sends_its_clients_away_with_the_same_code() -> None:
    async with serving() as served, connect(served.ws("/ws/system_alerts")) as client:
        served.gateway.prepare(StreamingConfig(channels={"system_alerts": ChannelConfig(types=["x"])}))()
        assert await to_the_end(client) == ([], 1012)


async def test_a_reload_changes_what_slow_clients_get() -> None:
    async with serving() as served:
        channel = served.gateway.hub.channels["system_metrics"]
        before = channel.slow
        changed = {"system_metrics": ChannelConfig(types=["host.*"], slow="conflate")}
        served.gateway.prepare(StreamingConfig(channels=changed, websocket=WebSocketConfig()))()
        assert served.gateway.hub.channels["system_metrics"] is channel
        assert (before, channel.slow) == ("catch_up", "conflate")
