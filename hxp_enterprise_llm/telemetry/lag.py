"""How late the event loop is: a timer is set, and its delay is what every client waits in addition."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from hxp_enterprise_llm.runtime.clock import Clock


class Settable(Protocol):
    """A gauge."""

    def set(self, value: float) -> None: ...


class LagSampler:
    """Keeps a gauge at the worst lateness, in seconds, of the last `samples` timers.

    The worst and not the last: a page that is scraped each 15 s would miss nearly every stall.
    """

    def __init__(
        self,
        gauge: Settable,
        clock: Clock,
        *,
        interval: float = 0.5,
        samples: int = 30,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._gauge, self._clock, self._sleep = gauge, clock, sleep
        self._interval = interval
        self._recent: deque[float] = deque(maxlen=samples)

    def take(self, late: float) -> None:
        """Take one lateness in; a clock that jumps back counts as on time."""
        self._recent.append(max(0.0, late))
        self._gauge.set(max(self._recent))

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due = self._clock.monotonic() + self._interval
            await self._sleep(self._interval)
            self.take(self._clock.monotonic() - due)
