"""From `POST /events` to every subscriber's socket: latency and rate, beside the plain way in the same run.

Prints figures; asserts only what must always hold: every subscriber gets every event, once, in order.

    make bench
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median, quantiles

import aiohttp
import msgspec
import pytest

from tests.integration.daemon import Daemon
from tests.performance.servers import aiohttp as aiohttp_peer

SUBSCRIBERS = 200
SINGLE_EVENTS = 200
BATCH, BATCHES = 500, 10
ROUNDS = 3


class Field(msgspec.Struct):
    seq: int
    sent: float


class Seen(msgspec.Struct):
    data: Field


class Reader:
    """One subscriber: the sequence numbers it saw, and how old each event was."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.ages: list[float] = []

    async def run(self, session: aiohttp.ClientSession, address: str, ready: asyncio.Semaphore) -> None:
        decoder = msgspec.json.Decoder(Seen)
        async with session.ws_connect(address, max_msg_size=0) as socket:
            ready.release()
            async for message in socket:
                event = decoder.decode(message.data).data
                self.ages.append(time.monotonic() - event.sent)
                self.seen.append(event.seq)


@asynccontextmanager
async def ours(tmp_path) -> AsyncIterator[tuple[str, str]]:
    async with Daemon(tmp_path / "data", environ={"WEBSOCKET_MAX_CONNECTIONS": "10000"}) as daemon:
        yield f"{daemon.events}/events", f"{daemon.gateway}/ws/events?type=bench.tick"


@asynccontextmanager
async def naive(tmp_path) -> AsyncIterator[tuple[str, str]]:
    with aiohttp_peer(tmp_path) as peer:
        yield f"http://127.0.0.1:{peer.port}/events", f"http://127.0.0.1:{peer.port}/"


class Figures(msgspec.Struct):
    p50_ms: float
    p99_ms: float
    delivered_per_second: float


async def measure(publish_to: str, subscribe_to: str) -> Figures:
    """One run: single events for the latency, then batches for the rate."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        readers = [Reader() for _ in range(SUBSCRIBERS)]
        ready = asyncio.Semaphore(0)
        tasks = [asyncio.create_task(reader.run(session, subscribe_to, ready)) for reader in readers]
        for _ in readers:
            await ready.acquire()
        for number in range(SINGLE_EVENTS):
            await publish(session, publish_to, number, 1)
            await arrived(readers, number + 1)
        ages = sorted(age for reader in readers for age in reader.ages)
        begun = time.monotonic()
        for number in range(BATCHES):
            await publish(session, publish_to, SINGLE_EVENTS + number * BATCH, BATCH)
        total = SINGLE_EVENTS + BATCHES * BATCH
        await arrived(readers, total)
        rate = BATCHES * BATCH * SUBSCRIBERS / (time.monotonic() - begun)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for reader in readers:
        assert reader.seen == list(range(total)), "a subscriber lost, doubled or reordered events"
    return Figures(median(ages) * 1000, quantiles(ages, n=100)[98] * 1000, rate)


async def publish(session: aiohttp.ClientSession, address: str, first: int, count: int) -> None:
    events = [
        {"type": "bench.tick", "data": {"seq": first + i, "sent": time.monotonic(), "fill": "x" * 100}}
        for i in range(count)
    ]
    async with session.post(address, json=events) as answer:
        assert answer.status == 202, await answer.text()


async def arrived(readers: list[Reader], count: int) -> None:
    async with asyncio.timeout(60):
        while any(len(reader.seen) < count for reader in readers):
            await asyncio.sleep(0)


@pytest.mark.timeout(300)
async def test_latency_and_rate_beside_the_plain_way(tmp_path, capsys):
    """Ours stores each event durably first; the plain way stores nothing."""
    results: dict[str, list[Figures]] = {"ours": [], "naive": []}
    for number in range(ROUNDS):
        for name, start in (("ours", ours), ("naive", naive)):
            async with start(tmp_path / f"{name}{number}") as addresses:
                results[name].append(await measure(*addresses))
    with capsys.disabled():
        print(f"\n{SUBSCRIBERS} subscribers, median of {ROUNDS} runs; the client shares the cores")
        print(f"{'':8}{'p50 ms':>10}{'p99 ms':>10}{'delivered/s':>14}   batches of {BATCH}")
        rows = {
            name: [median(getattr(f, field) for f in runs) for field in Figures.__struct_fields__]
            for name, runs in results.items()
        }
        for name, row in rows.items():
            print(f"{name:8}{row[0]:>10.2f}{row[1]:>10.2f}{row[2]:>14,.0f}")
        ratios = [a / b for a, b in zip(rows["ours"], rows["naive"], strict=True)]
        print(f"{'ratio':8}{ratios[0]:>10.2f}{ratios[1]:>10.2f}{ratios[2]:>14.2f}")
