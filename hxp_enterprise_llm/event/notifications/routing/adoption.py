"""Alerts that fired before this store knew of routing: they go on, and whoever was told is told their end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from hxp_enterprise_llm.event.notifications.model import LOG_CHANNEL, Alert, Notification
from hxp_enterprise_llm.event.notifications.outbox import Recipient
from hxp_enterprise_llm.event.notifications.records import told
from hxp_enterprise_llm.event.notifications.routing.draft import State
from hxp_enterprise_llm.event.notifications.routing.pipeline import Pass


class Adopted(NamedTuple):
    """An alert and who was told of it."""

    notification: Notification
    to: tuple[Recipient, ...]


def look_up(connection: Connection, fired: Iterable[Notification | None], state: State) -> list[Adopted]:
    """The alerts that fire and that the way does not know."""
    known = {each.alert.episode for each in state.alerts.values()}
    return [
        Adopted(each, tuple(to for to in told(connection, each.episode) if to[0] != LOG_CHANNEL))
        for each in fired
        if each is not None and each.episode not in known
    ]


def adopt(found: Iterable[Adopted], choices: Mapping[str, str]) -> Callable[[Pass], None]:
    """Take them up. `choices`: the channel that each rule names."""

    def fill(work: Pass) -> None:
        for notification, to in found:
            work.take(notification, choices.get(notification.rule, "all"))
            work.assume_told(notification.alerts[0], to)

    return fill


def whole(notification: Notification | None, fingerprint: str) -> Notification | None:
    """What an earlier release wrote names no alert: it is made up from what is said of it."""
    if notification is None or notification.alerts:
        return notification
    alert = Alert(
        fingerprint=fingerprint,
        episode=notification.episode,
        status="resolved" if notification.kind == "resolved" else "firing",
        priority=notification.priority,
        labels={"alertname": notification.rule, "severity": notification.priority},
        annotations={"summary": notification.text},
        starts_at=notification.since or notification.at,
        ends_at=notification.at if notification.kind == "resolved" else None,
        rule=notification.rule,
        condition=notification.condition,
        values=notification.values,
        reason=notification.reason,
    )
    return msgspec.structs.replace(notification, alerts=(alert,))
