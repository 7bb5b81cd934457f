"""Alerts in the JSON of Alertmanager: its webhook's payload (version 4), and what it takes itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from hxp_enterprise_llm.config.matchers import quoted
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.model import Alert, Notification

NEVER = "0001-01-01T00:00:00Z"
"""What Alertmanager writes for the end of an alert that fires."""
_LABEL = re.compile(r"[^A-Za-z0-9_]")


def alerts_of(notification: Notification) -> tuple[Alert, ...]:
    """Its alerts; a message by hand is one that fires in this moment."""
    if notification.alerts:
        return notification.alerts
    labels = {"alertname": notification.rule or notification.type or "message", "severity": notification.priority}
    if notification.kind == "resolved":
        status, ends_at = "resolved", notification.at
    else:
        status, ends_at = "firing", None
    return (
        Alert(
            fingerprint=notification.episode[:16],
            episode=notification.episode,
            status="resolved" if status == "resolved" else "firing",
            priority=notification.priority,
            labels=labels,
            annotations={"summary": notification.title, "description": notification.text},
            starts_at=notification.since or notification.at,
            ends_at=ends_at,
            url=notification.url,
        ),
    )


def webhook_payload(notification: Notification, receiver: str, external_url: str, most_alerts: int) -> dict[str, Any]:
    """What Alertmanager's webhook receivers take. `most_alerts` 0: all."""
    told = [alert for alert in alerts_of(notification) if alert.status != "pending"]
    kept = told[:most_alerts] if most_alerts else told
    labels = [_labels(alert, notification.test) for alert in told]
    group = notification.group_labels or {"alertname": labels[0].get("alertname", "")} if labels else {}
    return {
        "receiver": notification.receiver or receiver,
        "status": "firing" if any(alert.status == "firing" for alert in told) else "resolved",
        "alerts": [_webhook_alert(alert, notification.test) for alert in kept],
        "groupLabels": group,
        "commonLabels": _common(labels),
        "commonAnnotations": _common(alert.annotations for alert in told),
        "externalURL": external_url,
        "version": "4",
        "groupKey": notification.group_key or _group_key(group),
        "truncatedAlerts": notification.truncated + len(told) - len(kept),
    }


def _webhook_alert(alert: Alert, test: bool) -> dict[str, Any]:
    ended = alert.status == "resolved" and alert.ends_at is not None
    return {
        "status": alert.status,
        "labels": _labels(alert, test),
        "annotations": alert.annotations,
        "startsAt": rfc3339(alert.starts_at),
        "endsAt": rfc3339(alert.ends_at) if ended and alert.ends_at is not None else NEVER,
        "generatorURL": _generator(alert),
        "fingerprint": alert.fingerprint,
    }


def _generator(alert: Alert) -> str:
    """Where it was made: an alert from outside says so itself."""
    return alert.generator_url or alert.url


def _labels(alert: Alert, test: bool) -> dict[str, str]:
    return alert.labels | ({"test": "true"} if test else {})


def _common(maps: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What all have alike."""
    found: dict[str, str] | None = None
    for each in maps:
        found = dict(each) if found is None else {name: text for name, text in found.items() if each.get(name) == text}
    return found or {}


def _group_key(labels: Mapping[str, str]) -> str:
    return "{}:{" + ", ".join(f"{name}={quoted(text)}" for name, text in sorted(labels.items())) + "}"


def posted_alert(alert: Alert, ends_at: float, test: bool = False) -> dict[str, Any]:
    """An alert as Alertmanager takes it. `ends_at`: of one that fires, when it ends unless it is sent again."""
    end = alert.ends_at if alert.status == "resolved" and alert.ends_at is not None else ends_at
    return {
        "labels": _named(_labels(alert, test)),
        "annotations": _named(alert.annotations),
        "startsAt": rfc3339(alert.starts_at),
        "endsAt": rfc3339(end),
        **({"generatorURL": url} if (url := _generator(alert)) else {}),
    }


def _named(texts: Mapping[str, str]) -> dict[str, str]:
    """With names that Alertmanager takes; it would refuse the whole request for one."""
    return {
        _LABEL.sub("_", name if not name[:1].isdigit() else f"_{name}"): text for name, text in texts.items() if text
    }
