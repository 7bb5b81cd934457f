"""What a template can say of a notification: plain texts, numbers, lists and maps. Pure."""

from __future__ import annotations

from typing import Any

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.channels.words import (
    headline,
    one_line,
    several_lines,
    shown_labels,
    shown_values,
)
from hxp_enterprise_llm.event.notifications.model import Alert, Notification

MOST_ALERTS = 100
_LONGEST = 4000
_LONGEST_LABEL = 300
_UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def data_of(notification: Notification) -> dict[str, Any]:
    """The names that templates may use, with their values."""
    alerts = [_alert(alert) for alert in notification.alerts[:MOST_ALERTS]]
    return {
        "id": notification.id,
        "episode": notification.episode,
        "kind": notification.kind,
        "priority": notification.priority,
        "title": one_line(notification.title, _LONGEST_LABEL),
        "headline": one_line(headline(notification), _LONGEST_LABEL),
        "text": several_lines(notification.text)[:_LONGEST],
        "time": rfc3339(notification.at),
        "since": "" if notification.since is None else rfc3339(notification.since),
        "duration": "" if notification.since is None else shown_duration(notification.at - notification.since),
        "type": notification.type,
        "rule": notification.rule,
        "condition": one_line(notification.condition, _LONGEST),
        "reason": one_line(notification.reason, _LONGEST_LABEL),
        "values": dict(notification.values),
        "values_text": one_line(shown_values(notification.values), _LONGEST),
        "alerts": alerts,
        "firing": [alert for alert in alerts if alert["status"] == "firing"],
        "resolved": [alert for alert in alerts if alert["status"] == "resolved"],
        "truncated": notification.truncated + max(0, len(notification.alerts) - MOST_ALERTS),
        "receiver": notification.receiver,
        "group_labels": _texts(notification.group_labels),
        "why": notification.why,
        "test": notification.test,
    }


def _alert(alert: Alert) -> dict[str, Any]:
    ended = alert.ends_at if alert.status == "resolved" else None
    return {
        "status": alert.status,
        "priority": alert.priority,
        "name": one_line(alert.labels.get("alertname", alert.rule), _LONGEST_LABEL),
        "labels": _texts(alert.labels),
        "labels_text": one_line(shown_labels(alert.labels), _LONGEST_LABEL),
        "annotations": _texts(alert.annotations),
        "summary": one_line(alert.annotations.get("summary", ""), _LONGEST_LABEL),
        "runbook": _link(alert.annotations.get("runbook_url", "")),
        "source": _link(alert.generator_url),
        "since": rfc3339(alert.starts_at),
        "ended": "" if ended is None else rfc3339(ended),
        "duration": "" if ended is None else shown_duration(ended - alert.starts_at),
        "condition": one_line(alert.condition, _LONGEST),
        "values_text": one_line(shown_values(alert.values), _LONGEST),
        "reason": one_line(alert.reason, _LONGEST_LABEL),
        "fingerprint": alert.fingerprint,
        "episode": alert.episode,
    }


def _texts(texts: dict[str, str]) -> dict[str, str]:
    return {name: one_line(text, _LONGEST_LABEL) for name, text in texts.items()}


def _link(url: str) -> str:
    """Only what leads to a page: a link may come from outside."""
    plain = url.isprintable() and not set(url) & set(" <>|\"'`")
    return url if plain and url.lower().startswith(("https://", "http://", "file:///")) else ""


def shown_duration(seconds: float) -> str:
    """A duration with its two largest units, e.g. `1h 5m`."""
    left, parts = max(0, round(seconds)), []
    for unit, length in _UNITS:
        if left >= length:
            parts.append(f"{left // length}{unit}")
            left %= length
    return " ".join(parts[:2]) or "0s"
