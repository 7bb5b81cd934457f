"""From a transition to what is told: notifications, each with its alert in Alertmanager's terms. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from hxp_enterprise_llm.config.rules import ENGINE_ALERT
from hxp_enterprise_llm.event.notifications.model import Alert, Notification, Values
from hxp_enterprise_llm.event.notifications.rules.alerts import AlertState, Transition
from hxp_enterprise_llm.event.notifications.rules.compiled import Rule, fingerprint

_SEQ = {"pending": 0, "firing": 1, "resolved": 2}


class Watched(NamedTuple):
    """An alert that is not over, with what must be known of it when its rule is gone."""

    rule: str
    fingerprint: str
    definition: str
    state: AlertState
    values: Values
    labels: Mapping[str, str]
    notification: Notification | None = None
    """What was last told of the episode."""


class Told(NamedTuple):
    """A notification and the channel that the rule names; a resolve goes where the alert went."""

    notification: Notification
    choice: str


def tell(rule: Rule, alert: Watched, transition: Transition, values: Mapping[str, object]) -> Notification:
    """What is told of an alert of a rule."""
    annotations = rule.annotations(values, alert.labels)
    told = Alert(
        fingerprint=alert.fingerprint,
        episode=transition.episode,
        status=transition.kind,
        priority=rule.config.priority,
        labels=dict(alert.labels),
        annotations=annotations,
        starts_at=transition.since,
        ends_at=transition.at.wall if transition.kind == "resolved" else None,
        rule=rule.name,
        condition=rule.config.condition,
        values=alert.values,
        reason=transition.reason,
    )
    return notify(told, transition, annotations["summary"])


def notify(alert: Alert, transition: Transition, text: str) -> Notification:
    """A notification of one alert."""
    return Notification(
        id=f"{transition.episode}.{transition.kind}",
        episode=transition.episode,
        seq=_SEQ[transition.kind],
        kind=transition.kind,
        priority=alert.priority,
        title=alert.labels["alertname"],
        text=text,
        at=transition.at.wall,
        rule=alert.rule,
        condition=alert.condition,
        since=transition.since,
        reason=transition.reason,
        values=alert.values,
        alerts=(alert,),
    )


def tell_end(alert: Watched, transition: Transition) -> Notification | None:
    """The end of an alert whose rule is no longer what it was: told in the words of its beginning."""
    base = alert.notification
    if base is None:
        return None
    return msgspec.structs.replace(
        base,
        id=f"{transition.episode}.resolved",
        seq=_SEQ["resolved"],
        kind="resolved",
        at=transition.at.wall,
        reason=transition.reason,
        values=alert.values,
        alerts=tuple(
            msgspec.structs.replace(each, status="resolved", ends_at=transition.at.wall, reason=transition.reason)
            for each in base.alerts
        ),
    )


def engine_labels(rule: str) -> dict[str, str]:
    """The labels of the alert about a rule that cannot be evaluated."""
    return {"alertname": ENGINE_ALERT, "rule": rule, "severity": "warning"}


def engine_alert(rule: str, state: AlertState) -> Watched:
    """The alert about a rule that cannot be evaluated."""
    labels = engine_labels(rule)
    return Watched(ENGINE_ALERT, fingerprint(labels), ENGINE_ALERT, state, {}, labels)


def tell_failure(alert: Watched, transition: Transition, reason: str) -> Notification:
    """What is told when a rule cannot be evaluated."""
    summary = f"the rule {alert.labels['rule']} cannot be evaluated: {reason}"
    told = Alert(
        fingerprint=alert.fingerprint,
        episode=transition.episode,
        status=transition.kind,
        priority="warning",
        labels=dict(alert.labels),
        annotations={"summary": summary},
        starts_at=transition.since,
        rule=ENGINE_ALERT,
        reason=transition.reason,
    )
    return notify(told, transition, summary)
