"""The hub against a log that fails, is trimmed, or is made anew; and the change of its channels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from hxp_enterprise_llm.config.streaming import (
    ChannelConfig,
    HighFrequencyConfig,
    OptimizationConfig,
    StreamingConfig,
    WebSocketConfig,
)
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import Batch, LogUnavailable
from hxp_enterprise_llm.event.model import Event, Offset, encode
from hxp_enterprise_llm.event.streaming import hub as hub_module
from hxp_enterprise_llm.event.streaming.tuning import options, ranks
from tests.unit.streaming.gateways import numbers, read_sse, serving, until


class FailingLog(MemoryLog):
    """A log whose reads fail while `down` is set."""

    down = False

    def _check(self) -> None:
        if self.down:
            raise LogUnavailable("the cable is out", maybe_stored=False)

    async def bounds(self) -> Any:
        self._check()
        return await super().bounds()

    async def read(self, *args: Any, **options: Any) -> Batch:
        self._check()
        return await super().read(*args, **options)

    def follow(self, *args: Any, **options: Any) -> AsyncIterator[Batch]:
        return self._follow(super().follow(*args, **options))

    async def _follow(self, batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
        async for batch in batches:
            self._check()
            yield batch


async def failing_log() -> FailingLog:
    log = FailingLog()
    await log.open()
    return log


async def test_a_follower_that_fails_is_started_again_and_loses_nothing() -> None:
    log = await failing_log()
    async with serving(log=log) as served, aiohttp.ClientSession() as session:
        async with session.get(served.http("/sse/events")) as answer:
            await served.publish("host.cpu")
            await read_sse(answer.content, 1)
            log.down = True
            await served.publish("host.cpu", "host.cpu")
            await until(lambda: served.gateway.hub.problem != "")
            _, _, body = await served.get("/streams/status")
            assert (body["status"], body["reason"]) == ("degraded", "the log is not available: the cable is out")
            log.down = False
            assert numbers(await read_sse(answer.content, 2)) == [2, 3]
        assert served.gateway.hub.problem == ""


async def test_a_log_that_is_down_at_the_start_is_waited_for() -> None:
    log = await failing_log()
    log.down = True
    async with serving(log=log, start_within=0.01) as served:
        status, headers, body = await served.get("/sse/events")
        assert (status, headers["Retry-After"], body["error"]["code"]) == (503, "1", "log_unavailable")
        assert "the cable is out" in body["error"]["message"]
        log.down = False
        await until(lambda: served.gateway.hub.ready)
        async with aiohttp.ClientSession() as session, session.get(served.http("/sse/events")) as answer:
            await served.publish("host.cpu")
            assert numbers(await read_sse(answer.content, 1)) == [1]


async def test_catching_up_survives_a_log_that_fails() -> None:
    log = await failing_log()
    async with serving(log=log) as served, aiohttp.ClientSession() as session:
        served.gateway.hub.options.ring_events = 4096
        for channel in served.gateway.hub.channels.values():
            channel.ring._size = 2
        offsets = await served.publish(*["host.cpu"] * 6)
        await until(lambda: served.gateway.hub.position.offset == offsets[-1])
        log.down = True
        async with session.get(served.http("/sse/events?after=0")) as answer:
            status, _, body = await served.get("/sse/events?after=earliest")
            assert (status, body["error"]["code"]) == (503, "log_unavailable")
            log.down = False
            assert numbers(await read_sse(answer.content, 6)) == [1, 2, 3, 4, 5, 6]
            new = await served.publish("host.cpu")
            await until(lambda: served.gateway.hub.position.offset == new[-1])
            assert numbers(await read_sse(answer.content, 1)) == [7]


async def test_a_restart_warms_the_rings() -> None:
    log = MemoryLog()
    await log.open()
    async with serving(log=log) as served:
        await served.publish(*["host.cpu"] * 5)
    config = StreamingConfig(high_frequency_streams=HighFrequencyConfig(buffer_size=3))
    async with serving(config, log) as served:
        ring = served.gateway.hub.channels["events"].ring
        assert ([message.offset for message in ring], ring.floor) == ([3, 4, 5], 2)
        async with aiohttp.ClientSession() as session, session.get(served.http("/sse/events?last=9")) as answer:
            assert numbers(await read_sse(answer.content, 3)) == [3, 4, 5]


async def test_a_hub_that_the_trimming_overtakes_resets_its_clients() -> None:
    log = await failing_log()
    async with serving(log=log) as served, aiohttp.ClientSession() as session:
        async with session.get(served.http("/sse/events")) as answer:
            log.down = True
            await served.publish("host.cpu")
            (last,) = await served.publish("host.cpu")
            await until(lambda: served.gateway.hub.problem != "")
            await log.trim(Offset(last - 1))
            log.down = False
            reset, event = await read_sse(answer.content, 2)
        assert (reset["event"], reset["id"].split(".")[1]) == ("reset", str(last - 1))
        assert numbers([event]) == [2]


async def test_reading_stops_while_too_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_PENDING_BYTES", 1000)
    optimization = OptimizationConfig(flush_interval=1, batch_size=1)
    async with serving(StreamingConfig(performance_optimization=optimization)) as served:
        served.gateway.hub.options.write_bytes = 100
        most = 0
        hub = served.gateway.hub
        async with aiohttp.ClientSession() as session, session.get(served.http("/sse/events")) as answer:
            for _ in range(20):
                await served.publish(*["host.cpu"] * 20)
            reading = asyncio.ensure_future(read_sse(answer.content, 400))
            while not reading.done():
                most = max(most, hub._pending_bytes())
                await asyncio.sleep(0)
            assert numbers(reading.result()) == list(range(1, 401))
        assert 1000 < most < 400 * 150


async def test_too_many_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_DERIVED", 1)
    async with (
        serving() as served,
        aiohttp.ClientSession() as session,
        session.get(served.http("/sse/events?filter=data.n==1")) as answer,
        session.get(served.http("/sse/events?filter=1==data.n")) as same,  # another spelling of the same
    ):
        assert (answer.status, same.status) == (200, 200)
        status, _, body = await served.get("/sse/events?filter=data.n==2")
        assert (status, body["error"]["code"], body["error"]["limit"]) == (503, "too_many_filters", 1)
        assert served.open == 2


async def test_a_reload_sends_away_only_the_clients_of_changed_channels() -> None:
    async with serving() as served:
        async with (
            connect(served.ws("/ws/events")) as kept,
            connect(served.ws("/ws/system_status?type=host.*")) as changed,
        ):
            config = StreamingConfig(
                channels={
                    "system_status": ChannelConfig(types=["host.cpu"]),
                    "mine": ChannelConfig(types=["my.*"], description="Ours"),
                },
                websocket=WebSocketConfig(max_connections=7, heartbeat_interval=3),
                performance_optimization=OptimizationConfig(flush_interval=5, batch_size=99),
            )
            served.gateway.prepare(config)()
            with pytest.raises(ConnectionClosed) as raised:
                await changed.recv()
            assert raised.value.rcvd is not None
            assert (raised.value.rcvd.code, raised.value.rcvd.reason) == (1012, "the channel was changed")
            await served.publish("host.cpu")
            assert '"n":1' in str(await kept.recv())
        assert served.gateway.places["websocket"].limit == 7
        assert (served.gateway.hub.options.flush_seconds, served.gateway.hub.options.flush_events) == (0.005, 99)
        _, _, body = await served.get("/streams")
        assert body["channels"]["mine"] == {"types": ["my.*"], "description": "Ours"}
        async with connect(served.ws("/ws/mine")) as client:
            await served.publish("my.event")
            assert '"my.event"' in str(await client.recv())


async def test_a_faulty_reload_changes_nothing() -> None:
    async with serving() as served:
        faulty = StreamingConfig(channels={"mine": ChannelConfig(types=["a..b"])})
        with pytest.raises(ValueError, match=r"'a\.\.b' is no type pattern"):
            served.gateway.prepare(faulty)
        assert "mine" not in served.gateway.hub.channels


async def test_the_cache_of_types_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "CACHED_TYPES", 3)
    async with serving() as served:
        offsets = await served.publish(*[f"a.t{number}" for number in range(10)])
        await until(lambda: served.gateway.hub.position.offset == offsets[-1])
        assert len(served.gateway.hub._routes) <= 3


async def test_an_old_or_a_timeless_event_says_nothing_about_latency() -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        async with session.get(served.http("/sse/events")) as answer:
            await served.log.append([encode(Event(id="x", source="/", type="a", time="2020-01-01T00:00:00Z"))])
            await read_sse(answer.content, 1)
            await served.log.append([encode(Event(id="y", source="/", type="a"))])
            await read_sse(answer.content, 1)
        assert served.sample("data_streaming_latency_seconds_count") == 0


def test_options_follow_the_configuration() -> None:
    made = options(StreamingConfig())
    assert (made.ring_events, made.flush_seconds, made.flush_events) == (4096, 0.1, 10)
    off = options(StreamingConfig(performance_optimization=OptimizationConfig(enabled=False)))
    assert off.flush_seconds == 0.0


def test_high_frequency_channels_come_first() -> None:
    assert ranks(StreamingConfig())["system_metrics"] == 0
    low = StreamingConfig(high_frequency_streams=HighFrequencyConfig(priority="low"))
    assert ranks(low)["system_metrics"] == 2
    assert ranks(StreamingConfig(performance_optimization=OptimizationConfig(optimization_strategies=[]))) == {}
