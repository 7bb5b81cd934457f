"""How much a server can deliver: the highest step of a ladder at which everything arrives in time."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from statistics import median

from tests.performance.harness import Foreign, Load, cpu_seconds, family
from tests.performance.publishers import Publisher
from tests.performance.servers import Server

STEP_SECONDS = 1.0
WARM_SECONDS = 0.3
MOST_P99_MS = 100.0
PATIENCE_MS = (250.0, 1000.0)
"""What a peer is allowed that passes no step within `MOST_P99_MS`."""
LATE = 1.05
"""A publisher that needs this much longer than planned has been held up: the step is not passed."""
COARSE, FINE = 1.5, 1.22
BUSY_NEIGHBOURS = 0.25
"""Cores of other programs above which a step that failed is tried again."""
MOST_SECONDS = 10.0
"""A ladder ends after so long, at the best step so far."""
CEILING = 8_000_000
"""Deliveries a second above which the load generator's core would be what is measured."""


@dataclass
class Step:
    """What one window gave."""

    rate: float = 0.0
    """Deliveries a second."""
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    gateway_us: float = 0.0
    """Microseconds of CPU of the process with the connections, a delivery."""
    all_us: float = 0.0
    """The same of all processes of the server."""
    joined: float = 0.0
    """Deliveries a read of the client's socket: 1 when nothing was joined."""
    wire: float = 0.0
    """Bytes a delivery."""
    foreign: float = 0.0
    """Cores that others used meanwhile."""
    passed: bool = False
    within_ms: float = MOST_P99_MS
    """What its p99 had to be below."""
    faults: str = ""


@dataclass
class Runs:
    """The same measurement several times."""

    steps: list[Step] = field(default_factory=list)

    def median(self, name: str) -> float:
        return float(median(getattr(step, name) for step in self.steps))

    def spread(self, name: str) -> str:
        values = sorted(getattr(step, name) for step in self.steps)
        return f"{values[0]:,.3g}–{values[-1]:,.3g}" if values[-1] < 1000 else f"{values[0]:,.0f}–{values[-1]:,.0f}"


class Window:
    """Publishes to the subscribers of one load generator, window after window."""

    def __init__(self, server: Server, load: Load, publisher: Publisher) -> None:
        self._server, self._load, self._publisher = server, load, publisher
        self.within_ms = MOST_P99_MS

    def measure(self, events: float, seconds: float = STEP_SECONDS, within: float = 3.0) -> Step:
        """Publish so many events a second; wait until everybody has them."""
        server, load = self._server, self._load
        load.reset()
        foreign = Foreign(lambda: [*server.pids(), load.pid, os.getpid()])
        gateway, everything = family(server.gateway), server.pids()
        before = cpu_seconds(gateway), cpu_seconds(everything)
        begun = time.monotonic()
        count = self._publisher.drive(events, seconds)
        took = max(seconds, time.monotonic() - begun)
        found = load.arrived(self._publisher.sent, within)
        got = max(1, found.messages)
        return Step(
            rate=count * load.connections / took,
            p50_ms=found.p50_ms,
            p99_ms=found.p99_ms,
            gateway_us=1e6 * (cpu_seconds(gateway) - before[0]) / got,
            all_us=1e6 * (cpu_seconds(everything) - before[1]) / got,
            joined=found.messages / max(1, found.reads),
            wire=found.bytes / got,
            foreign=foreign.cores(),
            within_ms=self.within_ms,
            passed=found.p99_ms < self.within_ms and took < LATE * seconds and found.least >= self._publisher.sent,
            faults=found.faults(),
        )


def climb(window: Window, connections: int, start: float) -> Step:
    """The best step. Raises AssertionError when a subscriber lost, doubled or reordered events."""
    # The first bytes on a connection cost more than all that follow.
    warm = window.measure(start / connections, WARM_SECONDS)
    assert not warm.faults, warm.faults
    rate, factor, end = start, COARSE, time.monotonic() + MOST_SECONDS
    best = _attempt(window, rate / connections)
    while not best.passed and rate > start / 64:
        rate /= 4
        best = _attempt(window, rate / connections)
    while best.passed and rate * factor <= CEILING and time.monotonic() < end:
        step = _attempt(window, rate * factor / connections)
        if step.passed:
            best, rate = step, rate * factor
        if factor == FINE:
            break
        factor = COARSE if step.passed else FINE
    return best


def climb_patiently(window: Window, connections: int, start: float) -> Step:
    """`climb`, again with more time for each event as long as no step is passed."""
    best = climb(window, connections, start)
    for window.within_ms in PATIENCE_MS:
        if best.passed:
            break
        best = climb(window, connections, start)
    return best


def _attempt(window: Window, events: float) -> Step:
    step = window.measure(events)
    if not step.passed and not step.faults and step.foreign > BUSY_NEIGHBOURS:
        step = window.measure(events)
    assert not step.faults, step.faults
    return step
