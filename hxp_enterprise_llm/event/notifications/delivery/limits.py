"""How fast a recipient may be written to: a token bucket each, and the pauses that the peer asks for. Pure.

All seconds are monotonic.
"""

from __future__ import annotations

from typing import NamedTuple

_MOST_REMEMBERED = 1000


class Rate(NamedTuple):
    """A token bucket: so many messages a minute, and so many at once after a quiet time."""

    per_minute: float
    burst: int


class Held(NamedTuple):
    """The time for which a recipient could not be written to."""

    since: float
    until: float


class Limits:
    """The recipients of one channel. Without a rate only the peer limits them."""

    def __init__(self, rate: Rate | None = None) -> None:
        self._rate = rate
        self._full_at: dict[str, float] = {}
        self._held: dict[str, Held] = {}

    def use(self, rate: Rate | None) -> None:
        """Another rate from here on; pauses are forgotten."""
        self._rate = rate
        self._full_at.clear()
        self._held.clear()

    def take(self, target: str, now: float) -> None:
        """A message to the recipient goes out now."""
        self._held.pop(target, None)
        if self._rate is None:
            return
        interval = 60.0 / self._rate.per_minute
        self._full_at[target] = full_at = max(self._full_at.get(target, 0.0), now) + interval
        free_at = full_at - (self._rate.burst - 1) * interval
        if free_at > now:
            self._held[target] = Held(now, free_at)
        if len(self._full_at) > _MOST_REMEMBERED:
            self._full_at = {name: at for name, at in self._full_at.items() if at > now}

    def pause(self, target: str, now: float, seconds: float) -> None:
        """The peer wants nothing to this recipient for so long."""
        before = self._held.get(target, Held(now, now))
        self._held[target] = Held(before.since, max(before.until, now + seconds))

    def paused(self, now: float) -> dict[str, float]:
        """Recipients that must wait, with the seconds until they need not."""
        return {target: held.until - now for target, held in self._held.items() if held.until > now}

    def ended(self, now: float) -> dict[str, Held]:
        """Recipients whose pause is over and who have not been written to since."""
        return {target: held for target, held in self._held.items() if held.until <= now}
