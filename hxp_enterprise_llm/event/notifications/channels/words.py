"""The words that mails and chat messages share. Pure."""

from __future__ import annotations

import re

from hxp_enterprise_llm.event.notifications.model import Notification, Values

# Control characters and the line separators that some programs take for line feeds.
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def one_line(text: str, length: int) -> str:
    """The text without line feeds and control characters, at most so long."""
    clean = _BREAKS.sub(" ", text).strip()
    return clean if len(clean) <= length else clean[: length - 1] + "…"


# What neither mail nor chat can carry; line feeds and tabs are fine in a text of several lines.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def several_lines(text: str) -> str:
    """The text without control characters; lines end with a line feed."""
    return _UNPRINTABLE.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))


def headline(notification: Notification) -> str:
    """One line that says what happened, e.g. `[CRITICAL] critical_alert: firing`."""
    priority = notification.priority.upper()
    if notification.kind == "message":
        return f"[{priority}] {notification.title}"
    return f"[{priority}] {notification.title}: {notification.kind}"


def shown_values(values: Values) -> str:
    """Metric values on one line, e.g. `error_rate = 0.31, latency = no value`."""
    return ", ".join(f"{name} = {'no value' if value is None else f'{value:g}'}" for name, value in values.items())
