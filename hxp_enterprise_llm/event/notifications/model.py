"""What is told, to whom, and how it went."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from hxp_enterprise_llm.config.streaming import Priority
from hxp_enterprise_llm.event.model import Encoded, Event, encode, rfc3339

Kind = Literal["pending", "firing", "resolved", "message"]
Values = dict[str, float | None]

SOURCE = "/notifications"
LOG_CHANNEL = "log"
"""The delivery that puts an alert into the event log, whoever else is told."""


class Notification(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to tell, the same for all channels. Times are wall-clock seconds since 1970, UTC."""

    id: str
    """Identity, also of the event: the same thing told again has the same id."""
    episode: str
    """What belongs together: an alert from its beginning to its end, or one message."""
    seq: int
    kind: Kind
    priority: Priority
    title: str
    text: str
    at: float
    type: str = ""
    """Of a message: what its sender called it."""
    rule: str = ""
    condition: str = ""
    since: float | None = None
    """Since when the condition has held."""
    reason: str = ""
    """Why an alert ended, where that is not plain."""
    values: Values = {}


class Delivery(NamedTuple):
    """A notification on its way to one recipient: a row of the outbox."""

    id: int
    channel: str
    target: str
    """Recipient within the channel: an address, a Slack channel, or nothing."""
    key: str
    """The same for every attempt."""
    attempts: int
    """Including the one that is made now."""
    created_at: float
    notification: Notification


def delivery_key(notification: Notification, channel: str, target: str) -> str:
    """What makes a delivery one and the same, however often it is queued."""
    return f"{notification.id}:{channel}:{target}"


def event_of(notification: Notification) -> Encoded:
    """The notification as an event for the log."""
    alert = notification.kind != "message"
    return encode(
        Event(
            id=notification.id,
            source=SOURCE,
            type=f"alert.{notification.kind}" if alert else "notification.message",
            time=rfc3339(notification.at),
            subject=notification.rule or None,
            datacontenttype="application/json",
            data=alert_data(notification) if alert else _message_data(notification),
        )
    )


def alert_data(notification: Notification) -> dict[str, Any]:
    """What an `alert.*` event carries."""
    data = {
        "rule": notification.rule,
        "condition": notification.condition,
        "priority": notification.priority,
        "episode": notification.episode,
        "state": notification.kind,
        "values": notification.values,
        "summary": notification.text,
        "since": None if notification.since is None else rfc3339(notification.since),
    }
    return data | ({"reason": notification.reason} if notification.reason else {})


def _message_data(notification: Notification) -> dict[str, Any]:
    return {
        "type": notification.type,
        "title": notification.title,
        "message": notification.text,
        "priority": notification.priority,
    }
