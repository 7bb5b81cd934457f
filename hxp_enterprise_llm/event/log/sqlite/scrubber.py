"""Looking through the log in the background: slowly, record by record; and what was found."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

from hxp_enterprise_llm.event.log.model import Bounds
from hxp_enterprise_llm.event.log.sqlite.examine import Damage
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.telemetry.metrics import LogMetrics

log = structlog.get_logger("log")

STEP_BYTES = 256 * 1024
"""Readers wait for one step at most."""

PASS_SECONDS = 3600.0
"""A pass begins so long after the one before, or when that ends."""

DOUBT_SHOWN_SECONDS = 3600.0
_SHOWN = 5


class Findings:
    """What is known to be wrong with a log that works all the same."""

    def __init__(self, metrics: LogMetrics, clock: Clock) -> None:
        self._metrics, self._clock = metrics, clock
        self._damages: dict[tuple[str, int], Damage] = {}
        self._doubt, self._doubted_at = "", 0.0

    @property
    def damages(self) -> list[Damage]:
        """Damaged stretches, oldest first."""
        return sorted(self._damages.values(), key=lambda damage: damage.first)

    def opened(self, doubt: str) -> None:
        """Begin anew; `doubt` says why the log has a new epoch."""
        self._damages.clear()
        self._count()
        self._doubt, self._doubted_at = doubt, self._clock.time()
        self._metrics.epoch_doubted.set(self._doubted_at if doubt else 0)

    def add(self, damages: Iterable[Damage]) -> None:
        """Keep what was found; each place is told once."""
        for damage in damages:
            place = (damage.path.name, damage.first)
            if place not in self._damages:
                log.error("log.damaged", place=str(damage), events=damage.events, bytes=damage.bytes)
            self._damages[place] = damage
        self._count()

    def trimmed(self, first: Offset) -> None:
        """Forget what is no longer in the log."""
        gone = [place for place, damage in self._damages.items() if damage.last < first]
        for place in gone:
            del self._damages[place]
        if gone:
            self._count()

    def _count(self) -> None:
        self._metrics.damaged.set(sum(damage.events for damage in self._damages.values()))

    def texts(self) -> tuple[str, ...]:
        """What an operator reads: at most a few lines."""
        lines = [str(damage) for damage in self.damages]
        shown = lines[:_SHOWN]
        if len(lines) > _SHOWN:
            shown.append(f"and {len(lines) - _SHOWN} more damaged places")
        if self._doubt and self._clock.time() - self._doubted_at < DOUBT_SHOWN_SECONDS:
            shown.append(f"opened under a new epoch: {self._doubt}")
        return tuple(shown)


class Scrubber:
    """Reads the log from its first event to its head, a bit at each tick, and begins anew an hour later."""

    def __init__(
        self,
        look: Callable[[Offset, int], Awaitable[tuple[Offset, int, list[Damage]]]],
        bounds: Callable[[], Bounds],
        findings: Findings,
        metrics: LogMetrics,
        clock: Clock,
    ) -> None:
        self._look, self._bounds, self._findings = look, bounds, findings
        self._metrics, self._clock = metrics, clock
        self._after: Offset | None = None
        self._next_pass = 0.0

    async def tick(self, max_bytes: int) -> bool:
        """Go on by so many bytes; True when a pass ended."""
        now = self._clock.monotonic()
        if self._after is None:
            if now < self._next_pass or not max_bytes:
                return False
            self._after, self._next_pass = Offset(self._bounds().first - 1), now + PASS_SECONDS
        while max_bytes > 0:
            # What was trimmed in the meantime is nothing to look for.
            after = max(self._after, Offset(self._bounds().first - 1))
            self._after, size, damages = await self._look(after, min(STEP_BYTES, max_bytes))
            self._findings.add(damages)
            self._metrics.scrubbed.inc(size)
            if self._after == after:
                self._after = None
                self._metrics.scrub_finished.set(self._clock.time())
                return True
            max_bytes -= max(size, 1)
            await asyncio.sleep(0)
        return False
