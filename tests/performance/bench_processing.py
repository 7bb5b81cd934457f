"""Speed of analytics' core: events taken in a second, time of a snapshot, memory.

Run it with `python tests/performance/bench_processing.py`. It prints figures and judges nothing.
"""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable
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
EVENTS = 100_000
BATCH = 1000


def core() -> Analytics:
    analytics = Analytics(compile_metrics(default_metrics(), WINDOWS), Timeline(WINDOWS))
    analytics.advance(NOW)
    return analytics


def requests(chance: random.Random, seconds: float) -> list[Stored]:
    """LLM requests spread over so many seconds before NOW: they touch six accumulators each, the most of any type."""
    return [stored(n, "llm.request.completed", NOW - seconds * (1 - n / EVENTS), chance) for n in range(EVENTS)]


def stored(number: int, type: str, at: float, chance: random.Random) -> Stored:
    data = {"model": "m", "latency_ms": chance.lognormvariate(6, 1), "input_tokens": chance.randrange(4000)}
    event = Event(id=str(number), source=f"/gateway/{number % 20}", type=type, time=rfc3339(at), data=data)
    return Stored(Offset(number + 1), type, encode(event).raw)


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def take_all(analytics: Analytics, events: list[Stored]) -> None:
    for start in range(0, len(events), BATCH):
        analytics.take(events[start : start + BATCH])


def report(name: str, figure: str) -> None:
    print(f"{name:<58} {figure}")


def main() -> None:
    chance = random.Random(1)
    llm = requests(chance, 280)
    plain = [stored(n, "bench.tick", NOW - 1, chance) for n in range(EVENTS)]
    own = [stored(n, "analytics.snapshot", NOW - 1, chance) for n in range(EVENTS)]
    for name, events in (("llm.request.completed", llm), ("bench.tick", plain), ("analytics.snapshot", own)):
        best = min(timed(partial(take_all, core(), events)) for _ in range(3))
        report(f"{name}, {len(events[0].raw)} bytes, in batches of {BATCH}", f"{EVENTS / best:,.0f} events/s")
    analytics = core()
    take_all(analytics, llm)
    report("first values of 12 metrics over 3 windows", f"{1000 * timed(partial(analytics.values, NOW)):.1f} ms")
    ticks = []
    for second in range(1, 11):
        analytics.advance(NOW + second)
        analytics.take([stored(n, "llm.request.completed", NOW + second, chance) for n in range(357)])
        ticks.append(timed(partial(analytics.values, NOW + second)))
    report("values on each further tick, median of 10", f"{1000 * sorted(ticks)[5]:.2f} ms")
    tracemalloc.start()
    kept = core()
    take_all(kept, llm)
    kept.values(NOW)
    report("memory of 5 minutes at 357 requests a second", f"{tracemalloc.get_traced_memory()[0] / 1e6:.1f} MB")
    tracemalloc.stop()
    sketch, values = Sketch(), [chance.lognormvariate(6, 1) for _ in range(EVENTS)]
    started = time.perf_counter()
    for value in values:
        sketch.add(value)
    report("Sketch.add", f"{EVENTS / (time.perf_counter() - started):,.0f} values/s")


if __name__ == "__main__":
    main()
