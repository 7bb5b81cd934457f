"""Events per second over the recent past, at the cost of one addition an event."""

from __future__ import annotations

from collections.abc import Callable

WINDOW = 10.0


class Rate:
    """Counts all, and the rate over the last whole window of ten seconds and the one that runs."""

    __slots__ = ("_before", "_begun", "_previous", "_time", "count")

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self.count = 0
        self._begun = time()
        self._before = 0  # count at the begin of the window
        self._previous = 0.0  # rate of the window before

    def per_second(self) -> float:
        """Weighted between the last window and the one that runs, so that it neither jumps nor sleeps."""
        now = self._time()
        elapsed = now - self._begun
        if elapsed >= WINDOW:
            self._previous = (self.count - self._before) / elapsed
            self._begun, self._before, elapsed = now, self.count, 0.0
        part = elapsed / WINDOW
        running = (self.count - self._before) / WINDOW
        return self._previous * (1 - part) + running
