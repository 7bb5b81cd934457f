"""How late the event loop runs while thousands of alerts fire in one tick, and while they end in one.

    python -m tests.performance.bench_storm [RULES] [FIRING]

The engine with its store and a log in memory. An alert for each group, as the shipped routes have it, and all alerts in
one group; each goes to the streams and to a person whose channel takes everything at once. `quiet` is the same daemon
while nothing fires.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import structlog
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.cli.running import collect_seldom
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.routing import GroupingConfig
from hxp_enterprise_llm.config.rules import RuleConfig
from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.notifications.channels.factory import channel_factory
from hxp_enterprise_llm.event.notifications.channels.model import Channel, Readiness
from hxp_enterprise_llm.event.notifications.engine import NotificationEngine
from hxp_enterprise_llm.event.notifications.model import Delivery
from hxp_enterprise_llm.runtime.clock import SystemClock
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
    """What runs, and how late the loop was since the list was last cleared, in seconds."""

    log: MemoryLog
    engine: NotificationEngine
    late: list[float]


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
    with tempfile.TemporaryDirectory() as directory:
        store = Store(Path(directory) / "state.db")
        metrics = NotificationMetrics(CollectorRegistry())
        engine = NotificationEngine(settings, log, store, channels, clock=SystemClock(), metrics=metrics)
        await log.open()
        await store.open()
        tasks = {asyncio.create_task(engine.run()), asyncio.create_task(_lateness(late))}
        try:
            yield House(log, engine, late)
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


async def tick(house: House, value: float, kind: str, count: int) -> tuple[float, float]:
    """All metrics have this value; worst lateness of the loop, and seconds until the last alert is in the log."""
    house.late.clear()
    begun = time.monotonic()
    await house.log.append([snapshot(time.time(), **{f"m{n}": value for n in range(METRICS)})])
    offset, told = (await house.log.bounds()).head, 0
    while told < count:
        batch = await house.log.read(offset, 10_000)
        told, offset = told + sum(event.type == f"alert.{kind}" for event in batch.events), batch.next
        await asyncio.sleep(0.01)
    took = time.monotonic() - begun
    await _all_delivered(house)
    return max(house.late), took


async def _all_delivered(house: House) -> None:
    while True:
        await asyncio.sleep(1.5)  # also a tick in which nothing happens
        found = await house.engine.deliveries()
        if not any(each.counts.get(state) for each in found.values() for state in ("queued", "in_flight", "retry")):
            return


async def storm(rules: int, firing: int) -> str:
    """The table."""
    lines = [f"{rules:,} rules, {firing:,} alerts in one tick; the loop late by at most, in ms"]
    lines.append(
        f"{'groups':<12}{'quiet':>8}{'fire':>8}{'end':>8}{'worst/quiet':>13}{'told after s':>14}{'ms each':>9}"
    )
    for words, group_by in (("one each", ["alertname"]), ("one for all", [])):
        async with house(rules, firing, group_by) as each:
            await tick(each, -1.0, "", 0)
            quiet, _ = await tick(each, -2.0, "", 0)
            fire, took = await tick(each, 1.0, "firing", firing)
            end, _ = await tick(each, -1.0, "resolved", firing)
        figures = f"{1e3 * quiet:>8.0f}{1e3 * fire:>8.0f}{1e3 * end:>8.0f}{max(fire, end) / quiet:>13.1f}"
        lines.append(f"{words:<12}{figures}{took:>14.2f}{1e3 * took / firing:>9.2f}")
    return "\n".join(lines) + "\n"


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
