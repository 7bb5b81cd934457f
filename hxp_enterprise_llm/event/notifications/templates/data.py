"""What a template can say of a notification: plain texts, numbers, lists and maps. Pure."""

from __future__ import annotations

from typing import Any

from hxp_enterprise_llm.config.addresses import link
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.channels.words import (
    headline,
    one_line,
    several_lines,
    shown_because,
    shown_duration,
    shown_labels,
    shown_reason,
    shown_values,
    state_of,
)
from hxp_enterprise_llm.event.notifications.model import Alert, Notification

MOST_ALERTS = 100
_LONGEST = 4000
_LONGEST_LABEL = 300


def data_of(notification: Notification) -> dict[str, Any]:
    """The names that templates may use, with their values."""
    alerts = [_alert(alert) for alert in notification.alerts[:MOST_ALERTS]]
    firing = [alert for alert in alerts if alert["status"] == "firing"]
    resolved = [alert for alert in alerts if alert["status"] == "resolved"]
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
        "reason_text": one_line(shown_reason(notification.reason), _LONGEST_LABEL),
        "state": state_of(notification),
        "because": one_line(shown_because(notification), _LONGEST_LABEL),
        "values": dict(notification.values),
        "values_text": one_line(shown_values(notification.values), _LONGEST),
        "alerts": alerts,
        "firing": firing,
        "resolved": resolved,
        "firing_count": notification.fires or len(firing),
        "resolved_count": notification.ended or len(resolved),
        "truncated": notification.truncated + max(0, len(notification.alerts) - MOST_ALERTS),
        "receiver": notification.receiver,
        "group_labels": _texts(notification.group_labels),
        "why": notification.why,
        "test": notification.test,
        "url": notification.url,
        "runbook_url": notification.runbook_url,
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
        "runbook": link(alert.annotations.get("runbook_url", "")),
        "source": link(alert.generator_url),
        "since": rfc3339(alert.starts_at),
        "ended": "" if ended is None else rfc3339(ended),
        "duration": "" if ended is None else shown_duration(ended - alert.starts_at),
        "condition": one_line(alert.condition, _LONGEST),
        "values_text": one_line(shown_values(alert.values), _LONGEST),
        "reason": one_line(alert.reason, _LONGEST_LABEL),
        "reason_text": one_line(shown_reason(alert.reason), _LONGEST_LABEL),
        "fingerprint": alert.fingerprint,
        "episode": alert.episode,
        "url": alert.url,
    }


def _texts(texts: dict[str, str]) -> dict[str, str]:
    return {name: one_line(text, _LONGEST_LABEL) for name, text in texts.items()}
