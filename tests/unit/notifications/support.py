"""What the tests of this room share: a clock that is set by hand, snapshots, channels that record."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.rules import RuleConfig
from hxp_enterprise_llm.event.model import Encoded, Event, decode, encode, rfc3339
from hxp_enterprise_llm.event.notifications.channels.model import Readiness
from hxp_enterprise_llm.event.notifications.model import Delivery, Notification
from hxp_enterprise_llm.event.notifications.rules.alerts import Moment
from hxp_enterprise_llm.event.notifications.rules.compiled import fingerprint
from hxp_enterprise_llm.event.notifications.rules.vocabulary import Vocabulary
from hxp_enterprise_llm.telemetry.notification_metrics import NotificationMetrics

NOW = 1_800_000_000.0
BY_MODEL = frozenset({frozenset({"model"})})
NAMES = Vocabulary(
    frozenset({"error_rate", "latency", "throughput", "latency_p95_5m"}),
    {"error_rate": BY_MODEL | {frozenset({"agent", "model"})}, "latency": BY_MODEL},
)


class ManualClock:
    """Both clocks move when they are told to."""

    def __init__(self, time: float = NOW, monotonic: float = 0.0) -> None:
        self._time, self._monotonic = time, monotonic
        self._ids = itertools.count(1)

    def time(self) -> float:
        return self._time

    def monotonic(self) -> float:
        return self._monotonic

    def new_id(self) -> str:
        return f"id-{next(self._ids)}"

    def advance(self, seconds: float) -> None:
        self._time += seconds
        self._monotonic += seconds

    def set_wall(self, time: float) -> None:
        self._time = time


class RecordingChannel:
    """Keeps what it is given; `failures` are raised first, one an attempt."""

    def __init__(self, name: str = "slack", *, targets: tuple[str, ...] = ("",), ready: bool = True) -> None:
        self.name, self.targets = name, targets
        self.readiness = Readiness(ready, "" if ready else "not set up")
        self.failures: list[BaseException] = []
        self.attempts: asyncio.Queue[Delivery] = asyncio.Queue()
        self.accepted: asyncio.Queue[Delivery] = asyncio.Queue()
        self.hold: asyncio.Event | None = None

    def reaches(self, target: str) -> Readiness:
        return self.readiness

    async def send(self, delivery: Delivery, timeout: float) -> None:
        self.attempts.put_nowait(delivery)
        if self.hold is not None:
            await self.hold.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.accepted.put_nowait(delivery)


def moment(seconds: float) -> Moment:
    return Moment(NOW + seconds, seconds)


def rule(name: str = "critical_alert", condition: str = "error_rate > 0.2", **more: Any) -> RuleConfig:
    return RuleConfig(name=name, condition=condition, **({"priority": "critical", "channel": "all"} | more))


def config(*rules: RuleConfig, **more: Any) -> NotificationsConfig:
    return NotificationsConfig(notification_rules=list(rules), **more)


def metrics() -> NotificationMetrics:
    return NotificationMetrics(CollectorRegistry())


def mark(name: str = "critical_alert", severity: str = "critical", **labels: str) -> str:
    """The fingerprint of an alert."""
    return fingerprint({"alertname": name, "severity": severity, **labels})


def groups(**metrics: dict[str, float]) -> dict[str, list[dict[str, Any]]]:
    """Metrics by label set, each label set written `model=a agent=b`."""
    return {
        name: [
            {"labels": dict(part.split("=") for part in labels.split()), "value": value}
            for labels, value in values.items()
        ]
        for name, values in metrics.items()
    }


def snapshot(
    at: float,
    *,
    windows: dict[str, dict[str, Any]] | None = None,
    groups: dict[str, Any] | None = None,
    **values: Any,
) -> Encoded:
    data = {"at": rfc3339(at), "metrics": values, "windows": windows or {}, "groups": groups or {}}
    return encode(
        Event(id=f"snapshot/{at}", source="/processing", type="analytics.snapshot", time=rfc3339(at), data=data)
    )


def notification(kind: str = "firing", **more: Any) -> Notification:
    values: dict[str, Any] = {
        "id": f"ep-1.{kind}",
        "episode": "ep-1",
        "seq": {"pending": 0, "firing": 1, "resolved": 2, "message": 0}[kind],
        "kind": kind,
        "priority": "critical",
        "title": "critical_alert",
        "text": "error_rate is 0.31",
        "at": NOW,
        "rule": "critical_alert",
        "condition": "error_rate > 0.2",
        "since": NOW - 60,
        "values": {"error_rate": 0.31},
    }
    return Notification(**(values | more))


def delivery(target: str = "", channel: str = "email", attempts: int = 1, **more: Any) -> Delivery:
    told = notification(**more)
    return Delivery(1, channel, target, f"{told.id}:{channel}:{target}", attempts, NOW, told)


async def until(predicate: Callable[[], Awaitable[bool]], within: float = 30.0) -> None:
    """Wait for a condition that nothing announces."""
    async with asyncio.timeout(within):
        while not await predicate():
            await asyncio.sleep(0.005)


def data_of(raw: bytes) -> dict[str, Any]:
    event = decode(raw)
    assert isinstance(event.data, dict)
    return event.data
