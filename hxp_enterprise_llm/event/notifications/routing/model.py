"""What the way of an alert remembers: alerts, groups, silences, decisions. All of it is in the store as well."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from hxp_enterprise_llm.event.notifications.instant import Instant
from hxp_enterprise_llm.event.notifications.model import Alert, Notification
from hxp_enterprise_llm.event.notifications.outbox import Recipient

FOREIGN = "alertmanager"
"""Origin of alerts that come from Prometheus or Alertmanager."""
HOP_LABEL = "citadel_hop"
"""Carried by an alert that another of our daemons has passed on: it goes no further by machine."""


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has taken an alert on. `at` and `until` are wall-clock seconds, for people."""

    by: str
    comment: str
    at: float
    until: float
    lapses: float | None = None
    """Steady seconds at which it runs out, whoever sets the wall clock; None: when `until` says."""

    def left(self, now: Instant) -> float:
        """Seconds for which it still holds."""
        return self.until - now.wall if self.lapses is None else self.lapses - now.steady


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """An alert on its way: as it was told last, from its firing until its end has been dealt with."""

    notification: Notification
    choice: str
    """Channel that its rule names."""
    changed: float
    """When it began or ended; steady seconds."""
    ack: Ack | None = None
    lapsed: float = 0.0
    """When the last acknowledgement ran out; steady seconds."""
    expires: float | None = None
    """Of an alert from outside: steady seconds at which it ends unless it is sent again."""

    @property
    def alert(self) -> Alert:
        return self.notification.alerts[0]

    @property
    def fingerprint(self) -> str:
        return self.alert.fingerprint

    @property
    def labels(self) -> dict[str, str]:
        return self.alert.labels

    @property
    def fires(self) -> bool:
        return self.notification.kind == "firing"


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts that one receiver is told of together, and what it was told. Times are steady seconds."""

    id: str
    key: str
    """As Alertmanager writes it: `{}/{severity="critical"}:{alertname="x"}`."""
    route: str
    """Key of the route."""
    receiver: str
    labels: dict[str, str] = {}
    members: tuple[str, ...] = ()
    """Fingerprints of the alerts in it that fire, or whose end has not been dealt with."""
    began: float
    flushed: float | None = None
    """When it was last due; the group interval counts from here."""
    due: float | None = None
    """When what has changed will be told."""
    told: dict[str, str] = {}
    """Fingerprint → episode of the alerts that the receiver believes to fire."""
    told_at: float = 0.0
    since: dict[str, float] = {}
    """Fingerprint → when its clock of escalation began: the receiver was told, or something no longer held it back."""
    steps: dict[str, tuple[float, ...]] = {}
    """Fingerprint → when each step of escalation was taken; 0: not yet."""
    to: tuple[Recipient, ...] = ()
    """Who has been told since then."""
    thread: str = ""
    seq: int = 0
    held: dict[str, str] = {}
    """Fingerprint → why it is not told."""


SilenceState = Literal["pending", "active", "expired"]


class SilenceMatcher(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A comparison of a label in Alertmanager's JSON."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts that match are not told for a while. Times are wall-clock seconds since 1970."""

    id: str
    matchers: tuple[SilenceMatcher, ...]
    starts_at: float
    ends_at: float
    updated_at: float
    created_by: str
    comment: str
    said: Literal["", "expiring", "ended"] = ""
    """What has been said about its end."""

    def state(self, wall: float) -> SilenceState:
        """What it is at that time."""
        if wall >= self.ends_at:
            return "expired"
        return "active" if wall >= self.starts_at else "pending"


Stage = Literal["route", "inhibit", "mute", "silence", "dedup", "notify", "acknowledge", "escalate", "receive"]


class Decision(NamedTuple):
    """What was decided about an alert, and why."""

    at: float
    """Wall-clock seconds."""
    episode: str
    fingerprint: str
    alertname: str
    stage: Stage
    outcome: str
    """One word: `grouped`, `held`, `told`, `dropped`, …"""
    reason: str
    """A sentence for people."""
    group_key: str = ""
    receiver: str = ""
