"""All built-in aggregations on one core: analytics and the platform's cores, by CPU time of an event; top of a profile.

Run it with `python -m tests.performance platform`. It prints figures and judges nothing. CPU time of this process, the
best of three; events a second is its inverse, what one core would take if it did nothing else.
"""

from __future__ import annotations

import cProfile
import pstats
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from hxp_enterprise_llm.config.platform import PlatformConfig
from hxp_enterprise_llm.config.processing import default_metrics
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import Event, Offset, encode, rfc3339
from hxp_enterprise_llm.event.processing.analytics import Analytics
from hxp_enterprise_llm.event.processing.metrics import compile_metrics
from hxp_enterprise_llm.event.processing.platform.keeping import Saved, encoded
from hxp_enterprise_llm.event.processing.platform.platform import Platform
from hxp_enterprise_llm.event.processing.platform.snapshot import snapshot_data
from hxp_enterprise_llm.event.processing.prices.table import shipped
from hxp_enterprise_llm.event.processing.windows import Timeline

NOW = 1_800_000_000.0
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


def load(types: Sequence[str], chance: random.Random) -> list[Stored]:
    """Events of these types, spread over a second."""
    made = []
    for n in range(EVENTS):
        type = chance.choice(types)
        time = rfc3339(NOW - chance.random())
        event = Event(id=f"e{n}", source=f"/gateway/{n % 20}", type=type, time=time, data=data_of(type, chance))
        made.append(Stored(Offset(n + 1), type, encode(event).raw))
    return made


class All:
    """Both, as the follower of each would feed them."""

    def __init__(self, *, analytics: bool = True, platform: bool = True) -> None:
        self.analytics = (
            Analytics(compile_metrics(default_metrics(), WINDOWS), Timeline(WINDOWS)) if analytics else None
        )
        self.platform = Platform(PlatformConfig(), PRICES) if platform else None
        if self.analytics is not None:
            self.analytics.advance(NOW)

    def take(self, events: list[Stored], batch: int) -> None:
        for start in range(0, len(events), batch):
            if self.analytics is not None:
                self.analytics.take(events[start : start + batch])
            if self.platform is not None:
                self.platform.take(events[start : start + batch])
        if self.platform is not None:
            self.platform.settled()


PRICES = shipped()


def timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def best(events: list[Stored], batch: int, **which: bool) -> float:
    """Microseconds an event."""
    return min(timed(lambda: All(**which).take(events, batch)) for _ in range(3)) * 1e6 / len(events)


def report(name: str, figure: str) -> None:
    print(f"{name:<58} {figure}")


def main() -> None:
    chance = random.Random(1)
    for name, types in (("requests alone", [REQUEST]), ("seven types", MIX)):
        events = load(types, chance)
        for batch in (100, 1000):
            mine, theirs = best(events, batch, analytics=False), best(events, batch, platform=False)
            both = best(events, batch)
            report(f"{name}, batches of {batch}: platform", f"{mine:.2f} µs/event")
            report(f"{name}, batches of {batch}: analytics", f"{theirs:.2f} µs/event")
            report(f"{name}, batches of {batch}: all on one core", f"{both:.2f} µs/event, {1e3 / both:,.0f} thousand/s")
        made = All(analytics=False)
        made.take(events, 1000)
        top_five(events)
    assert made.platform is not None
    state = made.platform.settled()
    content = encoded(Saved("e", 1, state))
    report(
        "a save: encoding, of " + f"{len(content) / 1e3:.0f} kB",
        f"{1e3 * timed(lambda: encoded(Saved('e', 1, state))):.1f} ms",
    )
    views = made.platform.views(NOW)
    report("a platform.snapshot", f"{1e3 * timed(lambda: snapshot_data(views, NOW, 1)):.1f} ms")
    report("values for analytics.snapshot", f"{1e3 * timed(views.extras):.1f} ms")


def top_five(events: list[Stored]) -> None:
    """Where the time of all of it goes."""
    profile = cProfile.Profile()
    everything = All()
    profile.enable()
    everything.take(events, 1000)
    profile.disable()
    found = pstats.Stats(profile).get_stats_profile()
    ranked = sorted(found.func_profiles.items(), key=lambda each: -each[1].tottime)[:5]
    for name, each in ranked:
        where = f"{each.file_name.rpartition('/')[2]}:{each.line_number}" if each.line_number else "built in"
        report(f"    {100 * each.tottime / found.total_tt:4.1f} %  {name}", where)


if __name__ == "__main__":
    main()
