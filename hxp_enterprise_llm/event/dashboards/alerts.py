"""Which alerts fire now, and when they did within the last hour: the marks over the spine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

MOST_SPANS = 256
MOST_FIRING = 1024


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that fires."""

    episode: str
    rule: str
    priority: str
    summary: str
    condition: str
    since: float
    """Unix seconds."""
    values: dict[str, float]
    """Of the metrics in the condition, as it began; those that are known."""
    labels: dict[str, str]


class AlertBoard:
    """Fed by `alert.firing` and `alert.resolved`; an episode is known by its id."""

    def __init__(self) -> None:
        self._firing: dict[str, Alert] = {}
        self._ended: deque[tuple[Alert, float]] = deque(maxlen=MOST_SPANS)
        self.changes = 0
        """Grows each time an alert begins or ends."""

    def fire(self, data: Mapping[str, Any], at: float) -> None:
        """An alert fires since `at` (unix seconds)."""
        alert = _alert(data, at)
        if alert.episode not in self._firing and len(self._firing) < MOST_FIRING:
            self._firing[alert.episode] = alert
            self.changes += 1

    def resolve(self, data: Mapping[str, Any], at: float) -> None:
        """An alert ended at `at` (unix seconds)."""
        alert = self._firing.pop(_episode(data), None)
        if alert is not None:
            self._ended.append((alert, at))
            self.changes += 1

    def replace(self, firing: Iterable[Mapping[str, Any]], at: float) -> None:
        """Take the word of who knows better which alerts fire; those not named ended at `at`."""
        named = {_episode(data): data for data in firing}
        for episode in self._firing.keys() - named.keys():
            self.resolve({"episode": episode}, at)
        for data in named.values():
            self.fire(data, at)

    def firing(self) -> list[dict[str, Any]]:
        """What fires now: critical first, then the oldest first."""
        rank = {"critical": 0, "warning": 1}
        alerts = sorted(self._firing.values(), key=lambda alert: (rank.get(alert.priority, 2), alert.since))
        return [msgspec.structs.asdict(alert) for alert in alerts]

    def spans(self, since: float) -> list[dict[str, Any]]:
        """Episodes that reach beyond `since` (unix seconds), in the order of their begin; `end` null: still firing."""
        ended = [(alert, end) for alert, end in self._ended if end >= since]
        entries = [*ended, *((alert, None) for alert in self._firing.values())]
        entries.sort(key=lambda entry: (entry[0].since, entry[0].episode))
        return [_span(alert, end) for alert, end in entries]


def _span(alert: Alert, end: float | None) -> dict[str, Any]:
    named = {"rule": alert.rule, "priority": alert.priority, "condition": alert.condition}
    return named | {"start": alert.since, "end": end}


def _episode(data: Mapping[str, Any]) -> str:
    return str(data.get("episode") or data.get("rule") or "")


def _alert(data: Mapping[str, Any], at: float) -> Alert:
    rule = str(data.get("rule") or "")
    return Alert(
        episode=_episode(data),
        rule=rule,
        priority=str(data.get("priority") or "warning"),
        summary=str(data.get("summary") or rule),
        condition=str(data.get("condition") or ""),
        since=at,
        values={name: value for name, value in _members(data, "values") if isinstance(value, int | float)},
        labels={name: value for name, value in _members(data, "labels") if isinstance(value, str)},
    )


def _members(data: Mapping[str, Any], name: str) -> Iterable[tuple[str, Any]]:
    found = data.get(name)
    return found.items() if isinstance(found, Mapping) else ()
