"""Many notifications told as one, where a limit has made them wait. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from hxp_enterprise_llm.config.rules import Priority
from hxp_enterprise_llm.event.notifications.channels.words import headline, one_line
from hxp_enterprise_llm.event.notifications.model import Alert, Notification

DIGEST = "digest"
"""The kind of such a row, and the type of its message."""
_LINES = 20
_LINE_LENGTH = 200
_MOST_ALERTS = 100
_ORDER: tuple[Priority, ...] = ("critical", "warning", "info")


def merged(notifications: Sequence[Notification], id: str, at: float) -> Notification:
    """One message that says what each of them says; of an alert that is in several, the last state."""
    alerts: dict[str, Alert] = {}
    for notification in notifications:
        for alert in notification.alerts:
            alerts.pop(alert.episode, None)
            alerts[alert.episode] = alert
    lines = [one_line(f"{headline(each)} · {each.text}", _LINE_LENGTH) for each in notifications]
    if len(lines) > _LINES:
        lines[_LINES:] = [f"and {len(lines) - _LINES} more"]
    about_alerts = all(each.kind != "message" for each in notifications)
    return Notification(
        id=id,
        episode=id,
        seq=0,
        kind="message",
        priority=min((each.priority for each in notifications), key=_ORDER.index),
        title=f"{len(notifications)} {'alerts' if about_alerts else 'notifications'} while the channel was limited",
        text="\n".join(lines),
        at=at,
        type=DIGEST,
        alerts=tuple(alerts.values())[-_MOST_ALERTS:],
        truncated=max(0, len(alerts) - _MOST_ALERTS),
    )
