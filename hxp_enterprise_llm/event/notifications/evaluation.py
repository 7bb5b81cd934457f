"""One evaluation of all rules over one snapshot: from the alerts as they are to the alerts as they will be. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from hxp_enterprise_llm.event.notifications.alerts import AlertState, Moment, Phase, Transition, end, restored, step
from hxp_enterprise_llm.event.notifications.conditions import Outcome
from hxp_enterprise_llm.event.notifications.model import Alert, Notification, Values
from hxp_enterprise_llm.event.notifications.rules import Rule

_SEQ = {"pending": 0, "firing": 1, "resolved": 2}


class Watched(NamedTuple):
    """An alert with what must be known of it when its rule is gone."""

    rule: str
    fingerprint: str
    definition: str
    state: AlertState
    values: Values
    notification: Notification | None = None
    """What was last told of the episode."""


Alerts = Mapping[str, Watched]
"""By fingerprint."""


class Told(NamedTuple):
    """A notification and the channel that the rule names; a resolve goes where the alert went."""

    notification: Notification
    choice: str


class Evaluation(NamedTuple):
    """What an evaluation would change. Nothing has changed until it is stored."""

    alerts: dict[str, Watched]
    changed: tuple[Watched, ...]
    dropped: tuple[str, ...]
    """Fingerprints of alerts whose rule is gone."""
    told: tuple[Told, ...]
    outcomes: dict[str, Outcome]
    """By name of the rule; empty when only the rules were looked at."""


def evaluate(rules: Sequence[Rule], alerts: Alerts, values: Mapping[str, object] | None, now: Moment) -> Evaluation:
    """Bring the alerts in line with the rules and, when there are `values`, with the conditions."""
    result = Evaluation({}, (), (), (), {})
    told: list[Told] = []
    by_fingerprint = {rule.fingerprint: rule for rule in rules}
    for key, alert in alerts.items():
        rule = by_fingerprint.get(key)
        if rule is None or rule.definition != alert.definition:
            told += _ended(alert, now)
        else:
            result.alerts[key] = alert
    for key, rule in by_fingerprint.items():
        alert = result.alerts.get(key) or Watched(rule.name, key, rule.definition, AlertState("ok", now), {})
        if values is not None:
            outcome = rule.condition.evaluate(values)
            result.outcomes[rule.name] = outcome
            alert = _stepped(rule, alert, outcome, values, now, told)
        result.alerts[key] = alert
    changed = tuple(alert for key, alert in result.alerts.items() if _differs(alert, alerts.get(key)))
    gone = tuple(key for key in alerts if key not in by_fingerprint)
    return result._replace(changed=changed, dropped=gone, told=tuple(told))


def _differs(alert: Watched, before: Watched | None) -> bool:
    return before is None or alert.state != before.state or alert.definition != before.definition


def _ended(alert: Watched, now: Moment) -> list[Told]:
    _, transitions = end(alert.state, now)
    if not transitions or alert.notification is None:
        return []
    base = alert.notification
    return [Told(_resolved(base, transition, alert.values), "") for transition in transitions]


def _stepped(
    rule: Rule, alert: Watched, outcome: Outcome, values: Mapping[str, object], now: Moment, told: list[Told]
) -> Watched:
    state, transitions = step(alert.state, outcome, now, rule.timing, rule.fingerprint)
    observed = rule.condition.observed(values)
    notification = alert.notification
    for transition in transitions:
        notification = _notification(rule, transition, observed, values)
        told.append(Told(notification, rule.config.channel))
    return alert._replace(state=state, values=observed, notification=notification if state.phase != "ok" else None)


def _notification(rule: Rule, transition: Transition, observed: Values, values: Mapping[str, object]) -> Notification:
    return Notification(
        id=f"{transition.episode}.{transition.kind}",
        episode=transition.episode,
        seq=_SEQ[transition.kind],
        kind=transition.kind,
        priority=rule.config.priority,
        title=rule.name,
        text=rule.summary(values),
        at=transition.at.wall,
        rule=rule.name,
        condition=rule.config.condition,
        since=transition.since,
        reason=transition.reason,
        values=observed,
        alerts=(_alert(rule, transition, observed, values),),
    )


def _alert(rule: Rule, transition: Transition, observed: Values, values: Mapping[str, object]) -> Alert:
    return Alert(
        fingerprint=rule.fingerprint,
        episode=transition.episode,
        status=transition.kind,
        priority=rule.config.priority,
        labels={"alertname": rule.name, "severity": rule.config.priority},
        annotations={"summary": rule.summary(values)},
        starts_at=transition.since,
        ends_at=transition.at.wall if transition.kind == "resolved" else None,
        rule=rule.name,
        condition=rule.config.condition,
        values=observed,
        reason=transition.reason,
    )


def _resolved(base: Notification, transition: Transition, values: Values) -> Notification:
    """The end of an alert whose rule is no longer what it was: told in the words of its beginning."""
    return msgspec.structs.replace(
        base,
        id=f"{transition.episode}.resolved",
        seq=_SEQ["resolved"],
        kind="resolved",
        at=transition.at.wall,
        reason=transition.reason,
        values=values,
        alerts=tuple(
            msgspec.structs.replace(alert, status="resolved", ends_at=transition.at.wall, reason=transition.reason)
            for alert in base.alerts
        ),
    )


class StoredAlert(NamedTuple):
    """An alert state as the store has it; times are wall-clock seconds."""

    rule: str
    fingerprint: str
    definition: str
    phase: Phase
    since: float
    pending_since: float | None
    firing_since: float | None
    episode: str
    values: Values
    notification: Notification | None
    updated: float


def restore(stored: StoredAlert, now: Moment) -> Watched:
    """An alert of an earlier run on this run's clocks."""
    walls = (stored.since, stored.pending_since, stored.firing_since)
    since, active, fired = (restored(wall, stored.updated, now) for wall in walls)
    state = AlertState(stored.phase, since or now, stored.episode, active, fired)
    return Watched(stored.rule, stored.fingerprint, stored.definition, state, stored.values, stored.notification)
