"""A change that is being made: what is, and over it what will be once it is stored. Nothing else is touched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from hxp_enterprise_llm.event.notifications.model import Notification
from hxp_enterprise_llm.event.notifications.outbox import Recipient
from hxp_enterprise_llm.event.notifications.routing.model import Decision, Group, Known, Silence

T = TypeVar("T")


class State(NamedTuple):
    """What the way of alerts remembers: by fingerprint, by group, by id."""

    alerts: dict[str, Known]
    groups: dict[str, Group]
    silences: dict[str, Silence]


def nothing() -> State:
    """The state before anything has happened."""
    return State({}, {}, {})


class Queued(NamedTuple):
    """A notification for the outbox."""

    notification: Notification
    to: tuple[Recipient, ...]


class Draft:
    """Changes over a state. None stands for: it is gone."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.alerts: dict[str, Known | None] = {}
        self.groups: dict[str, Group | None] = {}
        self.silences: dict[str, Silence | None] = {}
        self.queue: list[Queued] = []
        self.decisions: list[Decision] = []
        self.suppressed: list[str] = []
        """Why alerts were held back, one entry each: inhibited, muted, silenced."""

    def alert(self, fingerprint: str) -> Known | None:
        """An alert as it will be."""
        if fingerprint in self.alerts:
            return self.alerts[fingerprint]
        return self._state.alerts.get(fingerprint)

    def group(self, id: str) -> Group | None:
        """A group as it will be."""
        return self.groups[id] if id in self.groups else self._state.groups.get(id)

    def silence(self, id: str) -> Silence | None:
        """A silence as it will be."""
        return self.silences[id] if id in self.silences else self._state.silences.get(id)

    def all_alerts(self) -> Iterator[Known]:
        """Every alert as it will be."""
        for fingerprint in dict.fromkeys((*self._state.alerts, *self.alerts)):
            if (known := self.alert(fingerprint)) is not None:
                yield known

    def all_groups(self) -> Iterator[Group]:
        """Every group as it will be."""
        for id in dict.fromkeys((*self._state.groups, *self.groups)):
            if (group := self.group(id)) is not None:
                yield group

    def all_silences(self) -> Iterator[Silence]:
        """Every silence as it will be."""
        for id in dict.fromkeys((*self._state.silences, *self.silences)):
            if (silence := self.silence(id)) is not None:
                yield silence

    @property
    def changes(self) -> bool:
        """Whether there is anything to store."""
        return bool(self.alerts or self.groups or self.silences or self.queue or self.decisions)

    def adopt(self) -> None:
        """It is stored: the state becomes what was planned."""
        _merge(self._state.alerts, self.alerts)
        _merge(self._state.groups, self.groups)
        _merge(self._state.silences, self.silences)


def _merge(into: dict[str, T], changes: dict[str, T | None]) -> None:
    for key, value in changes.items():
        if value is None:
            into.pop(key, None)
        else:
            into[key] = value
