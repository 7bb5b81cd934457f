"""The way in Alertmanager's JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hxp_enterprise_llm.config.matchers import Matcher, all_match
from hxp_enterprise_llm.config.patterns import Pattern
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.instant import Instant
from hxp_enterprise_llm.event.notifications.links import page_of
from hxp_enterprise_llm.event.notifications.records import Delivered
from hxp_enterprise_llm.event.notifications.routing.described import (
    AlertGroup,
    DecisionTaken,
    DeliveryMade,
    GettableAlert,
    GettableSilence,
)
from hxp_enterprise_llm.event.notifications.routing.draft import Draft, State
from hxp_enterprise_llm.event.notifications.routing.model import Decision, Known, Silence
from hxp_enterprise_llm.event.notifications.routing.suppression import Suppression
from hxp_enterprise_llm.event.notifications.routing.table import RoutingTable

_ORDER = {"active": 0, "pending": 1, "expired": 2}
_FAR_SECONDS = 4 * 3600.0
"""Alerts of our own end when their rule says so; Alertmanager's JSON wants a time."""


class Chosen(NamedTuple):
    """Which alerts are wanted."""

    filter: tuple[Matcher, ...] = ()
    active: bool = True
    silenced: bool = True
    inhibited: bool = True
    receiver: Pattern | None = None

    def takes(self, alert: GettableAlert) -> bool:
        """Whether an alert is among them."""
        status = alert["status"]
        return (
            all_match(self.filter, alert["labels"])
            and (self.active or status["state"] != "active")
            and (self.silenced or not status["silencedBy"])
            and (self.inhibited or not status["inhibitedBy"])
            and (self.receiver is None or any(self.receiver.matches(each["name"]) for each in alert["receivers"]))
        )


class Views:
    """What there is at one moment."""

    def __init__(self, state: State, table: RoutingTable, now: Instant, page_url: str) -> None:
        """`page_url`: where people find this service."""
        self._state, self._table, self._now, self._page_url = state, table, now, page_url
        self._suppression = Suppression(table, Draft(state), now)

    def alerts(self, chosen: Chosen) -> list[GettableAlert]:
        """The alerts that fire, by their labels."""
        firing = sorted(_firing(self._state.alerts.values()), key=lambda known: sorted(known.labels.items()))
        return [alert for alert in map(self._alert, firing) if chosen.takes(alert)]

    def groups(self, chosen: Chosen) -> list[AlertGroup]:
        """The groups with their alerts."""
        found: list[AlertGroup] = []
        for group in sorted(self._state.groups.values(), key=lambda each: (each.key, each.receiver)):
            if chosen.receiver is not None and not chosen.receiver.matches(group.receiver):
                continue
            known = (self._state.alerts[fp] for fp in group.members if fp in self._state.alerts)
            alerts = [alert for alert in map(self._alert, _firing(known)) if chosen.takes(alert)]
            if alerts:
                found.append({"labels": group.labels, "receiver": {"name": group.receiver}, "alerts": alerts})
        return found

    def _alert(self, known: Known) -> GettableAlert:
        silences = [silence.id for silence in self._suppression.silences(known)]
        inhibitor = self._suppression.inhibitor(known)
        ways = self._table.ways(known.labels, known.choice)
        muted = [reason for way in ways if (reason := way.path.shut(self._now.wall))]
        held = bool(silences or inhibitor or (ways and len(muted) == len(ways)))
        lasts = known.expires - self._now.steady if known.expires is not None else _FAR_SECONDS
        return {
            "annotations": known.alert.annotations,
            "endsAt": rfc3339(self._now.wall + lasts),
            "fingerprint": known.fingerprint,
            "receivers": [{"name": name} for name in dict.fromkeys(way.receiver for way in ways)],
            "startsAt": rfc3339(known.alert.starts_at),
            "status": {
                "state": "suppressed" if held else "active",
                "silencedBy": silences,
                "inhibitedBy": [inhibitor.fingerprint] if inhibitor else [],
                "mutedBy": muted,
            },
            "updatedAt": rfc3339(known.notification.at),
            "generatorURL": known.alert.generator_url or page_of(known.alert.episode, self._page_url),
            "labels": known.labels,
        }

    def silences(self, filter: Sequence[Matcher]) -> list[GettableSilence]:
        """The silences whose matchers satisfy the filter: those that hold first, and first those that end first."""
        found = [
            each
            for each in self._state.silences.values()
            if all_match(filter, {matcher.name: matcher.value for matcher in each.matchers})
        ]
        found.sort(key=lambda each: (_ORDER[each.state(self._now.wall)], each.ends_at, each.id))
        return [self.silence(each) for each in found]

    def silence(self, silence: Silence) -> GettableSilence:
        """One silence."""
        return {
            "id": silence.id,
            "status": {"state": silence.state(self._now.wall)},
            "updatedAt": rfc3339(silence.updated_at),
            "matchers": [
                {"name": each.name, "value": each.value, "isRegex": each.is_regex, "isEqual": each.is_equal}
                for each in silence.matchers
            ],
            "startsAt": rfc3339(silence.starts_at),
            "endsAt": rfc3339(silence.ends_at),
            "createdBy": silence.created_by,
            "comment": silence.comment,
        }


def _firing(alerts: Iterable[Known]) -> list[Known]:
    return [known for known in alerts if known.fires]


def delivery_made(delivered: Delivered) -> DeliveryMade:
    """A delivery as it is shown."""
    made: DeliveryMade = {
        "episode": delivered.episode,
        "channel": delivered.channel,
        "target": delivered.target,
        "kind": delivered.kind,
        "state": delivered.state,
        "attempts": delivered.attempts,
        "at": rfc3339(delivered.at),
    }
    if delivered.error:
        made["error"] = delivered.error
    return made


def decision_taken(decision: Decision) -> DecisionTaken:
    """A decision as it is shown."""
    taken: DecisionTaken = {
        "at": rfc3339(decision.at),
        "episode": decision.episode,
        "alertname": decision.alertname,
        "stage": decision.stage,
        "outcome": decision.outcome,
        "reason": decision.reason,
    }
    if decision.receiver:
        taken["group_key"], taken["receiver"] = decision.group_key, decision.receiver
    return taken
