"""Cost of the history: CPU time of an event taken in and written, of folding, of a range; bytes on disk.

Run it with `python -m tests.performance history`. It prints figures and judges nothing. CPU time of this process.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hxp_enterprise_llm.config.processing import default_metrics
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.processing.history.collector import Collector
from hxp_enterprise_llm.event.processing.history.model import ALWAYS, TIERS, Cursor
from hxp_enterprise_llm.event.processing.history.ranges import Asked, answer, plan
from hxp_enterprise_llm.event.processing.history.reading import Reader
from hxp_enterprise_llm.event.processing.history.store import Keep, Store
from hxp_enterprise_llm.event.processing.metrics import compile_metrics
from tests.performance.bench_processing import EVENTS, NOW, REQUEST, WINDOWS, spread

METRICS = compile_metrics(default_metrics(), WINDOWS)
BATCH, WRITE = 1024, 8192
DAY = 86_400


def timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def fill(store: Store, events: list[Stored]) -> tuple[float, float, float]:
    """Seconds of taking in, of writing, and of folding."""
    collector = Collector([*ALWAYS, *(a for metric in METRICS for a in metric.accumulators)])
    taking = writing = folding = 0.0
    for start in range(0, len(events), WRITE):
        those = events[start : start + WRITE]
        for at in range(0, len(those), BATCH):
            taking += timed(partial(collector.take, those[at : at + BATCH], NOW))
        cursor = Cursor("e", those[-1].offset)
        writing += timed(partial(store.write, collector.drain(), cursor, NOW))
        folding += timed(lambda: [store.fold(place) for place in store.due(NOW)])
    return taking, writing, folding


def ranges(path: Path, seconds: int) -> None:
    """A sum and a quantile over all of it."""
    reader = Reader(path)
    for metric in METRICS:
        if metric.name in ("tokens", "latency"):
            asked = Asked(metric, None, int(NOW - seconds), int(NOW), None, NOW)
            made = plan(asked, [0] * len(TIERS), 2000)
            took = timed(partial(answer, asked, made, reader.read, 0))
            report(f"  {metric.name} over it, {made.points} points of tier {made.tier.name}", f"{1000 * took:.0f} ms")
    reader.close()


def report(name: str, figure: str) -> None:
    print(f"{name:<58} {figure}")


def main() -> None:
    for name, seconds in (("a minute at 667 a second", 60), ("an hour at 11 a second", 3600), ("a day, sparse", DAY)):
        events = spread(random.Random(1), [REQUEST], seconds)
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            path = Path(directory) / "history.db"
            store = Store(path, 2**31, Keep(7 * DAY, 90 * DAY))
            parts = zip(("taken in", "written", "folded"), fill(store, events), strict=True)
            figures = ", ".join(f"{part} {1e6 * took / EVENTS:.1f}" for part, took in parts)
            report(name, f"µs an event: {figures}; {store.size / EVENTS:.0f} bytes an event")
            ranges(path, seconds)
            store.close()


if __name__ == "__main__":
    main()
