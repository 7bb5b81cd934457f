"""How late the event loop runs while thousands of alerts fire in one tick, and while they end in one.

    python -m tests.performance.bench_storm [RULES] [FIRING]

The engine with its store and a log in memory. An alert for each group, as the shipped routes have it, and all alerts in
one group; each goes to the streams and to a person whose channel takes everything at once. `quiet` is the same daemon
while nothing fires. Beside lateness, which is also the machine's, stands the longest stretch: the most processor time
that the loop spent in one go.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import structlog
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.routing import GroupingConfig
from hxp_enterprise_llm.config.rules import RuleConfig
from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.notifications.channels.factory import channel_factory
from hxp_enterprise_llm.event.notifications.channels.model import Channel, Readiness
from hxp_enterprise_llm.event.notifications.engine import NotificationEngine
from hxp_enterprise_llm.event.notifications.model import Delivery
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.runtime.collecting import collect_seldom
from hxp_enterprise_llm.store.database import Store
from hxp_enterprise_llm.telemetry.notification_metrics import NotificationMetrics
from tests.unit.notifications.support import snapshot

METRICS = 1000


class Person:
    """A channel by which everything is taken at once."""

    name, targets, readiness = "email", ("a@b.example",), Readiness(True)

    def reaches(self, target: str) -> Readiness:
        return self.readiness

    async def send(self, delivery: Delivery, timeout: float) -> None:
        return


class House(NamedTuple):
    """What runs; how late the loop was and how long its stretches since the lists were last cleared, in seconds."""

    log: MemoryLog
    engine: NotificationEngine
    late: list[float]
    stretches: list[float]


class Tick(NamedTuple):
    """The worst of it, and the seconds until the last alert is in the log."""

    late: float
    stretch: float
    took: float


@contextmanager
def stretches() -> Iterator[list[float]]:
    """Processor time of each callback and step that the loop runs."""
    found: list[float] = []
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        begun = time.thread_time()
        run(handle)
        found.append(time.thread_time() - begun)

    asyncio.Handle._run = timed
    try:
        yield found
    finally:
        asyncio.Handle._run = run


@asynccontextmanager
async def house(rules: int, firing: int, group_by: list[str]) -> AsyncIterator[House]:
    """An engine with so many rules, of which so many fire above 0."""
    log = MemoryLog()
    settings = NotificationsConfig(
        notification_channels=["websocket", "sse", "email"],
        notification_rules=[
            RuleConfig(name=f"r{n}", condition=f"m{n % METRICS} > {0 if n < firing else 10}", channel="all")
            for n in range(rules)
        ],
        grouping=GroupingConfig(group_by=group_by, group_wait="0s", group_interval="0s"),
        directory="",
    )
    make = channel_factory(log, lambda file, credential: None, time=time.time)

    def channels(config: NotificationsConfig) -> Sequence[Channel]:
        return [Person() if channel.name == "email" else channel for channel in make(config)]

    late: list[float] = []
    with tempfile.TemporaryDirectory() as directory, stretches() as spent:
        store = Store(Path(directory) / "state.db")
        metrics = NotificationMetrics(CollectorRegistry())
        engine = NotificationEngine(settings, log, store, channels, clock=SystemClock(), metrics=metrics)
        await log.open()
        await store.open()
        tasks = {asyncio.create_task(engine.run()), asyncio.create_task(_lateness(late))}
        try:
            yield House(log, engine, late, spent)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await store.close()


async def _lateness(late: list[float]) -> None:
    while True:
        due = time.monotonic() + 0.001
        await asyncio.sleep(0.001)
        late.append(time.monotonic() - due)


async def tick(house: House, value: float, kind: str, count: int) -> Tick:
    """All metrics have this value, whereupon so many alerts fire or end."""
    house.late.clear()
    house.stretches.clear()
    begun = time.monotonic()
    await house.log.append([snapshot(time.time(), **{f"m{n}": value for n in range(METRICS)})])
    offset, told = (await house.log.bounds()).head, 0
    while told < count:
        batch = await house.log.read(offset, 10_000)
        told, offset = told + sum(event.type == f"alert.{kind}" for event in batch.events), batch.next
        await asyncio.sleep(0.01)
    took = time.monotonic() - begun
    await _all_delivered(house)
    return Tick(max(house.late), max(house.stretches), took)


async def _all_delivered(house: House) -> None:
    while True:
        await asyncio.sleep(1.5)  # also a tick in which nothing happens
        found = await house.engine.deliveries()
        if not any(each.counts.get(state) for each in found.values() for state in ("queued", "in_flight", "retry")):
            return


async def storm(rules: int, firing: int) -> str:
    """The table."""
    lines = [f"{rules:,} rules, {firing:,} alerts in one tick; lateness and longest stretch in ms"]
    heads = ("groups", "", "late", "to quiet", "stretch", "to quiet", "all told after")
    lines.append("{:<13}{:<7}{:>7}{:>9}{:>9}{:>9}{:>15}".format(*heads))
    for words, group_by in (("one each", ["alertname"]), ("one for all", [])):
        async with house(rules, firing, group_by) as each:
            await tick(each, -1.0, "", 0)
            quiet = await tick(each, -2.0, "", 0)
            found = {"quiet": quiet, "fire": await tick(each, 1.0, "firing", firing)}
            found["end"] = await tick(each, -1.0, "resolved", firing)
        lines += [_line(words, name, one, quiet) for name, one in found.items()]
    return "\n".join(lines) + "\n"


def _line(words: str, name: str, one: Tick, quiet: Tick) -> str:
    late, stretch = f"{1e3 * one.late:>7.0f}{one.late / quiet.late:>8.1f}x", f"{1e3 * one.stretch:>9.1f}"
    told = "" if one is quiet else f"{one.took:>13.2f} s"
    return f"{words:<13}{name:<7}{late}{stretch}{one.stretch / quiet.stretch:>8.1f}x{told}"


def main(rules: int = 10_000, firing: int = 2000) -> None:
    """Run it as the daemon runs: its logs go into nothing."""
    collect_seldom()
    with open(os.devnull, "w") as nothing:
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(20),
            logger_factory=lambda *_: structlog.PrintLogger(nothing),
        )
        sys.stdout.write(asyncio.run(storm(rules, firing)))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
