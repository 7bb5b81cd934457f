"""The wheel by hand, and the one timer that turns all wheels."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.streaming.heartbeat import SLOTS, Heartbeat, Wheel


class Item:
    def __init__(self) -> None:
        self.beats = 0
        self.beaten = asyncio.Event()

    def beat(self) -> None:
        self.beats += 1
        self.beaten.set()


@given(st.floats(0, 1, exclude_max=True), st.floats(0.1, 1000))
def test_each_item_comes_once_an_interval(chance: float, interval: float) -> None:
    wheel, item = Wheel(interval, 0.0), Item()
    place = wheel.add(item, chance)
    for turn in range(1, 5 * SLOTS + 1):
        for due in wheel.due(turn * interval / SLOTS * 1.000001):
            due.beat()
        if turn % SLOTS == 0:
            assert item.beats == turn // SLOTS
    wheel.remove(item, place)
    wheel.remove(item, place)
    assert (len(wheel), list(wheel.due(100 * interval))) == (0, [])


def test_after_a_long_pause_each_comes_once() -> None:
    wheel, item = Wheel(1.0, 0.0), Item()
    wheel.add(item, 0.5)
    assert list(wheel.due(1000.0)) == [item]
    assert list(wheel.due(1000.0)) == []
    assert len(wheel) == 1


async def test_one_timer_turns_all() -> None:
    loop = asyncio.get_running_loop()
    fast, slow = Wheel(0.02, loop.time()), Wheel(0.04, loop.time())
    items = [Item(), Item()]
    fast.add(items[0], 0.1)
    slow.add(items[1], 0.9)
    heartbeat = Heartbeat(fast, slow)
    heartbeat.start()
    async with asyncio.timeout(30):
        for item in items:
            await item.beaten.wait()
    heartbeat.stop()
    heartbeat.stop()
