"""All built-in aggregations on one core: analytics, the platform, the history; CPU time of an event, top of a profile.

Run it with `python -m tests.performance platform`. It prints figures and judges nothing. CPU time of this process, the
best of three; events a second is its inverse, what one core would take if it did nothing else.
"""

from __future__ import annotations

import cProfile
import pstats
import random
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from hxp_enterprise_llm.config.platform import PlatformConfig
from hxp_enterprise_llm.config.processing import default_metrics
from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import Event, Offset, encode, rfc3339
from hxp_enterprise_llm.event.processing.analytics import Analytics
from hxp_enterprise_llm.event.processing.history.collector import Collector
from hxp_enterprise_llm.event.processing.history.model import ALWAYS, Cursor
from hxp_enterprise_llm.event.processing.history.store import Keep, Store
from hxp_enterprise_llm.event.processing.metrics import compile_metrics
from hxp_enterprise_llm.event.processing.platform.keeping import Saved, encoded
from hxp_enterprise_llm.event.processing.platform.platform import Platform
from hxp_enterprise_llm.event.processing.platform.snapshot import snapshot_data
from hxp_enterprise_llm.event.processing.prices.table import shipped
from hxp_enterprise_llm.event.processing.windows import Timeline
from hxp_enterprise_llm.runtime.collecting import collect_seldom

NOW = 1_800_000_000.0
DAY = 86_400
EVENTS = 60_000
WINDOWS = {"10s": 10.0, "1m": 60.0, "5m": 300.0}
MODELS = ("gpt-4o", "gpt-4o-mini", "o3-mini", "gpt-4.1", "own-finetune-7b")
REQUEST = "llm.request.completed"
MIX = [REQUEST] * 5 + [
    *["tool.call.completed"] * 2,
    *["memory.tier.access"] * 2,
    *("knowledge.access", "agent.started", "agent.handoff", "llm.request.failed"),
]


def data_of(type: str, chance: random.Random) -> dict[str, Any]:
    """25 agents, five models, 200 users, 300 items; each request has its own session."""
    agent = f"agent-{chance.randrange(25)}"
    match type:
        case "llm.request.completed":
            return {
                "model": chance.choice(MODELS),
                "provider": "openai",
                "latency_ms": round(chance.lognormvariate(6, 1), 1),
                "time_to_first_token_ms": round(chance.lognormvariate(4, 1), 1),
                "input_tokens": chance.randrange(4000),
                "output_tokens": chance.randrange(900),
                "cached_input_tokens": chance.choice([0, 0, 512]),
                "finish_reason": "stop",
                "agent": agent,
                "user": f"u-{chance.randrange(200)}",
                "session": f"s-{chance.random()}",
            }
        case "llm.request.failed":
            return {"model": chance.choice(MODELS), "error": "timeout", "latency_ms": 30_000, "agent": agent}
        case "tool.call.completed":
            return {"tool": f"tool-{chance.randrange(14)}", "success": True, "duration_ms": 12.5, "agent": agent}
        case "memory.tier.access":
            tier = chance.choice(["redis", "postgres", "chroma"])
            return {"tier": tier, "hit": chance.random() < 0.5, "latency_ms": round(20 * chance.random(), 2)}
        case "knowledge.access":
            return {"item": f"i-{chance.randrange(300)}", "agent": agent, "tier": "chroma", "latency_ms": 40.5}
        case "agent.started":
            return {"agent": agent, "run": f"r-{chance.random()}"}
        case _:
            return {"from": agent, "to": f"agent-{chance.randrange(25)}", "kind": "delegate", "outcome": "success"}


def load(types: Sequence[str], chance: random.Random) -> StoredColumns:
    """Events of these types, spread over a second, by column as the log has them."""
    made = []
    for n in range(EVENTS):
        type = chance.choice(types)
        time = rfc3339(NOW - chance.random())
        event = Event(id=f"e{n}", source=f"/gateway/{n % 20}", type=type, time=time, data=data_of(type, chance))
        made.append(Stored(Offset(n + 1), type, encode(event).raw))
    return StoredColumns.of(made)


