"""Clients that do not read, on real sockets: what they cost the others, and what each policy does with them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine

import aiohttp
import msgspec
import pytest
import uvloop

from hxp_enterprise_llm.config.streaming import ChannelConfig, Slow, SseConfig, StreamingConfig, WebSocketConfig
from hxp_enterprise_llm.event.model import Event, encode
from hxp_enterprise_llm.event.streaming import link as links
from tests.unit.streaming.gateways import Served, serving, until
from tests.unit.streaming.readers import p99, readers

PAYLOAD = "".join(random.Random(3).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=2000))
PATH = "/ws/fast"


def config(slow: Slow) -> StreamingConfig:
    return StreamingConfig(
        channels={"fast": ChannelConfig(types=["tick.*"], slow=slow)},
        websocket=WebSocketConfig(max_connections=1000),
        sse=SseConfig(max_connections=1000),
    )


async def publish(served: Served, count: int, *, keys: int = 1, first: int = 0) -> None:
    """So many events, one at a time, each after the one before it has been read by the hub."""
    for number in range(first, first + count):
        data = {"n": number, "sent": time.monotonic(), "fill": PAYLOAD}
        event = Event(id=f"{number}-{time.monotonic_ns()}", source="/slow", type=f"tick.{number % keys}", data=data)
        (answer,) = await served.log.append([encode(event)])
        await until(lambda offset=answer.offset: served.gateway.hub.position.offset >= offset)  # type: ignore[misc]


def behind(served: Served) -> float:
    return served.sample("citadel_streaming_connections_behind")


def held_back(served: Served) -> int:
    """Bytes that the gateway holds for clients that do not take them."""
    transports = [link._transport for link in served.gateway.places["websocket"]]
    return sum(transport.get_write_buffer_size() for transport in transports if transport is not None)


async def round_of(served: Served, good: int, idle: int, events: int) -> tuple[float, int]:
    """p99 of the good ones in seconds, and the bytes held back, with so many beside them that do not read."""
    async with readers(served.port, PATH, good) as clients, readers(served.port, PATH, idle, reads=False) as silent:
        await publish(served, events)
        await until(lambda: all(len(client.numbers) == events for client in clients), 30)
        assert all(client.numbers == list(range(events)) for client in clients)
        await until(lambda: behind(served) == idle)
        held = held_back(served)
        assert all(not client.numbers for client in silent)
    await until(lambda: served.open == 0)
    return p99(clients), held


async def test_twenty_of_three_hundred_that_do_not_read_change_nothing_for_the_others() -> None:
    """The ring has all 150 events; whoever does not read has a cursor and at most one write held back."""
    async with serving(config("catch_up")) as served:
        await round_of(served, 30, 0, 20)  # warm
        options, high = served.gateway.hub.options, served.gateway.config.performance_optimization.buffer_size
        alone, beside = [], []
        # In turns, the best of each: what else the machine does is in some rounds, what clients cost in all.
        while not beside or (min(beside) >= 3 * min(alone) + 0.05 and len(beside) < 5):
            alone.append((await round_of(served, 280, 0, 150))[0])
            p99_beside, held = await round_of(served, 280, 20, 150)
            beside.append(p99_beside)
            assert held <= 20 * (high + options.write_bytes + 4096)
        assert min(beside) < 3 * min(alone) + 0.05, f"p99 in s: {beside} beside slow clients, {alone} without"


async def test_catch_up_gives_everything_when_it_reads_again() -> None:
    async with serving(config("catch_up")) as served, readers(served.port, PATH, 3, reads=False) as clients:
        served.gateway.hub.channels["fast"].ring.clear(0)
        await publish(served, 200)
        await until(lambda: behind(served) == 3)
        for client in clients:
            client.read_on()
        await until(lambda: all(client.numbers == list(range(200)) for client in clients))
        assert behind(served) == 0
        assert not any(client.controls for client in clients)


async def test_conflate_gives_the_newest_and_says_how_many_it_left_out() -> None:
    async with serving(config("conflate")) as served, readers(served.port, PATH, 3, reads=False) as clients:
        await publish(served, 400, keys=4)
        await until(lambda: behind(served) == 3)
        for client in clients:
            client.read_on()
        await until(lambda: all(client.numbers[-1:] == [399] for client in clients))
        await publish(served, 4, keys=4, first=400)
        await until(lambda: all(client.numbers[-1:] == [403] for client in clients))
        for client in clients:
            assert client.numbers == sorted(set(client.numbers))
            assert {396, 397, 398, 399, 400, 401, 402, 403} <= set(client.numbers)
            told = [msgspec.json.decode(control) for control in client.controls]
            assert {control["control"] for control in told} == {"conflated"}
            assert sum(control["left_out"] for control in told) == 404 - len(client.numbers) > 100
        assert behind(served) == 0


@pytest.mark.parametrize("reads_again", [True, False])
async def test_disconnect_closes_with_its_code(reads_again: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "CLOSE_SECONDS", 5.0 if reads_again else 0.2)
    async with serving(config("disconnect")) as served, readers(served.port, PATH, 3, reads=False) as clients:
        async with readers(served.port, PATH, 2) as good:
            await publish(served, 200)
            await until(lambda: behind(served) == 0 and served.gateway.hub.channels["fast"].live_count == 2)
            if reads_again:
                for client in clients:
                    client.read_on()
                await until(lambda: served.open == 2)
                assert [client.code for client in clients] == [4408] * 3
                # What was written before is whole: the cursor to resume from.
                assert all(client.numbers == list(range(len(client.numbers))) for client in clients)
            await until(lambda: served.open == 2)
            await until(lambda: all(client.numbers == list(range(200)) for client in good))
        reason = {"transport": "websocket", "reason": "slow"}
        assert served.sample("citadel_streaming_connections_closed_total", **reason) == 3


async def test_disconnect_of_a_stream_says_why() -> None:
    async with serving(config("disconnect")) as served, aiohttp.ClientSession(read_bufsize=1024) as session:
        stream = await session.get(served.http("/sse/fast"))
        first = await stream.content.readuntil(b"\n\n")
        assert b"retry:" in first
        await publish(served, 2000)
        await until(lambda: served.gateway.hub.channels["fast"].live_count == 0)
        rest = await stream.read()
        assert rest.endswith(b"keeps only those who keep up\n\n")
        await until(lambda: served.open == 0)


async def test_a_client_that_resumes_after_it_was_sent_away_misses_nothing() -> None:
    async with serving(config("disconnect")) as served:
        async with readers(served.port, PATH, 1, reads=False) as (client,):
            await publish(served, 200)
            await until(lambda: served.gateway.hub.channels["fast"].live_count == 0)
            client.read_on()
            async with asyncio.timeout(10):
                await client.closed
        last = client.numbers[-1]
        async with readers(served.port, f"{PATH}?after={last + 1}", 1) as (again,):
            await until(lambda: client.numbers + again.numbers == list(range(200)))


@pytest.mark.parametrize(
    "scene",
    [
        test_catch_up_gives_everything_when_it_reads_again,
        test_conflate_gives_the_newest_and_says_how_many_it_left_out,
        test_a_client_that_resumes_after_it_was_sent_away_misses_nothing,
    ],
)
def test_the_same_on_uvloop(scene: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())
