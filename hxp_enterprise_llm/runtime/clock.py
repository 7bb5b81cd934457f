"""Time and randomness, passed in so that the program also runs in virtual time."""

from __future__ import annotations

import os
import time
from typing import Protocol


class Clock(Protocol):
    """Wall clock for events, monotonic clock for durations."""

    def time(self) -> float:
        """Wall-clock seconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def new_id(self) -> str:
        """An identifier that has not been used before."""
        ...


class SystemClock:
    """The machine's clocks and random source."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def new_id(self) -> str:
        # As random as a UUID and of the same length, at a quarter of its cost: an event without an id takes one.
        return os.urandom(16).hex()
