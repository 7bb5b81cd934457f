"""The pipeline without a loop or a store: alerts in, what is told out, time by hand."""

from __future__ import annotations

from typing import Any

import msgspec

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.event.notifications.instant import Instant
from hxp_enterprise_llm.event.notifications.model import LOG_CHANNEL, Alert, Notification
from hxp_enterprise_llm.event.notifications.routing.draft import Draft, State, nothing
from hxp_enterprise_llm.event.notifications.routing.foreign import Foreign
from hxp_enterprise_llm.event.notifications.routing.lapses import boundary, lapse
from hxp_enterprise_llm.event.notifications.routing.model import Ack, Group, Known, Silence, SilenceMatcher
from hxp_enterprise_llm.event.notifications.routing.pipeline import Pass
from hxp_enterprise_llm.event.notifications.routing.receivers import STREAMS, Receivers
from hxp_enterprise_llm.event.notifications.routing.table import compile_routing
from tests.unit.notifications.support import NOW, RecordingChannel


def settings(**parts: Any) -> NotificationsConfig:
    """A configuration as the file has it; `oncall` and `team` are receivers beside the channels."""
    receivers = {"oncall": {"channel": "email", "to": ["oncall@x"]}, "team": {"channel": "slack"}}
    return msgspec.convert({"receivers": receivers, **parts}, NotificationsConfig)


class Told(msgspec.Struct, frozen=True):
    """One group notification, shortened: who, why, which alerts fire and which have ended."""

    at: float
    receiver: str
    why: str
    firing: tuple[str, ...]
    ended: tuple[str, ...] = ()


