"""The words that mails and chat messages share. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.model import Alert, Notification, Values

# Control characters and the line separators that some programs take for line feeds.
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
# They turn around what stands after them: a name could make a message say something else than it does.
_TURNS = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
_FACT_LENGTH = 2000
_ALERT_LENGTH = 300
MOST_ALERTS = 20
"""Alerts that a message for people lists one by one."""
_UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
_NOT_SHOWN = ("alertname", "severity")


class Worded(NamedTuple):
    """A notification in words. An empty `html` or `slack`: there is none, and the text stands for it."""

    title: str
    text: str
    html: str = ""
    slack: str = ""
    note: str = ""
    """Why it is in plain words, where templates would have other ones."""


def one_line(text: str, length: int) -> str:
    """The text without line feeds and control characters, at most so long."""
    clean = _TURNS.sub("", _BREAKS.sub(" ", text)).strip()
    return clean if len(clean) <= length else clean[: length - 1] + "…"


# What neither mail nor chat can carry; line feeds and tabs are fine in a text of several lines.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def several_lines(text: str) -> str:
    """The text without control characters; lines end with a line feed."""
    return _UNPRINTABLE.sub(" ", _TURNS.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))


_AGAIN = {"repeat": "still firing", "escalation": "firing, escalated"}


def state_of(notification: Notification) -> str:
    """What state it tells of: `firing`, `still firing`, `resolved`, …"""
    return _AGAIN.get(notification.why, "firing") if notification.kind == "firing" else notification.kind


def shown_because(notification: Notification) -> str:
    """Why it is told again, or to somebody else; empty where that is not so."""
    start = {"repeat": "Told again", "escalation": "Escalated"}.get(notification.why)
    return f"{start}: {notification.because}." if start and notification.because else ""


def sentences(notification: Notification) -> str:
    """What it says, and why that is told again or to somebody else."""
    return several_lines("\n".join(filter(None, (notification.text, shown_because(notification)))))


_REASONS = {
    "rule_changed": "its rule was changed or removed",
    "no_data": "its metrics have no values",
    "missing_series": "these labels are reported no longer",
    "timed_out": "it was not sent again",
}


def shown_reason(reason: str) -> str:
    """The reason of a state in words."""
    return _REASONS.get(reason, reason)


def headline(notification: Notification) -> str:
    """One line that says what happened, e.g. `[CRITICAL] critical_alert: firing`."""
    drill = "[TEST] " if notification.test else ""
    priority = notification.priority.upper()
    if notification.kind == "message":
        return f"{drill}[{priority}] {notification.title}"
    return f"{drill}[{priority}] {notification.title}: {state_of(notification)}"


def shown_values(values: Values) -> str:
    """Metric values on one line, e.g. `error_rate = 0.31, latency = no value`."""
    return ", ".join(f"{name} = {'no value' if value is None else f'{value:g}'}" for name, value in values.items())


def shown_labels(labels: Mapping[str, str]) -> str:
    """Labels beside name and severity on one line, e.g. `agent=planner, model=m`."""
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name not in _NOT_SHOWN)


def shown_duration(seconds: float) -> str:
    """A duration with its two largest units, e.g. `1h 5m`."""
    left, parts = max(0, round(seconds)), []
    for unit, length in _UNITS:
        if left >= length:
            parts.append(f"{left // length}{unit}")
            left %= length
    return " ".join(parts[:2]) or "0s"


def alert_line(alert: Alert) -> str:
    """One alert of several, e.g. `firing · errors (agent=planner) · error_rate is 0.31 · since …`."""
    labels = shown_labels(alert.labels)
    name = alert.labels.get("alertname", alert.rule)
    parts = [alert.status, f"{name} ({labels})" if labels else name, alert.annotations.get("summary", "")]
    parts.append(f"since {rfc3339(alert.starts_at)}")
    return one_line(" · ".join(part for part in parts if part), _ALERT_LENGTH)


def alert_lines(notification: Notification) -> list[str]:
    """The alerts one by one, when there are several, and how many are left out."""
    if len(notification.alerts) < 2:
        return []
    shown = [alert_line(alert) for alert in notification.alerts[:MOST_ALERTS]]
    more = len(notification.alerts) - len(shown) + notification.truncated
    return [*shown, f"and {more} more"] if more else shown


def links(notification: Notification) -> Iterator[tuple[str, str]]:
    """Where to go from here: label and address, each fit to be a link."""
    if notification.url:
        yield "Page", notification.url
    if notification.runbook_url:
        yield "Runbook", notification.runbook_url


def facts(notification: Notification) -> Iterator[tuple[str, str]]:
    """What is known, label by label."""
    alone = notification.alerts[0] if len(notification.alerts) == 1 else None
    yield from links(notification)
    if notification.rule:
        yield "Rule", notification.rule
        yield "Condition", notification.condition
        yield "Values", shown_values(notification.values)
    if alone is not None and (labels := shown_labels(alone.labels)):
        yield "Labels", labels
    yield "Priority", notification.priority
    if notification.since is not None:
        yield "Since", rfc3339(notification.since)
    yield "Time", rfc3339(notification.at)
    if notification.reason:
        yield "Reason", shown_reason(notification.reason)
    if alone is not None:
        yield "Episode", alone.episode
    yield "Id", notification.id


def plain_text(notification: Notification) -> str:
    """Everything, line by line."""
    lines = [sentences(notification), ""]
    if listed := alert_lines(notification):
        lines += [*(f"- {line}" for line in listed), ""]
    lines += [f"{label}: {one_line(value, _FACT_LENGTH)}" for label, value in facts(notification)]
    return "".join(f"{line}\n" for line in lines)


def plain(notification: Notification) -> Worded:
    """In words that need no template."""
    return Worded(headline(notification), plain_text(notification))
