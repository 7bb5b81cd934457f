"""Clients whose windows are full share pieces that look back into what all of them were given."""

from __future__ import annotations

import random
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.streaming import ChannelConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.model import Event, encode
from hxp_enterprise_llm.event.streaming.channel import Options
from hxp_enterprise_llm.event.streaming.compress import ContinuedDeflate, WebSocketDeflate
from hxp_enterprise_llm.event.streaming.hub import Hub
from hxp_enterprise_llm.event.streaming.subscription import Subscription
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.runtime.tasks import Supervisor
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics
from tests.unit.streaming.gateways import until

BITS = 12
WINDOW_EVENTS = 8
"""Events after which a window of 4,096 bytes is full."""
BLOBS = [random.Random(number).randbytes(200).hex() for number in range(4)]


class Reader:
    """A client that takes everything, and reads it with a window as large as was agreed on."""

    def __init__(self) -> None:
        self.format = WebSocketDeflate(window_bits=BITS)
        self.writable = True
        self.writes: list[bytes] = []
        self.told: list[int] = []
        self._window = zlib.decompressobj(-BITS)
        self.subscription: Subscription

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        while data:
            assert data[:1] == b"\xc1"
            size = int.from_bytes(data[2:4], "big") if data[1] == 126 else data[1]
            begin = 4 if data[1] == 126 else 2
            text = self._window.decompress(data[begin : begin + size] + b"\0\0\xff\xff")
            self.told.append(msgspec.json.decode(text)["offset"])
            data = data[begin + size :]

    def too_slow(self) -> None:
        raise AssertionError("nobody is sent away here")


class World:
    """A hub on a log in memory. Each event repeats what the fourth before it said, and nothing of those between."""

    def __init__(self, log: MemoryLog, hub: Hub) -> None:
        self.log, self.hub = log, hub
        self.count = 0

    async def publish(self, count: int) -> None:
        for _ in range(count):
            self.count += 1
            data = {"blob": BLOBS[self.count % len(BLOBS)]}
            await self.log.append([encode(Event(id=str(self.count), source="/t", type="a", data=data))])
            await until(lambda: self.hub.channels["all"].settled == self.count)

    def connect(self, *, back: int = 0) -> Reader:
        reader = Reader()
        epoch = self.hub.position.epoch
        reader.subscription = self.hub.subscribe(self.hub.channels["all"], reader, self.count - back, epoch)
        return reader


@asynccontextmanager
async def world(**options: int) -> AsyncIterator[World]:
    deaths: list[Exception] = []
    supervisor, clock, log = Supervisor(deaths.append), SystemClock(), MemoryLog()
    await log.open()
    metrics = StreamingMetrics(CollectorRegistry(), clock)
    channels = {"all": ChannelConfig(types=["*"])}
    hub = Hub(log, channels, clock=clock, metrics=metrics, spawn=supervisor.spawn, options=Options(**options))
    supervisor.spawn("hub", hub.run())
    await until(lambda: hub.ready)
    try:
        yield World(log, hub)
    finally:
        await supervisor.stop()
    assert deaths == []


async def test_who_comes_later_shares_the_pieces_once_its_window_is_full() -> None:
    async with world(lookback_from=1) as it:
        early = it.connect()
        await it.publish(WINDOW_EVENTS)
        assert isinstance(early.subscription.format, ContinuedDeflate)
        await it.publish(1)
        assert len(early.writes[-1]) * 4 < len(early.writes[0])
        late = it.connect()
        for given in range(1, WINDOW_EVENTS + 1):
            assert isinstance(late.subscription.format, WebSocketDeflate), given
            await it.publish(1)
        assert late.subscription.format == early.subscription.format
        await it.publish(1)
        assert late.writes[-1] is early.writes[-1]
        assert late.told == list(range(WINDOW_EVENTS + 2, it.count + 1))


async def test_who_fell_behind_begins_with_an_empty_window_again() -> None:
    async with world(lookback_from=1) as it:
        reader = it.connect()
        await it.publish(WINDOW_EVENTS)
        reader.writable = False
        reader.subscription.fall_behind()
        assert isinstance(reader.subscription.format, WebSocketDeflate)
        await it.publish(3)
        reader.writable = True
        reader.subscription.advance()
        await until(lambda: reader.subscription.live)
        await it.publish(2 * WINDOW_EVENTS)
        assert isinstance(reader.subscription.format, ContinuedDeflate)
        assert reader.told == list(range(1, it.count + 1))


async def test_for_a_few_clients_looking_back_does_not_pay() -> None:
    async with world(lookback_from=3) as it:
        readers = [it.connect(), it.connect()]
        await it.publish(WINDOW_EVENTS + 1)
        alone = len(readers[0].writes[-1])
        readers.append(it.connect())
        await it.publish(WINDOW_EVENTS + 1)
        assert len(readers[0].writes[-1]) * 3 < alone
        for reader in readers[:2]:
            assert reader.told == list(range(1, it.count + 1))