class Ways:
    """A state, a configuration and a clock."""

    def __init__(self, **parts: Any) -> None:
        self.config = settings(**parts)
        self.channels = {
            "slack": RecordingChannel("slack", targets=("#ops",)),
            "email": RecordingChannel("email", targets=("ops@x",)),
            "websocket": RecordingChannel("websocket"),
            "sse": RecordingChannel("sse"),
        }
        self.state: State = nothing()
        self.elapsed = 0.0
        self.wakes: dict[str, float | None] = {}
        self.boundary = float("inf")
        self.told: list[Told] = []
        self.queue: list[tuple[Notification, tuple[tuple[str, str], ...]]] = []
        self.decisions: list[Any] = []
        self.suppressed: list[str] = []
        self._episodes: dict[str, str] = {}
        self.rerouted = False

    @property
    def now(self) -> Instant:
        return Instant(NOW + self.elapsed, NOW + self.elapsed)

    def begin(self) -> Pass:
        return Pass(
            self.state, compile_routing(self.config), Receivers(self.config, self.channels), self.now, "this-one"
        )

    def settle(self, work: Pass) -> Draft:
        if self.now.wall >= self.boundary:
            lapse(work, self.state, self.notice)
        if self.rerouted:
            work.reroute()
            self.rerouted = False
        work.look_at(id for id, at in self.wakes.items() if at is not None and at <= self.now.steady)
        work.settle()
        self._adopt(work)
        return work.draft

    @property
    def notice(self) -> float:
        return 900.0

    def _adopt(self, work: Pass) -> None:
        draft = work.draft
        draft.adopt()
        # What is stored is what goes on: nothing may live in memory alone.
        stored = msgspec.json.decode(msgspec.json.encode(tuple(self.state)))
        alerts, groups, silences = stored
        assert msgspec.convert(alerts, dict[str, Known]) == self.state.alerts
        assert msgspec.convert(groups, dict[str, Group]) == self.state.groups
        assert msgspec.convert(silences, dict[str, Silence]) == self.state.silences
        self.wakes.update(work.wakes)
        self.boundary = boundary(self.state, compile_routing(self.config).timed, self.notice, self.now)
        self.decisions += draft.decisions
        self.suppressed += draft.suppressed
        for notification, to in draft.queue:
            self.queue.append((notification, to))
            if notification.kind != "message" and any(channel not in (*STREAMS, LOG_CHANNEL) for channel, _ in to):
                self.told.append(self._shortened(notification))

    def _shortened(self, told: Notification) -> Told:
        names = {
            status: tuple(sorted(_name(each) for each in told.alerts if each.status == status))
            for status in ("firing", "resolved")
        }
        return Told(self.elapsed, told.receiver, told.why, names["firing"], names["resolved"])

    def fire(self, *names: str, choice: str = "slack", **labels: str) -> list[Told]:
        """Alerts begin, all in one pass; answers what is told at once."""
        return self.change(firing=names, choice=choice, **labels)

    def end(self, *names: str, **labels: str) -> list[Told]:
        """Alerts end, all in one pass."""
        return self.change(ended=names, **labels)

    def change(
        self, firing: tuple[str, ...] = (), ended: tuple[str, ...] = (), choice: str = "slack", **labels: str
    ) -> list[Told]:
        before, work = len(self.told), self.taken(*firing, choice=choice, **labels)
        for name in ended:
            work.take(self._notification(name, "resolved", labels), choice)
        self.settle(work)
        return self.told[before:]

    def taken(self, *firing: str, choice: str = "slack", **labels: str) -> Pass:
        """A pass that has taken these alerts in, and is not settled."""
        work = self.begin()
        for name in firing:
            work.take(self._notification(name, "firing", labels), choice)
        return work

    def _notification(self, name: str, kind: Any, labels: dict[str, str]) -> Notification:
        """`name` is `alertname` or `alertname/instance`."""
        alertname, _, instance = name.partition("/")
        all_labels = {"alertname": alertname, "severity": "warning"} | labels
        if instance:
            all_labels["instance"] = instance
        key = Foreign(all_labels, {}, None, None, "").fingerprint
        if kind == "firing":
            self._episodes[key] = f"{key}-{int(self.now.wall * 1000)}"
        episode = self._episodes.get(key, f"{key}-0")
        priority: Any = all_labels["severity"] if all_labels["severity"] in ("critical", "info") else "warning"
        alert = Alert(
            fingerprint=key,
            episode=episode,
            status=kind,
            priority=priority,
            labels=all_labels,
            annotations={"summary": f"{name} is bad"},
            starts_at=self.now.wall,
            ends_at=self.now.wall if kind == "resolved" else None,
            rule=alertname,
        )
        return Notification(
            id=f"{episode}.{kind}",
            episode=episode,
            seq=1,
            kind=kind,
            priority=priority,
            title=alertname,
            text=f"{name} is bad",
            at=self.now.wall,
            rule=alertname,
            alerts=(alert,),
        )

    def advance(self, seconds: float) -> list[Told]:
        """Time goes on; whatever is due meanwhile is done at its moment. Answers what is told."""
        before, end = len(self.told), self.elapsed + seconds
        while (due := self._next()) is not None and due <= end:
            self.elapsed = max(self.elapsed, due)
            self.settle(self.begin())
        self.elapsed = end
        return self.told[before:]

    def _next(self) -> float | None:
        moments = [at - NOW for at in self.wakes.values() if at is not None]
        if self.boundary != float("inf"):
            moments.append(self.boundary - NOW)
        return min(moments, default=None)

    def restart(self) -> list[Told]:
        """The process ends and begins again: only what is stored is left."""
        stored = msgspec.json.encode(tuple(self.state))
        alerts, groups, silences = msgspec.json.decode(stored)
        self.state = State(
            msgspec.convert(alerts, dict[str, Known]),
            msgspec.convert(groups, dict[str, Group]),
            msgspec.convert(silences, dict[str, Silence]),
        )
        return self.reroute()

    def reroute(self, **parts: Any) -> list[Told]:
        """A start, or a reload with another configuration."""
        if parts:
            self.config = settings(**parts)
        before = len(self.told)
        self.rerouted, self.wakes = True, {}
        self.settle(self.begin())
        return self.told[before:]

    def silence(self, ends_in: float, starts_in: float = 0.0, id: str = "s-1", **labels: str) -> list[Told]:
        before, work, wall = len(self.told), self.begin(), self.now.wall
        work.draft.silences[id] = Silence(
            id=id,
            matchers=tuple(SilenceMatcher(name=name, value=value) for name, value in labels.items()),
            starts_at=wall + starts_in,
            ends_at=wall + ends_in,
            updated_at=wall,
            created_by="alice",
            comment="known",
        )
        work.look_at_all()
        self.settle(work)
        return self.told[before:]

    def acknowledge(self, name: str, lasts: float = 3600.0) -> None:
        """Alice takes an alert on; 0: gives it back."""
        work, wall = self.begin(), self.now.wall
        (known,) = [each for each in self.state.alerts.values() if _name(each.alert) == name]
        ack = Ack(by="alice", comment="", at=wall, until=wall + lasts) if lasts else None
        work.revise(msgspec.structs.replace(known, ack=ack))
        self.settle(work)

    def reasons(self, outcome: str) -> list[str]:
        """The reasons of the decisions with this outcome."""
        return [each.reason for each in self.decisions if each.outcome == outcome]


def _name(alert: Alert) -> str:
    instance = alert.labels.get("instance", "")
    return alert.labels["alertname"] + (f"/{instance}" if instance else "")
