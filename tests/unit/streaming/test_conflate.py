"""Latest wins: what is kept, what is counted as left out, and that it happens only to those who fell behind."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.streaming import Slow
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import Event, Offset, TypePatterns, encode
from hxp_enterprise_llm.event.streaming import subscription as subscriptions
from hxp_enterprise_llm.event.streaming.channel import Channel, Options, Position
from hxp_enterprise_llm.event.streaming.conflate import Newest
from hxp_enterprise_llm.event.streaming.encode import Message
from hxp_enterprise_llm.event.streaming.subscription import Services, Subscription
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics
from tests.unit.streaming.gateways import until
from tests.unit.streaming.links import FakeLink


def message(offset: int, type: str = "a", source: str = "/s", subject: str | None = None) -> Message:
    event = Event(id=str(offset), source=source, type=type, subject=subject, data={"n": offset})
    return Message("e", Stored(Offset(offset), type, encode(event).raw))


def test_the_key_is_type_source_and_subject() -> None:
    keys = {
        message(1).key,
        message(2, "b").key,
        message(3, source="/t").key,
        message(4, subject="x").key,
        message(5, subject="y").key,
    }
    assert len(keys) == 5
    assert message(6).key == message(7).key


def test_nothing_stands_in_for_what_cannot_be_read() -> None:
    one, two = (Message("e", Stored(Offset(n), "a", b'{"source":7}')) for n in (1, 2))
    assert one.key != two.key


def test_the_newest_of_each_key_in_order_and_the_rest_counted() -> None:
    newest = Newest()
    newest.add([message(1, "a"), message(2, "b"), message(3, "a")])
    newest.add([message(5, "c"), message(6, "a")])
    (portion,) = newest.portions(1 << 20, 9)
    assert [kept.offset for kept in portion.messages] == [2, 5, 6]
    assert (portion.left_out, portion.end) == (2, 9)
    assert list(Newest().portions(100, 9)) == []


@given(st.lists(st.sampled_from("abcd"), max_size=40), st.integers(1, 600))
def test_portions_add_up(types: list[str], most: int) -> None:
    newest, last = Newest(), {type: offset for offset, type in enumerate(types)}
    newest.add([message(offset, type) for offset, type in enumerate(types)])
    portions = list(newest.portions(most, 99))
    assert [kept.offset for portion in portions for kept in portion.messages] == sorted(last.values())
    assert sum(portion.left_out for portion in portions) == len(types) - len(last)
    begin = -1
    for portion in portions:
        end = portion.messages[-1].offset
        assert portion.left_out + len(portion.messages) == end - begin
        assert portion.end == (99 if portion is portions[-1] else end)
        begin = end


class Scene:
    """A channel with a real log; the ring holds the last `ring_events`."""

    def __init__(self, slow: Slow = "conflate", ring_events: int = 100, high_water: int | None = None) -> None:
        self.log, self.position = MemoryLog(), Position()
        self.link = FakeLink(high_water=high_water)
        self.registry = CollectorRegistry()
        self._slow, self._ring_events = slow, ring_events

    async def __aenter__(self) -> Scene:
        await self.log.open()
        bounds = await self.log.bounds()
        self.position.epoch = bounds.epoch
        self.channel = Channel(
            "all",
            TypePatterns(["*"]),
            position=self.position,
            options=Options(ring_events=self._ring_events, write_bytes=150, read_events=3, flush_seconds=0.0),
            scheduler=asyncio.get_running_loop(),
            written=lambda *_: None,
            slow=self._slow,
        )
        services = Services(self.log, self._spawn, asyncio.Semaphore(1), StreamingMetrics(self.registry, SystemClock()))
        self.subscription = Subscription(self.channel, self.link, services, 0, bounds.epoch)
        self.link.subscription = self.subscription
        self.subscription.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.subscription.close()

    def _spawn(self, name: str, coroutine: Any, **_: Any) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(coroutine)

    async def publish(self, *types: str) -> None:
        """What the hub does."""
        for type in types:
            raw = encode(Event(id=str(self.position.offset), source="/", type=type, data={}))
            (answer,) = await self.log.append([raw])
            self.channel.publish([Message(self.position.epoch, Stored(answer.offset, type, raw.raw))])
            self.position.offset = answer.offset
        self.channel.schedule()
        self.channel.drain()

    @property
    def seen(self) -> list[int | tuple[int, int, int]]:
        return [
            (block.body["left_out"], block.body["from"], block.body["to"]) if block.control else block.body["offset"]
            for block in self.link.blocks()
        ]


async def test_who_fell_behind_gets_the_newest_and_is_told() -> None:
    async with Scene() as scene:
        await scene.publish("a", "b")
        scene.link.pause()
        await scene.publish("a", "a", "b", "a")
        scene.link.drain()
        assert scene.subscription.live
        await scene.publish("c")
        assert scene.seen == [1, 2, (2, 3, 6), 5, 6, 7]
        assert scene.registry.get_sample_value("citadel_streaming_messages_left_out_total") == 2


async def test_nothing_is_said_when_nothing_was_left_out() -> None:
    async with Scene() as scene:
        scene.link.pause()
        await scene.publish("a", "b")
        scene.link.drain()
        assert scene.seen == [1, 2]


async def test_what_the_ring_no_longer_has_is_gathered_from_the_log() -> None:
    async with Scene(ring_events=2) as scene:
        scene.link.pause()
        await scene.publish("quiet", *["a"] * 10, "b")
        scene.link.drain()
        await until(lambda: scene.subscription.live)
        assert scene.seen == [(9, 1, 12), 1, 11, 12]


async def test_a_pause_in_the_middle_is_gone_on_from() -> None:
    async with Scene(high_water=100) as scene:
        scene.link.pause()
        await scene.publish("a", "b", "c", "d", "e", "a", "b")
        while not scene.subscription.live:
            scene.link.drain()
        offsets = [it for it in scene.seen if isinstance(it, int)]
        told = [it for it in scene.seen if not isinstance(it, int)]
        assert offsets == [3, 4, 5, 6, 7]
        assert sum(it[0] for it in told) == 2


async def test_a_stretch_is_given_to_its_end_before_the_next(monkeypatch: Any) -> None:
    """What changes all the time comes once in each stretch."""
    monkeypatch.setattr(subscriptions, "SPAN", 4)
    async with Scene() as scene:
        scene.link.pause()
        await scene.publish(*["a"] * 10)
        scene.link.drain()
        assert scene.seen == [(3, 1, 4), 4, (3, 5, 8), 8, (1, 9, 10), 10]


async def test_what_a_client_asks_for_when_it_connects_is_given_whole() -> None:
    async with Scene() as scene:
        scene.subscription.close()
        await scene.publish("a", "a", "a")
        scene.subscription = Subscription(
            scene.channel,
            scene.link,
            scene.subscription._services,
            0,
            scene.position.epoch,
        )
        scene.subscription.start()
        await until(lambda: scene.subscription.live)
        assert scene.seen == [1, 2, 3]


async def test_a_log_that_is_recreated_while_it_is_gathered() -> None:
    async with Scene(ring_events=1) as scene:
        scene.link.pause()
        await scene.publish("a", "a", "a")
        scene.link.drain()
        scene.log.recreate()
        bounds = await scene.log.bounds()
        scene.position.epoch, scene.position.offset = bounds.epoch, bounds.head
        scene.position.moved.fire()
        await until(lambda: bool(scene.link.blocks()))
        assert [block.control for block in scene.link.blocks()] == ["reset"]


async def test_a_channel_that_sends_away_says_so_once() -> None:
    async with Scene("disconnect") as scene:
        await scene.publish("a")
        scene.link.pause()
        scene.link.pause()
        assert scene.link.sent_away == 1
        assert scene.seen == [1]


async def test_catching_up_on_request_sends_nobody_away() -> None:
    async with Scene("disconnect") as scene:
        scene.subscription.close()
        scene.link.pause()
        await scene.publish("a", "a")
        assert scene.link.sent_away == 0
