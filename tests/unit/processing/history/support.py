"""A history in a directory, and events to fill it with."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from hxp_enterprise_llm.config.processing import MetricConfig, default_metrics
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.processing.history.collector import Collector
from hxp_enterprise_llm.event.processing.history.model import ALWAYS, Cursor
from hxp_enterprise_llm.event.processing.history.store import Keep, Store
from hxp_enterprise_llm.event.processing.metrics import Metric, compile_metrics

from ..events import NOW, WINDOWS, stored

DAY = 86_400
KEEP = Keep(7 * DAY, 90 * DAY)
BUDGET = 64 * 1024 * 1024


def metrics(configs: Sequence[MetricConfig] = ()) -> tuple[Metric, ...]:
    return compile_metrics(configs or default_metrics(), WINDOWS)


def collector(configs: Sequence[MetricConfig] = ()) -> Collector:
    return Collector([*ALWAYS, *(a for metric in metrics(configs) for a in metric.accumulators)])


def opened(directory: Path, budget: int = BUDGET, keep: Keep = KEEP) -> Store:
    return Store(directory / "history.db", budget, keep)


def write(store: Store, events: Iterable[Stored], now: float = NOW, *, take: Collector | None = None) -> None:
    """Take events in and store them as one."""
    gathering = take or collector()
    those = list(events)
    gathering.take(those, now)
    position = max([store.cursor.position, *(event.offset for event in those)])
    store.write(gathering.drain(), Cursor("e", position), now)


def fold_all(store: Store, now: float = NOW + 400 * DAY) -> None:
    """Fold until nothing is left to fold."""
    while due := store.due(now):
        for place in due:
            store.fold(place)


def requests(
    chance: random.Random, count: int, *, begin: float, seconds: float, models: int = 3, start: int = 1
) -> list[Stored]:
    """LLM requests at random moments of a stretch of time."""
    return [
        stored(
            start + n,
            chance.choice(["llm.request.completed"] * 4 + ["llm.request.failed"]),
            begin + chance.random() * seconds,
            model=f"m{chance.randrange(models)}",
            agent=f"a{chance.randrange(5)}",
            latency_ms=round(chance.lognormvariate(6, 1), 3),
            input_tokens=chance.randrange(4000),
            output_tokens=chance.randrange(900),
        )
        for n in range(count)
    ]


def snapshots(begin: float, seconds: int, *, start: int = 1_000_000, tick: float = 1.0) -> list[Stored]:
    """What analytics leaves in the log on each tick of so many seconds."""
    ticks = int(seconds / tick)
    return [stored(start + n, "analytics.snapshot", begin + n * tick, tick_s=tick) for n in range(ticks)]
