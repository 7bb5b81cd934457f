"""What is told, to whom, and how it went."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from hxp_enterprise_llm.config.addresses import link
from hxp_enterprise_llm.config.rules import Priority
from hxp_enterprise_llm.event.model import Encoded, Event, encode, rfc3339

Kind = Literal["pending", "firing", "resolved", "message"]
Values = dict[str, float | None]

SOURCE = "/notifications"
LOG_CHANNEL = "log"
"""The delivery that puts an alert into the event log, whoever else is told."""


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One alert at one moment, in Alertmanager's terms. Times are wall-clock seconds since 1970, UTC."""

    fingerprint: str
    """16 hex digits of the sorted labels: which alert it is."""
    episode: str
    """Fingerprint and beginning: one from the first true evaluation to the resolve."""
    status: Literal["pending", "firing", "resolved"]
    priority: Priority
    labels: dict[str, str]
    """`alertname`, `severity`, and what else tells it from other alerts."""
    annotations: dict[str, str] = {}
    """`summary`, and what else is said about it."""
    starts_at: float
    ends_at: float | None = None
    """When it was resolved; of an alert from outside, when it resolves unless it is sent again."""
    rule: str = ""
    condition: str = ""
    values: Values = {}
    reason: str = ""
    """Why it ended, where that is not plain."""
    origin: str = ""
    """Where it comes from; empty: our own rules."""
    generator_url: str = ""
    url: str = ""
    """Its page; set when it is told, by the configuration of that moment."""


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
    alerts: tuple[Alert, ...] = ()
    """What it is about: of a group the alerts that fire and those that have ended since it was last told."""
    thread: str = ""
    """What belongs together for the recipient: one thread, one incident. Empty: the episode."""
    receiver: str = ""
    """Of a group: who is told, and the group's key and labels."""
    group_key: str = ""
    group_labels: dict[str, str] = {}
    why: str = ""
    """What made it due: `first`, `new_alerts`, `some_resolved`, `all_resolved`, `repeat`, `escalation`,
    `newcomers`, `test`."""
    because: str = ""
    """Of what is told again, or to somebody else: why, as half a sentence."""
    truncated: int = 0
    """Alerts of the group that are left out."""
    fires: int = 0
    ended: int = 0
    """Of a group how many alerts fire, and how many have ended, with those that are left out."""
    test: bool = False
    """A drill: it says so wherever it is shown."""
    url: str = ""
    """The page about it; as that of an alert."""

    @property
    def runbook_url(self) -> str:
        """The runbook that all its alerts have; empty where there is none, or no link."""
        found = {alert.annotations.get("runbook_url", "") for alert in self.alerts}
        return link(found.pop()) if len(found) == 1 else ""


Kept = dict[str, Any]
"""What a channel keeps of a thread with one recipient, from one delivery to the next; JSON."""


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
    queued_at: float
    """Steady seconds; of a replayed one, when it was replayed."""
    notification: Notification
    kept: Kept | None = None
    """What the channel returned last for this thread and recipient."""


def thread_of(notification: Notification) -> str:
    """What belongs together for the recipient."""
    return notification.thread or notification.episode


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
    } | ({"labels": notification.alerts[0].labels} if len(notification.alerts) == 1 else {})
    further = {"reason": notification.reason, "url": notification.url, "runbook_url": notification.runbook_url}
    return data | {name: text for name, text in further.items() if text}


def _message_data(notification: Notification) -> dict[str, Any]:
    return {
        "type": notification.type,
        "title": notification.title,
        "message": notification.text,
        "priority": notification.priority,
    }
