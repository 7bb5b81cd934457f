"""A channel on a scheduler that is turned by hand: when it writes, to whom, and where its subscribers stand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import Bounds, Stored
from hxp_enterprise_llm.event.model import Offset, TypePatterns
from hxp_enterprise_llm.event.streaming.channel import Channel, Options, Position, pause_after
from hxp_enterprise_llm.event.streaming.encode import Message, Transport
from hxp_enterprise_llm.event.streaming.filters import Filter
from hxp_enterprise_llm.event.streaming.flush import Flush
from hxp_enterprise_llm.event.streaming.subscription import Services, Subscription
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics
from tests.unit.streaming.links import FakeLink


class Handle:
    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when, self.callback, self.cancelled = when, callback, False

    def cancel(self) -> None:
        self.cancelled = True


class HandScheduler:
    """Time moves only by `advance`; `turn` runs what is due."""

    def __init__(self) -> None:
        self.now = 100.0
        self.handles: list[Handle] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> Any:
        self.handles.append(Handle(when, callback))
        return self.handles[-1]

    def call_soon(self, callback: Callable[[], object]) -> Any:
        return self.call_at(self.now, callback)

    def turn(self) -> int:
        """One turn of the loop: everything that is due now, not what it brings up."""
        due = [handle for handle in self.handles if handle.when <= self.now and not handle.cancelled]
        self.handles = [handle for handle in self.handles if handle not in due and not handle.cancelled]
        for handle in due:
            handle.callback()
        return len(due)

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Bench:
    """One channel, its hub played by the test."""

    def __init__(self, *, filter: Filter | None = None, **options: Any) -> None:
        self.scheduler = HandScheduler()
        self.position = Position()
        self.position.epoch = "e"
        self.flushes: list[tuple[int, int]] = []
        self.channel = Channel(
            "all",
            TypePatterns(["*"]),
            position=self.position,
            options=Options(**options),
            scheduler=self.scheduler,
            written=self._written,
            filter=filter,
        )
        self.metrics = StreamingMetrics(CollectorRegistry(), SystemClock())

    def _written(self, channel: Channel, flush: Flush) -> None:
        self.flushes.append((max(piece.count for piece in flush.pieces), sum(piece.given for piece in flush.pieces)))

    def connect(self, cursor: int | None = None, format: Transport = "sse", high_water: int | None = None) -> FakeLink:
        def no_task(name: str, coroutine: Any, **_: Any) -> Any:
            coroutine.close()
            raise AssertionError("the log is not needed here")

        link = FakeLink(format, high_water)
        services = Services(MemoryLog(), no_task, cast("asyncio.Semaphore", None), self.metrics)
        place = self.position.offset if cursor is None else cursor
        link.subscription = Subscription(self.channel, link, services, place, "e")
        link.subscription.start()
        return link

    def publish(self, *offsets: int) -> None:
        for offset in offsets:
            raw = b'{"specversion":"1.0","type":"a","id":"%d"}' % offset
            self.channel.publish([Message("e", Stored(Offset(offset), "a", raw))])
            self.position.offset = offset
        self.channel.schedule()


def offsets(link: FakeLink) -> list[int]:
    return [block.body["offset"] for block in link.blocks()]


def test_at_once_when_idle_then_not_before_a_pause_as_long_as_the_flush() -> None:
    bench = Bench(flush_events=100, flush_seconds=20.0, slice=1)
    one, two = bench.connect(), bench.connect()
    bench.publish(1)
    assert one.writes == 0
    bench.scheduler.turn()
    bench.scheduler.advance(3.0)  # the flush takes three seconds
    bench.scheduler.turn()
    assert (offsets(one), offsets(two)) == ([1], [1])
    bench.publish(2, 3)
    bench.scheduler.turn()
    assert offsets(one) == [1]
    bench.scheduler.advance(2.9)
    assert bench.scheduler.turn() == 0
    bench.scheduler.advance(0.2)
    bench.scheduler.turn()
    bench.scheduler.turn()
    assert offsets(one) == offsets(two) == [1, 2, 3]
    assert (one.writes, bench.flushes) == (2, [(1, 2), (2, 2)])


@pytest.mark.parametrize(
    ("took", "within", "pause"),
    [
        (0.0, 0.1, 0.0),
        (0.01, 0.1, 0.01),  # as long as the flush
        (0.03, 0.1, 0.01),  # 0.03 + 0.01 + at most 0.06 for an event that came as the flush began
        (0.05, 0.1, 0.0),  # writing alone takes that long
        (0.01, 0.0, 0.0),  # nothing is to be joined
    ],
)
def test_a_pause_never_makes_an_event_later_than_it_may_be(took: float, within: float, pause: float) -> None:
    assert pause_after(took, within) == pytest.approx(pause)


def test_the_pause_is_bounded_and_many_waiting_events_end_it() -> None:
    bench = Bench(flush_events=3, flush_seconds=0.1, slice=1)
    link, _ = bench.connect(), bench.connect()
    bench.publish(1)
    bench.scheduler.turn()
    bench.scheduler.advance(0.03)
    bench.scheduler.turn()
    bench.publish(2)
    assert bench.scheduler.turn() == 0
    bench.publish(3, 4)
    bench.scheduler.turn()
    bench.scheduler.turn()
    assert offsets(link) == [1, 2, 3, 4]
    bench.publish(5)
    bench.scheduler.turn()
    bench.scheduler.advance(0.03)
    bench.scheduler.turn()
    bench.publish(6)
    assert bench.scheduler.turn() == 0
    bench.scheduler.advance(0.011)
    bench.scheduler.turn()
    assert offsets(link)[-1] == 6


def test_a_flush_takes_a_bounded_number_of_bytes_but_at_least_one_event() -> None:
    bench = Bench(write_bytes=50, flush_seconds=0.0)
    link = bench.connect(format="websocket")
    bench.publish(1, 2, 3)
    while bench.scheduler.turn():
        pass
    assert offsets(link) == [1, 2, 3]
    assert bench.flushes == [(2, 1), (1, 1)]
    assert bench.channel.pending_bytes == 0


def test_each_format_is_joined_once_and_shared() -> None:
    bench = Bench()
    links = [bench.connect(format=format) for format in ("sse", "websocket", "sse")]
    bench.publish(1, 2)
    bench.scheduler.turn()
    assert [offsets(link) for link in links] == [[1, 2]] * 3
    assert bench.flushes == [(2, 3)]


def test_who_comes_during_a_flush_gets_each_event_once() -> None:
    bench = Bench(slice=1)
    early = [bench.connect(), bench.connect()]
    bench.publish(1)
    bench.scheduler.turn()  # the first of two has been written to
    late, resumed = bench.connect(), bench.connect(cursor=0)
    bench.publish(2)
    for _ in range(9):
        bench.scheduler.turn()
    assert [offsets(link) for link in early] == [[1, 2]] * 2
    assert (offsets(late), offsets(resumed)) == ([2], [1, 2])


def test_who_has_its_turn_later_is_given_what_came_meanwhile() -> None:
    bench = Bench(slice=1, flush_seconds=0.0)
    links = [bench.connect() for _ in range(3)]
    bench.publish(1)
    bench.scheduler.turn()
    bench.publish(2)
    bench.scheduler.turn()
    bench.publish(3)
    bench.scheduler.turn()
    assert [offsets(link) for link in links] == [[1], [1, 2], [1, 2, 3]]
    assert [link.writes for link in links] == [1, 1, 1]
    while bench.scheduler.turn():
        pass
    assert [offsets(link) for link in links] == [[1, 2, 3]] * 3
    assert [link.writes for link in links] == [2, 2, 1]
    assert bench.channel.settled == 3


def test_who_lacked_nothing_at_its_turn_loses_nothing_that_came_later_in_the_round() -> None:
    bench = Bench(slice=1, flush_seconds=0.0)
    first, second = bench.connect(), bench.connect()
    bench.publish(1)
    bench.scheduler.turn()  # the first has its turn
    bench.publish(2)
    bench.scheduler.turn()  # the second has both
    assert first.subscription is not None
    first.subscription.close()
    third = bench.connect(cursor=1)
    bench.scheduler.turn()  # the second lacks nothing
    bench.publish(3)
    while bench.scheduler.turn():
        pass
    assert (offsets(first), offsets(second), offsets(third)) == ([1], [1, 2, 3], [2, 3])


def test_who_joins_a_round_for_nobody_has_a_turn() -> None:
    bench = Bench(slice=1)
    gone = bench.connect()
    bench.publish(1, 2)
    assert gone.subscription is not None
    gone.subscription.close()
    bench.scheduler.turn()
    late = bench.connect(cursor=0)
    while bench.scheduler.turn():
        pass
    assert offsets(late) == [1, 2]


def test_one_that_falls_behind_and_comes_back_within_a_flush_is_not_written_to_twice() -> None:
    bench = Bench(slice=1)
    links = [bench.connect() for _ in range(3)]
    bench.publish(1)
    bench.scheduler.turn()
    for link in links:
        link.pause()
        link.drain()
    while bench.scheduler.turn():
        pass
    assert [offsets(link) for link in links] == [[1]] * 3


def test_one_that_falls_behind_before_its_turn_has_not_been_given_the_flush() -> None:
    bench = Bench(slice=1)
    links = [bench.connect() for _ in range(2)]
    bench.publish(1)
    bench.scheduler.turn()
    for link in links:
        link.pause()
    while bench.scheduler.turn():
        pass
    assert [link.subscription.cursor for link in links if link.subscription] == [1, 0]
    for link in links:
        link.drain()
    assert [offsets(link) for link in links] == [[1], [1]]


def test_a_slow_link_holds_one_write_and_catches_up_from_the_ring() -> None:
    bench = Bench(write_bytes=100, flush_seconds=0.0)
    slow, fast = bench.connect(high_water=50), bench.connect()
    for offset in range(1, 41):
        bench.publish(offset)
        bench.scheduler.turn()
    assert len(offsets(fast)) == 40
    assert len(offsets(slow)) == 1
    assert bench.metrics.behind._value.get() == 1
    while slow.paused:
        slow.drain()
    assert offsets(slow) == offsets(fast)
    assert slow.most_held < 400
    assert bench.metrics.behind._value.get() == 0


def test_drain_writes_everything_now() -> None:
    bench = Bench(slice=1, write_bytes=10, flush_seconds=60.0)
    links = [bench.connect() for _ in range(3)]
    bench.publish(1, 2)
    bench.scheduler.turn()
    bench.publish(3)
    bench.channel.drain()
    assert [offsets(link) for link in links] == [[1, 2, 3]] * 3
    while bench.scheduler.turn():
        pass
    assert [len(offsets(link)) for link in links] == [3, 3, 3]


def test_beginning_anew_tells_the_live_ones() -> None:
    bench = Bench()
    link = bench.connect()
    bench.publish(7)
    bench.channel.drain()
    bench.position.epoch, bench.position.offset = "f", 0
    bench.channel.begin_anew("epoch_changed", Bounds("f", Offset(1), Offset(5)))
    bench.publish(1)
    bench.scheduler.turn()
    assert [block.control for block in link.blocks()] == ["", "reset", ""]
    assert link.blocks()[1].body["after"] == 0
    assert bench.channel.ring.floor == 0


def test_a_derived_channel_inherits_the_ring_of_its_parent() -> None:
    parent = Bench(ring_events=3)
    parent.publish(1, 2, 3, 4)
    derived = Bench(filter=Filter.parse('type == "a"'))
    derived.channel.inherit(parent.channel)
    assert [message.offset for message in derived.channel.ring] == [2, 3, 4]
    assert derived.channel.ring.floor == 1


def test_nothing_waits_for_nobody() -> None:
    bench = Bench()
    bench.publish(1)
    assert bench.scheduler.turn() == 0
    assert (bench.channel.settled, bench.channel.rate.count) == (1, 1)
    link = bench.connect()
    bench.publish(2)
    assert link.subscription is not None
    link.subscription.close()
    link.subscription.close()
    bench.scheduler.turn()
    assert link.received == b""
    assert bench.channel.subscribers == set()


def test_what_waits_when_the_last_one_leaves_has_no_holes_for_the_next() -> None:
    bench = Bench(write_bytes=1, slice=1)
    gone = bench.connect()
    bench.publish(1, 2)
    bench.scheduler.turn()  # the first event is with the one who leaves; the others wait
    bench.publish(3, 4)
    assert gone.subscription is not None
    gone.subscription.close()
    bench.publish(5)
    late = bench.connect(cursor=bench.channel.settled)
    for _ in range(9):
        bench.scheduler.advance(1.0)
        bench.scheduler.turn()
    assert offsets(late) == [2, 3, 4, 5]
    assert bench.channel.settled == 5


@pytest.mark.parametrize("type", ["a", "b"])
def test_what_a_channel_carries(type: str) -> None:
    bench = Bench(filter=Filter.parse('type == "a"'))
    raw = b'{"specversion":"1.0","type":"%b"}' % type.encode()
    found = bench.channel.select((Stored(Offset(1), type, raw), Stored(Offset(9), type, raw)), "e", 5)
    assert [message.offset for message in found] == ([1] if type == "a" else [])
