"""Cost of analytics' core with the shipped metrics: CPU time of an event by size of batch, of a snapshot, memory.

Run it with `python tests/performance/bench_processing.py`. It prints figures and judges nothing. CPU time of this
process, the best of three.
"""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial

from hxp_enterprise_llm.config.processing import default_metrics
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import Event, Offset, encode, rfc3339
from hxp_enterprise_llm.event.processing.analytics import Analytics
from hxp_enterprise_llm.event.processing.metrics import compile_metrics
from hxp_enterprise_llm.event.processing.sketch import Sketch
from hxp_enterprise_llm.event.processing.windows import Timeline

WINDOWS = {"10s": 10.0, "1m": 60.0, "5m": 300.0}
NOW = 1_800_000_000.0
EVENTS = 40_000
BATCHES = (1, 100, 1000, 4096)
REQUEST, FAILED = "llm.request.completed", "llm.request.failed"
MIX = (REQUEST, REQUEST, REQUEST, FAILED, "agent.started", "host.cpu", "analytics.snapshot")


def core() -> Analytics:
    analytics = Analytics(compile_metrics(default_metrics(), WINDOWS), Timeline(WINDOWS))
    analytics.advance(NOW)
    return analytics


def loads(chance: random.Random) -> dict[str, list[Stored]]:
    """One second of events each; LLM requests touch five accumulators, the most of any type."""
    return {
        "llm.request.completed": spread(chance, [REQUEST], 1),
        "llm.request.completed, each of another time": spread(chance, [REQUEST], 280),
        "llm.request.*, 5 % failed": spread(chance, [REQUEST] * 19 + [FAILED], 1),
        "six types mixed": spread(chance, MIX, 1),
        "bench.tick": spread(chance, ["bench.tick"], 1),
        "analytics.snapshot": spread(chance, ["analytics.snapshot"], 1),
    }


def spread(chance: random.Random, types: Sequence[str], seconds: float) -> list[Stored]:
    """Events of these types, spread over so many seconds before NOW."""
    return [stored(n, chance.choice(types), NOW - seconds * (1 - n / EVENTS), chance) for n in range(EVENTS)]


def stored(number: int, type: str, at: float, chance: random.Random) -> Stored:
    data = {
        "model": "m",
        "latency_ms": chance.lognormvariate(6, 1),
        "input_tokens": chance.randrange(4000),
        "output_tokens": chance.randrange(900),
    }
    event = Event(id=str(number), source=f"/gateway/{number % 20}", type=type, time=rfc3339(at), data=data)
    return Stored(Offset(number + 1), type, encode(event).raw)


def timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def take_all(analytics: Analytics, events: list[Stored], batch: int = 1000) -> None:
    for start in range(0, len(events), batch):
        analytics.take(events[start : start + batch])


def report(name: str, figure: str) -> None:
    print(f"{name:<58} {figure}")


def main() -> None:
    chance = random.Random(1)
    for name, events in loads(chance).items():
        for batch in BATCHES:
            best = min(timed(partial(take_all, core(), events, batch)) for _ in range(3))
            report(f"{name}, in batches of {batch}", f"{1e6 * best / EVENTS:.2f} µs/event")
    llm = spread(chance, [REQUEST], 280)
    analytics = core()
    take_all(analytics, llm)
    report("first values of 12 metrics over 3 windows", f"{1000 * timed(partial(analytics.values, NOW)):.1f} ms")
    ticks = []
    for second in range(1, 11):
        analytics.advance(NOW + second)
        analytics.take([stored(n, "llm.request.completed", NOW + second, chance) for n in range(143)])
        ticks.append(timed(partial(analytics.values, NOW + second)))
    report("values on each further tick, median of 10", f"{1000 * sorted(ticks)[5]:.2f} ms")
    tracemalloc.start()
    kept = core()
    take_all(kept, llm)
    kept.values(NOW)
    report(
        f"memory of 5 minutes at {EVENTS / 280:.0f} requests a second",
        f"{tracemalloc.get_traced_memory()[0] / 1e6:.1f} MB",
    )
    tracemalloc.stop()
    sketch, values = Sketch(), [chance.lognormvariate(6, 1) for _ in range(EVENTS)]
    took = timed(partial(sketch.update, values))
    report("Sketch.update", f"{1e9 * took / EVENTS:.0f} ns/value")


if __name__ == "__main__":
    main()
