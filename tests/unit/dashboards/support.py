"""What the tests of the dashboards share: a clock that is set by hand, and events as the log holds them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.streaming import DashboardRefreshConfig, LiveDashboardConfig, StreamingConfig
from hxp_enterprise_llm.event.dashboards.service import Dashboards
from hxp_enterprise_llm.event.dashboards.state import DashboardState
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import EventLog, Stored
from hxp_enterprise_llm.event.model import Encoded, Event, Offset, encode, rfc3339
from hxp_enterprise_llm.telemetry.metrics import DashboardMetrics

START = 1_779_366_000.0
"""A moment that is a multiple of every step."""

METRICS = {"throughput": 120.0, "latency_p50": 400.0, "latency_p95": 1200.0, "latency_p99": 2100.0}
METRICS |= {"latency": 1200.0, "request_rate": 0.7, "error_rate": 0.02, "tokens": 58_000.0, "active_sources": 4.0}
METRICS |= {"cpu_percent": 38.0, "memory_percent": 61.0, "disk_percent": 44.0}


class HandClock:
    """Moves only when told."""

    def __init__(self, at: float = START) -> None:
        self.at = at
        self._ids = itertools.count(1)

    def time(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at - START + 1000.0

    def new_id(self) -> str:
        return f"{next(self._ids):08x}"


def snapshot(at: float, metrics: Mapping[str, float | None] = METRICS, *, tick: float = 1.0) -> Encoded:
    """An analytics snapshot as processing writes it."""
    units = {name: "ms" for name in metrics if name.startswith("latency")}
    data = {
        "at": rfc3339(at),
        "tick_s": tick,
        "seq": int(at),
        "position": 1,
        "metrics": metrics,
        "windows": {"10s": metrics, "1m": metrics},
        "units": units,
    }
    text = rfc3339(at)
    return encode(Event(id=f"snapshot/e/{at}", source="/processing", type="analytics.snapshot", time=text, data=data))


_numbers = itertools.count(1)


def event(type: str, at: float = START, data: Any = None, *, source: str = "/test", subject: str = "one") -> Encoded:
    """Any event."""
    id = str(next(_numbers))
    return encode(Event(id=id, source=source, type=type, time=rfc3339(at), subject=subject, data=data))


def alert(kind: str, rule: str, at: float, *, priority: str = "critical", episode: str = "") -> Encoded:
    """An alert as notifications write it."""
    data = {"rule": rule, "condition": "error_rate > 0.2", "priority": priority, "episode": episode or f"{rule}-1"}
    data |= {"state": kind, "summary": f"{rule} is on", "since": rfc3339(at)}
    return event(f"alert.{kind}", at, data)


def stored(*events: Encoded, first: int = 1) -> list[Stored]:
    """Events as the log gives them back."""
    return [Stored(Offset(first + n), each.type, each.raw) for n, each in enumerate(events)]


def state_of(*events: Encoded) -> DashboardState:
    """A state that has taken in these events."""
    state = DashboardState("e")
    state.take(stored(*events), Offset(len(events)))
    return state


def seconds_of(count: int, *, start: float = START, **changes: float | None) -> list[Encoded]:
    """One snapshot each second."""
    return [snapshot(start + n, METRICS | changes) for n in range(count)]


def config(
    directory: str = "/nonexistent", *, live: Mapping[str, Any] | None = None, refresh: Mapping[str, Any] | None = None
) -> StreamingConfig:
    """A configuration with the shipped dashboards."""
    return StreamingConfig(
        live_dashboard=LiveDashboardConfig(**{"directory": directory} | dict(live or {})),
        dashboard_refresh=DashboardRefreshConfig(**refresh or {}),
    )


def make_dashboards(
    log: EventLog | None = None, *, settings: StreamingConfig | None = None, clock: Any = None, **more: Any
) -> Dashboards:
    """Dashboards over a log in memory."""
    return Dashboards(
        settings or config(),
        log or MemoryLog(),
        clock=clock or HandClock(),
        metrics=more.pop("metrics", None) or DashboardMetrics(CollectorRegistry()),
        **more,
    )


def data_of(raw: bytes) -> Any:
    """The data of an event in the log."""
    return msgspec.json.decode(raw)["data"]
