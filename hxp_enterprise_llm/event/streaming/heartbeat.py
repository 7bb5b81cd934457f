"""One timer for all connections: a wheel of slots, each visited once an interval."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Protocol

SLOTS = 32


class Beating(Protocol):
    """What wants a sign of life from time to time."""

    def beat(self) -> None: ...


class Wheel:
    """Who is due when. A place is chosen at random, so that the first beat comes within one interval and the load of
    all beats is spread over it."""

    __slots__ = ("_due", "_place", "_slots", "interval")

    def __init__(self, interval: float, now: float) -> None:
        self.interval = interval
        self._slots: list[dict[Beating, None]] = [{} for _ in range(SLOTS)]
        self._place = 0
        self._due = now + self.step

    @property
    def step(self) -> float:
        """Seconds between two slots."""
        return self.interval / SLOTS

    def __len__(self) -> int:
        return sum(map(len, self._slots))

    def add(self, item: Beating, chance: float) -> int:
        """Put an item in, `chance` being in [0, 1); answers the place by which it is removed."""
        place = int(chance * SLOTS) % SLOTS
        self._slots[place][item] = None
        return place

    def remove(self, item: Beating, place: int) -> None:
        """Take an item out. Idempotent."""
        self._slots[place].pop(item, None)

    def due(self, now: float) -> Iterator[Beating]:
        """Items whose turn has come; after a long pause each comes once."""
        for _ in range(SLOTS):
            if self._due > now:
                return
            self._place = (self._place + 1) % SLOTS
            self._due += self.step
            yield from list(self._slots[self._place])
        self._due = max(self._due, now + self.step)


class Heartbeat:
    """Turns the wheels."""

    def __init__(self, *wheels: Wheel) -> None:
        self._wheels = wheels
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; needs a running loop."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(min(wheel.step for wheel in self._wheels), self._turn)

    def stop(self) -> None:
        """Turn no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        now = asyncio.get_running_loop().time()
        for wheel in self._wheels:
            for item in wheel.due(now):
                item.beat()
        self.start()
