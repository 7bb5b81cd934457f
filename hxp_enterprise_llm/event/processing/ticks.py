"""When a tick is due: at whole multiples of its length on the wall clock, each once, missed ones left out."""

from __future__ import annotations

from math import floor, inf


class TickSchedule:
    """Moments are wall-clock seconds. Each is worked out anew from the clock, so that no error adds up."""

    def __init__(self, tick: float) -> None:
        self._tick = tick
        self._last = -inf

    def next(self, now: float) -> float:
        """The moment of the next tick. One that has been had does not come again, unless the clock was set back."""
        at = self._floor(now) + self._tick
        if self._last - 2 * self._tick <= now and at <= self._last:
            at = self._last + self._tick
        self._last = at
        return at

    def due(self, now: float) -> float:
        """The moment to compute for on waking up: the awaited one, or the last one that has been.

        That is a later one when the loop was held up, and an earlier one when the clock was set back meanwhile.
        """
        at = self._floor(now)
        self._last = at if now < self._last - 2 * self._tick else max(self._last, at)
        return self._last

    def _floor(self, now: float) -> float:
        return floor(now / self._tick) * self._tick
