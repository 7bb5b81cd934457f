"""A cursor against a log that changes under its reads; the hub is played by the test."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import Ahead, Batch, EpochChanged
from hxp_enterprise_llm.event.model import Event, Offset, TypePatterns, encode
from hxp_enterprise_llm.event.streaming.channel import Channel, Options, Position
from hxp_enterprise_llm.event.streaming.subscription import Services, Subscription
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics
from tests.unit.streaming.gateways import until
from tests.unit.streaming.links import FakeLink


class ScriptedLog(MemoryLog):
    """Reads fail as the script has it, then work."""

    def __init__(self) -> None:
        super().__init__()
        self.script: deque[Exception] = deque()
        self.reads = 0

    async def read(self, *args: Any, **options: Any) -> Batch:
        self.reads += 1
        if self.script:
            raise self.script.popleft()
        return await super().read(*args, **options)


class Scene:
    """Events 1 to 5 in the log; the ring of the channel is empty, its hub stands at 5."""

    def __init__(self) -> None:
        self.log = ScriptedLog()
        self.position = Position()
        self.link = FakeLink()

    async def connect(self, cursor: int, *, at: int = 5, epoch: str = "") -> Subscription:
        await self.log.open()
        await self.log.append([encode(Event(id=str(n), source="/", type="a", data={"n": n})) for n in range(1, 6)])
        bounds = await self.log.bounds()
        self.position.epoch, self.position.offset = bounds.epoch, at
        self.channel = Channel(
            "all",
            TypePatterns(["*"]),
            position=self.position,
            options=Options(),
            scheduler=asyncio.get_running_loop(),
            written=lambda *_: None,
        )
        metrics = StreamingMetrics(CollectorRegistry(), SystemClock())
        services = Services(self.log, self._spawn, asyncio.Semaphore(1), metrics)
        self.subscription = Subscription(self.channel, self.link, services, cursor, epoch or bounds.epoch)
        self.link.subscription = self.subscription
        self.subscription.start()
        return self.subscription

    def _spawn(self, name: str, coroutine: Any, **_: Any) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(coroutine)

    def move(self, offset: int, epoch: str = "") -> None:
        """The hub has read up to here, and the ring does not reach back."""
        self.channel.ring.clear(offset)
        self.position.epoch, self.position.offset = epoch or self.position.epoch, offset
        self.position.moved.fire()

    @property
    def seen(self) -> list[str | int]:
        return [block.body["reason"] if block.control else block.body["offset"] for block in self.link.blocks()]


async def test_the_log_is_read_until_the_live_ones_are_reached() -> None:
    scene = Scene()
    subscription = await scene.connect(2)
    await until(lambda: subscription.live)
    assert (scene.seen, subscription.cursor, subscription.behind) == ([3, 4, 5], 5, False)


async def test_a_client_ahead_of_the_hub_waits_for_it() -> None:
    scene = Scene()
    subscription = await scene.connect(4, at=3)
    await asyncio.sleep(0)
    assert subscription.behind
    scene.move(3)
    scene.move(5)
    await until(lambda: subscription.live)
    assert scene.seen == [5]


async def test_a_read_beyond_the_end_goes_on_from_the_head() -> None:
    scene = Scene()
    subscription = await scene.connect(2)
    scene.log.script.append(Ahead(await scene.log.bounds(), 2))
    await until(lambda: subscription.live)
    assert scene.seen == ["ahead"]


async def test_an_epoch_that_ends_during_a_read_waits_for_the_hub() -> None:
    scene = Scene()
    subscription = await scene.connect(2)
    scene.log.script.append(EpochChanged(await scene.log.bounds(), 2, "old"))
    await until(lambda: scene.log.reads == 1)
    scene.log.recreate()
    await scene.log.append([encode(Event(id="new", source="/", type="a", data={}))])
    scene.move(5)  # the hub has not seen it yet
    await asyncio.sleep(0)
    assert scene.seen == []
    scene.move(1, (await scene.log.bounds()).epoch)
    await until(lambda: subscription.live)
    assert scene.seen == ["epoch_changed", 1]


async def test_an_epoch_that_ended_before_the_hub_knew() -> None:
    scene = Scene()
    subscription = await scene.connect(4, at=3)
    scene.log.recreate()
    scene.move(3)
    await asyncio.sleep(0)
    epoch = (await scene.log.bounds()).epoch
    scene.move(0, epoch)
    await until(lambda: subscription.live)
    assert scene.seen == ["epoch_changed"]


async def test_a_hub_that_lags_behind_two_epochs() -> None:
    scene = Scene()
    subscription = await scene.connect(4, epoch="first")
    scene.log.recreate()  # the hub still stands in the second
    await asyncio.sleep(0)
    assert scene.seen == []
    scene.move(0, (await scene.log.bounds()).epoch)
    await until(lambda: subscription.live)
    assert scene.seen == ["epoch_changed"]


async def test_a_link_that_fills_up_while_the_log_is_read_gets_nothing_more() -> None:
    scene = Scene()
    subscription = await scene.connect(0)
    scene.link.pause()
    await until(lambda: subscription._reader is None)
    assert (scene.seen, subscription.cursor) == ([], 0)
    scene.link.drain()
    await until(lambda: subscription.live)
    assert scene.seen == [1, 2, 3, 4, 5]


async def test_closing_ends_the_reading() -> None:
    scene = Scene()
    subscription = await scene.connect(9, at=5)
    reader = subscription._reader
    subscription.close()
    assert reader is not None
    await asyncio.gather(reader, return_exceptions=True)
    assert reader.cancelled()
    assert scene.position.moved._waiters == []


async def test_events_are_written_in_bounded_pieces() -> None:
    scene = Scene()
    await scene.connect(0)
    scene.channel.options.write_bytes = 10
    await until(lambda: scene.subscription.live)
    assert (scene.seen, scene.link.writes) == ([1, 2, 3, 4, 5], 5)
    assert scene.subscription.cursor == Offset(5)
