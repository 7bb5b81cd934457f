"""The lag of the event loop, sampled with a clock and a sleep that are passed in."""

from __future__ import annotations

import asyncio
import time

import pytest

from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.lag import LagSampler


class Gauge:
    def __init__(self) -> None:
        self.values: list[float] = []

    def set(self, value: float) -> None:
        self.values.append(round(value, 6))


class Loop:
    """A clock and a sleep that oversleeps as told, then ends the sampler."""

    def __init__(self, late: list[float]) -> None:
        self.now, self._late = 0.0, iter(late)

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def new_id(self) -> str:
        return "unused"

    async def sleep(self, seconds: float) -> None:
        try:
            self.now += seconds + next(self._late)
        except StopIteration:
            raise asyncio.CancelledError from None


async def test_the_gauge_holds_the_worst_of_the_recent_samples() -> None:
    gauge, loop = Gauge(), Loop([0.0, 0.2, 0.05, 0.0, -3.0])
    with pytest.raises(asyncio.CancelledError):
        await LagSampler(gauge, loop, samples=2, sleep=loop.sleep).run()
    assert gauge.values == [0.0, 0.2, 0.2, 0.05, 0.0]


async def test_a_blocked_loop_shows() -> None:
    seen = asyncio.Event()

    class Watch(Gauge):
        def set(self, value: float) -> None:
            super().set(value)
            seen.set()

    gauge = Watch()
    task = asyncio.create_task(LagSampler(gauge, SystemClock(), interval=0.01).run())
    await asyncio.sleep(0)
    # Blocking the loop is what is measured.
    time.sleep(0.1)
    await asyncio.wait_for(seen.wait(), 30)
    task.cancel()
    assert gauge.values[0] > 0.05
