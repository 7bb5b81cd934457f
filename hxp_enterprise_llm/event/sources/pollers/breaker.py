"""When a source is asked next: at its interval while it is well, soon after a failure, and seldom while it is away."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from hxp_enterprise_llm.event.sources.pollers.model import Change, Settings, State
from hxp_enterprise_llm.runtime.clock import Clock

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 3.0
"""Seconds until the next try after failures, unless somebody has set others: it doubles. A source that is back is so
noticed within five seconds."""
_HISTORY = 20


class Breaker:
    """State of one source. Knows no source and asks nobody."""

    def __init__(self, interval: float, failures: int, *, clock: Clock, jitter: Callable[[], float]) -> None:
        """`failures` in a row make it away; `jitter` answers 0 to 1."""
        self._interval = interval
        self.settings = Settings(True, FIRST_PAUSE, LONGEST_PAUSE, failures, 0)
        self._clock, self._jitter = clock, jitter
        self._failed = 0
        self._pause = FIRST_PAUSE
        self.due = clock.monotonic()
        """When it is to be asked next, on the monotonic clock; infinite while it is off."""
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
        self._failed, self._pause = 0, self.settings.first_pause
        # Questions that a slow answer has made us miss are left out.
        self.due = max(self.due + self._interval, self._clock.monotonic())
        return self._enter("ok", "")

    def failed(self, reason: str) -> bool:
        """It has not; True when that makes it away."""
        self._failed += 1
        pause = self._pause * (0.75 + 0.25 * self._jitter())
        self.due = self._clock.monotonic() + pause
        self._pause = min(2 * self._pause, self.settings.longest_pause)
        if 0 < self.settings.tries <= self._failed:
            return self._leave(f"given up after {self._failed} tries: {reason}")
        state: State = "away" if self._failed >= self.settings.failures else "failing"
        return self._enter(state, reason) and state == "away"

    def hurry(self) -> None:
        """Ask at once; one that was given up is begun anew, one that is switched off stays so."""
        if not self.settings.live:
            return
        if self.state == "off":
            self._begin()
        self.due = min(self.due, self._clock.monotonic())

    def apply(self, settings: Settings, reason: str) -> None:
        """Go by these from now on. `reason`: what the history says when that switches it off."""
        self.settings = settings
        self._pause = min(max(self._pause, settings.first_pause), settings.longest_pause)
        if not settings.live:
            self._leave(reason)
        elif self.state == "off":
            self._begin()
        elif self.state in ("failing", "away"):
            self.due = min(self.due, self._clock.monotonic() + self._pause)

    def _begin(self) -> None:
        self._failed, self._pause, self.due = 0, self.settings.first_pause, self._clock.monotonic()
        self._enter("starting", "")

    def _leave(self, reason: str) -> bool:
        self.due = math.inf
        return self._enter("off", reason)

    def _enter(self, state: State, reason: str) -> bool:
        if self.state == state:
            if self.reason != reason:
                self.history[-1] = self.history[-1]._replace(reason=reason)
            return False
        self.history.append(Change(state, self._clock.time(), reason))
        return True
