"""When a source is asked next: at its interval while it is well, soon after a failure, and seldom while it is away."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hxp_enterprise_llm.event.sources.pollers.model import Change, State
from hxp_enterprise_llm.runtime.clock import Clock

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 3.0
"""Seconds until the next try after failures: it doubles. A source that is back is so noticed within five seconds."""
_HISTORY = 20


class Breaker:
    """State of one source. Knows no source and asks nobody."""

    def __init__(self, interval: float, failures: int, *, clock: Clock, jitter: Callable[[], float]) -> None:
        """`failures` in a row make it away; `jitter` answers 0 to 1."""
        self._interval, self._threshold = interval, failures
        self._clock, self._jitter = clock, jitter
        self._failed = 0
        self._pause = FIRST_PAUSE
        self.due = clock.monotonic()
        """When it is to be asked next, on the monotonic clock."""
        self.history: deque[Change] = deque([Change("starting", clock.time(), "")], maxlen=_HISTORY)
        """The newest last."""

    @property
    def state(self) -> State:
        return self.history[-1].state

    @property
    def reason(self) -> str:
        """Why it is not well."""
        return self.history[-1].reason

    def succeeded(self) -> bool:
        """It has answered; True when it had not been well."""
        self._failed, self._pause = 0, FIRST_PAUSE
        # Questions that a slow answer has made us miss are left out.
        self.due = max(self.due + self._interval, self._clock.monotonic())
        return self._enter("ok", "")

    def failed(self, reason: str) -> bool:
        """It has not; True when that makes it away."""
        self._failed += 1
        pause = self._pause * (0.75 + 0.25 * self._jitter())
        self.due = self._clock.monotonic() + pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        state: State = "away" if self._failed >= self._threshold else "failing"
        return self._enter(state, reason) and state == "away"

    def hurry(self) -> None:
        """Ask at once."""
        self.due = min(self.due, self._clock.monotonic())

    def _enter(self, state: State, reason: str) -> bool:
        if self.state == state:
            if self.reason != reason:
                self.history[-1] = self.history[-1]._replace(reason=reason)
            return False
        self.history.append(Change(state, self._clock.time(), reason))
        return True
