"""Now, on the clock that people see and on one that nobody can set."""

from __future__ import annotations

from typing import NamedTuple

from hxp_enterprise_llm.runtime.clock import Clock


class Instant(NamedTuple):
    """Now: `wall` in seconds since 1970, UTC, as clocks show it; `steady` the same, but never set back or forth."""

    wall: float
    steady: float


class SteadyClock:
    """Begins with the wall clock, goes on with the monotonic one: what waits is measured on it, also in the store."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._from, self._began = clock.time(), clock.monotonic()

    def now(self) -> Instant:
        """The present on both clocks."""
        return Instant(self._clock.time(), self._from + self._clock.monotonic() - self._began)

    def go_on_from(self, steady: float) -> None:
        """An earlier run was there already, should the wall clock have been set back since: never before it."""
        self._from += max(0.0, steady - self.now().steady)