class All:
    """The cores of these rooms, as the follower of each would feed them; the history writes to a file."""

    def __init__(self, directory: Path, rooms: Collection[str]) -> None:
        self.analytics = Analytics(METRICS, Timeline(WINDOWS)) if "analytics" in rooms else None
        self.platform = Platform(PlatformConfig(), PRICES) if "platform" in rooms else None
        self.history = Writing(directory) if "history" in rooms else None
        if self.analytics is not None:
            self.analytics.advance(NOW)

    def take(self, events: StoredColumns, batch: int) -> None:
        """Take all events in, and book, write and fold what they leave pending."""
        for start in range(0, len(events), batch):
            those = events[start : start + batch]
            if self.analytics is not None:
                self.analytics.take(those)
            if self.platform is not None:
                self.platform.take(those)
            if self.history is not None:
                self.history.take(those)
        if self.platform is not None:
            self.platform.settled()
        if self.history is not None:
            self.history.close()


class Writing:
    """The history as its thread works: events are collected, and written once there are many."""

    def __init__(self, directory: Path) -> None:
        self._collector = Collector([*ALWAYS, *(a for metric in METRICS for a in metric.accumulators)])
        self._store = Store(directory / f"{uuid4()}.db", 2**31, Keep(7 * DAY, 90 * DAY))
        self._position = 0

    def take(self, events: StoredColumns) -> None:
        self._collector.take(events, NOW)
        self._position = events.offsets[-1]
        if self._collector.full:
            self._write()

    def _write(self) -> None:
        self._store.write(self._collector.drain(), Cursor("e", self._position), NOW)

    def close(self) -> None:
        self._write()
        for place in self._store.due(NOW + 2 * DAY):
            self._store.fold(place)
        self._store.close()


PRICES = shipped()
METRICS = compile_metrics(default_metrics(), WINDOWS)
ROOMS = ("analytics", "platform", "history")


def timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def best(events: StoredColumns, batch: int, rooms: Collection[str]) -> float:
    """Microseconds an event."""
    with TemporaryDirectory(prefix="bench-") as directory:
        found = [timed(partial(All(Path(directory), rooms).take, events, batch)) for _ in range(3)]
    return min(found) * 1e6 / len(events)


def report(name: str, figure: str) -> None:
    print(f"{name:<58} {figure}")


def main() -> None:
    collect_seldom()
    chance = random.Random(1)
    for name, types in (("requests alone", [REQUEST]), ("seven types", MIX)):
        events = load(types, chance)
        for batch in (100, 1000):
            for room in ROOMS:
                report(f"{name}, batches of {batch}: {room}", f"{best(events, batch, [room]):.2f} µs/event")
            together = best(events, batch, ROOMS)
            report(
                f"{name}, batches of {batch}: all on one core",
                f"{together:.2f} µs/event, {1e3 / together:,.0f} thousand/s",
            )
        top_five(events)
    platform = Platform(PlatformConfig(), PRICES)
    platform.take(events)
    state = platform.settled()
    content = encoded(Saved("e", 1, state))
    report(
        "a save: encoding, of " + f"{len(content) / 1e3:.0f} kB",
        f"{1e3 * timed(lambda: encoded(Saved('e', 1, state))):.1f} ms",
    )
    views = platform.views(NOW)
    report("a platform.snapshot", f"{1e3 * timed(lambda: snapshot_data(views, NOW, 1)):.1f} ms")
    report("values for analytics.snapshot", f"{1e3 * timed(views.extras):.1f} ms")


def top_five(events: StoredColumns) -> None:
    """Where the time of all of it goes."""
    profile = cProfile.Profile()
    with TemporaryDirectory(prefix="bench-") as directory:
        everything = All(Path(directory), ROOMS)
        profile.runcall(everything.take, events, 1000)
    found = pstats.Stats(profile).get_stats_profile()
    ranked = sorted(found.func_profiles.items(), key=lambda each: -each[1].tottime)[:5]
    for name, each in ranked:
        where = f"{each.file_name.rpartition('/')[2]}:{each.line_number}" if each.line_number else "built in"
        report(f"    {100 * each.tottime / found.total_tt:4.1f} %  {name}", where)


if __name__ == "__main__":
    main()
