"""Notifications to look at templates with: one of an event in a file, and some of our own. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from hxp_enterprise_llm.config.forms import form_fault
from hxp_enterprise_llm.event.model import parse_rfc3339
from hxp_enterprise_llm.event.notifications.model import Alert, Notification

_AT = 1_800_000_000.0
_PAGE = "https://citadel.example"


class BadSample(ValueError):
    """A file that is neither a notification nor an event about one. The text says why."""


def sample() -> Notification:
    """An alert that fires for two agents and has ended for a third."""
    return Notification(
        id="sample.firing",
        episode="sample",
        seq=1,
        kind="firing",
        priority="critical",
        title="critical_alert",
        text="error_rate is 0.31 over the last minute",
        at=_AT,
        rule="critical_alert",
        condition="error_rate > 0.2",
        since=_AT - 95,
        values={"error_rate": 0.31},
        receiver="on-call",
        url=f"{_PAGE}/view/alerts",
        alerts=(_alert("planner", "firing"), _alert("coder", "firing"), _alert("critic", "resolved")),
    )


def _alert(agent: str, status: Any) -> Alert:
    return Alert(
        fingerprint="00000000000000aa",
        episode=f"sample-{agent}",
        status=status,
        priority="critical",
        labels={"alertname": "critical_alert", "severity": "critical", "agent": agent},
        annotations={"summary": f"{agent} fails", "runbook_url": "https://wiki.example/critical_alert"},
        starts_at=_AT - 95,
        ends_at=_AT if status == "resolved" else None,
        rule="critical_alert",
        condition="error_rate > 0.2",
        values={"error_rate": 0.31},
        url=f"{_PAGE}/view/alerts?episode=sample-{agent}",
    )


def read_sample(content: bytes) -> Notification:
    """The notification of an `alert.*` or `notification.message` event, or one as it stands. Raises BadSample."""
    try:
        data = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise BadSample(f"it is no JSON: {error}") from None
    if not isinstance(data, dict):
        raise BadSample("it is no JSON object")
    try:
        return _of_event(data) if "data" in data else msgspec.convert(data, Notification)
    except msgspec.ValidationError as error:
        raise BadSample(f"it is no event of an alert and no notification: {form_fault(error, Notification)}") from None
    except (ValueError, TypeError) as error:
        raise BadSample(f"it is no event of an alert and no notification: {error}") from None


def _of_event(event: dict[str, Any]) -> Notification:
    data = event["data"]
    if not isinstance(data, dict):
        raise BadSample("its data is no object")
    kind = str(event.get("type", "")).rpartition(".")[2]
    at = parse_rfc3339(event["time"]) if "time" in event else _AT
    made = {
        "id": str(event.get("id", "sample")),
        "episode": data.get("episode", "sample"),
        "seq": 0,
        "kind": kind,
        "priority": data.get("priority", "info"),
        "title": data.get("rule") or data.get("title", ""),
        "text": data.get("summary") or data.get("message", ""),
        "at": at,
        "rule": data.get("rule", ""),
        "condition": data.get("condition", ""),
        "since": parse_rfc3339(data["since"]) if data.get("since") else None,
        "reason": data.get("reason", ""),
        "values": data.get("values", {}),
        "alerts": data.get("alerts", []),
        "url": data.get("url", ""),
    }
    return msgspec.convert(made, Notification)
