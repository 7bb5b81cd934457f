"""What has changed: alerts that begin, end or are acknowledged, and the groups that it touches. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from hxp_enterprise_llm.event.notifications.instant import Instant
from hxp_enterprise_llm.event.notifications.model import Alert, Notification
from hxp_enterprise_llm.event.notifications.outbox import Recipient
from hxp_enterprise_llm.event.notifications.routing.draft import Draft, Queued, State
from hxp_enterprise_llm.event.notifications.routing.model import Decision, Group, Known, Stage
from hxp_enterprise_llm.event.notifications.routing.receivers import MACHINES, STREAMS, Receivers
from hxp_enterprise_llm.event.notifications.routing.table import RoutingTable, Way


class Intake:
    """The first half of a pass: alerts that begin and end, and the groups that they come to."""

    def __init__(
        self, state: State, table: RoutingTable, receivers: Receivers, now: Instant, instance: str = "self"
    ) -> None:
        """`instance` names this daemon to others: what it passes on to programs carries the name."""
        self.draft = Draft(state)
        self.now = now
        self._instance = instance
        self.wakes: dict[str, float | None] = {}
        self._table, self._receivers = table, receivers
        self._touched: dict[str, None] = {}
        self._ways: dict[str, list[Way]] = {}
        self._homes: dict[str, list[str]] | None = None
        self._everything = self._rerouted = False
        self._members: dict[str, set[str]] = {}
        """Of the groups that alerts have come to in this pass: thousands may come to one."""

    def take(self, notification: Notification, choice: str, expires: float | None = None) -> bool:
        """An alert begins or ends. False: its end is of no concern, because nobody knew of it."""
        fingerprint = notification.alerts[0].fingerprint
        before = self.draft.alert(fingerprint)
        if notification.kind == "resolved":
            if before is None or before.alert.episode != notification.episode:
                return False
            choice = before.choice
        same = before is not None and before.alert.episode == notification.episode
        self._put(
            Known(
                notification=notification,
                choice=choice,
                changed=self.now.steady,
                ack=before.ack if before is not None and same and notification.kind == "firing" else None,
                lapsed=before.lapsed if before is not None and same else 0.0,
                expires=expires,
            )
        )
        return True

    def _put(self, known: Known) -> None:
        self.draft.alerts[known.fingerprint] = known
        self._ways.pop(known.fingerprint, None)
        self._everything = self._everything or bool(self._table.inhibit)
        if known.fires:
            self._enrol(known)
        self._touch_homes(known.fingerprint)

    def _touch_homes(self, fingerprint: str) -> None:
        """The groups that an alert was in before this pass; those it comes to are touched anyway."""
        if self._homes is None:
            self._homes = {}
            for group in self.draft.all_groups():
                for member in group.members:
                    self._homes.setdefault(member, []).append(group.id)
        self._touched.update(dict.fromkeys(self._homes.get(fingerprint, ())))

    def _enrol(self, known: Known) -> None:
        for way in self._ways_of(known):
            group = self.draft.group(way.id) or Group(
                id=way.id,
                key=way.key,
                route=way.path.key,
                receiver=way.receiver,
                labels=way.labels,
                began=self.now.steady,
            )
            members = self._members.get(way.id)
            if members is None:
                members = self._members[way.id] = set(group.members)
            if known.fingerprint not in members:
                members.add(known.fingerprint)
                group = msgspec.structs.replace(group, members=(*group.members, known.fingerprint))
                text = f"route {way.path.key}, group {way.key}"
                self._decide(known, "route", "grouped", text, group)
                self.draft.groups[way.id] = group
            self._touched[way.id] = None

    def assume_told(self, alert: Alert, to: tuple[Recipient, ...]) -> None:
        """The groups of an alert have been told of it already, by an earlier release."""
        known = self.draft.alert(alert.fingerprint)
        for way in self._ways_of(known) if known else ():
            group = self.draft.group(way.id)
            if group is not None:
                self.draft.groups[way.id] = msgspec.structs.replace(
                    group,
                    told={**group.told, alert.fingerprint: alert.episode},
                    told_at=self.now.steady,
                    since={**group.since, alert.fingerprint: self.now.steady},
                    flushed=self.now.steady,
                    thread=group.thread or alert.episode,
                    to=tuple(dict.fromkeys((*group.to, *to))),
                )

    def revise(self, known: Known) -> None:
        """Something about an alert is another now, though it goes on as it did: its acknowledgement, its end."""
        self.draft.alerts[known.fingerprint] = known
        self._touch_homes(known.fingerprint)

    def reroute(self) -> None:
        """Other routes are in force, or much time has passed: look at everything."""
        for group in list(self.draft.all_groups()):
            self._hand_on(group)
        for known in list(self.draft.all_alerts()):
            if known.fires:
                self._enrol(known)
        self._everything = self._rerouted = True

    def _hand_on(self, group: Group) -> None:
        """A receiver that has another name now and some of the same people goes on with what they were told."""
        members = filter(None, map(self.draft.alert, group.members))
        ways = next((self._ways_of(known) for known in members if known.fires), [])
        if any(way.id == group.id for way in ways):
            return
        for way in ways:
            free = way.key == group.key and self.draft.group(way.id) is None
            if free and set(self._receivers.recipients(way.receiver)) & set(group.to):
                self.draft.groups[group.id] = None
                self.draft.groups[way.id] = msgspec.structs.replace(group, id=way.id, receiver=way.receiver)
                return

    def look_at_all(self) -> None:
        """What holds alerts back has changed."""
        self._everything = True

    def look_at(self, groups: Iterable[str]) -> None:
        """These groups are due."""
        self._touched.update(dict.fromkeys(groups))

    def tell_receivers_of(self, alerts: Iterable[Known], notification: Notification) -> None:
        """Queue a message for the people who are told of these alerts."""
        names = dict.fromkeys(way.receiver for known in alerts for way in self._ways_of(known))
        to = dict.fromkeys(each for name in names for each in self._receivers.recipients(name))
        people = tuple(each for each in to if each[0] not in (*STREAMS, *MACHINES))
        if people:
            self.draft.queue.append(Queued(notification, people))

    def _ways_of(self, known: Known) -> list[Way]:
        found = self._ways.get(known.fingerprint)
        if found is None:
            found = self._ways[known.fingerprint] = self._table.ways(known.labels, known.choice)
        return found

    def _decide(self, known: Known, stage: Stage, outcome: str, reason: str, group: Group | None = None) -> None:
        self.draft.decisions.append(decision(known, stage, outcome, reason, self.now, group))


def decision(
    known: Known, stage: Stage, outcome: str, reason: str, now: Instant, group: Group | None = None
) -> Decision:
    """A decision about an alert, to be written down."""
    return Decision(
        now.wall,
        known.alert.episode,
        known.fingerprint,
        known.labels.get("alertname", known.notification.rule),
        stage,
        outcome,
        reason,
        group.key if group else "",
        group.receiver if group else "",
    )
