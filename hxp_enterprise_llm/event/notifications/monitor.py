"""How the rules are doing: health and last values of each, for /notifications/status, metrics and the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import structlog

from hxp_enterprise_llm.event.notifications.conditions import EvaluationError, NoData, Outcome
from hxp_enterprise_llm.event.notifications.evaluation import Told, Watched
from hxp_enterprise_llm.event.notifications.model import Values
from hxp_enterprise_llm.event.notifications.rules import Rule
from hxp_enterprise_llm.event.notifications.snapshots import MAX_AGE_SECONDS, Snapshot
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.telemetry.notification_metrics import NotificationMetrics

log = structlog.get_logger("notifications")

_PHASES = ("ok", "pending", "firing", "recovering")


class Health(NamedTuple):
    """Whether a rule can be decided; it has a state apart from that."""

    health: Literal["ok", "no_data", "error"]
    reason: str = ""


_NEVER = Health("no_data", "no metrics snapshot has arrived yet")


class RuleMonitor:
    """Keeps what the last evaluation said of each rule."""

    def __init__(self, metrics: NotificationMetrics, clock: Clock) -> None:
        self._metrics, self._clock = metrics, clock
        self._rules: dict[str, Rule] = {}
        self._health: dict[str, Health] = {}
        self._values: dict[str, Values] = {}
        self._evaluated: float | None = None
        self.last_snapshot: float | None = None
        """Wall-clock seconds of the last snapshot that was evaluated."""

    def use(self, rules: Sequence[Rule]) -> None:
        """Other rules are in force: those that are gone leave the metrics."""
        names = {rule.name: rule for rule in rules}
        for gone in self._rules.keys() - names.keys():
            for phase in _PHASES:
                self._metrics.state.remove(gone, phase)
            self._health.pop(gone, None)
            self._values.pop(gone, None)
        new = names.keys() - self._rules.keys()
        self._rules = names
        for name in new:
            self._metrics.evaluations.labels(name)
            self._metrics.failures.labels(name)
            self._show_phase(name, "ok")

    def evaluated(self, snapshot: Snapshot, outcomes: Mapping[str, Outcome]) -> None:
        """The rules were evaluated over a snapshot."""
        self._evaluated, self.last_snapshot = self._clock.monotonic(), snapshot.at
        for name, outcome in outcomes.items():
            rule = self._rules.get(name)
            if rule is None:  # gone by a reload while the evaluation was stored
                continue
            self._metrics.evaluations.labels(name).inc()
            if isinstance(outcome, EvaluationError):
                self._metrics.failures.labels(name).inc()
            self._values[name] = rule.condition.observed(snapshot.values)
            self._change(name, _health(outcome))

    def show(self, alerts: Mapping[str, Watched], told: Sequence[Told]) -> None:
        """Bring metrics and log up to date with the alerts."""
        for alert in alerts.values():
            if alert.rule in self._rules:
                self._show_phase(alert.rule, alert.state.phase)
        for notification, _ in told:
            level = log.warning if notification.kind == "firing" else log.info
            level(
                f"alert.{notification.kind}",
                rule=notification.rule,
                priority=notification.priority,
                episode=notification.episode,
                values=notification.values,
            )

    def health(self, name: str) -> Health:
        """How a rule is now; a rule whose snapshots have stopped has no data."""
        if self._evaluated is None:
            return _NEVER
        silent = self._clock.monotonic() - self._evaluated
        if silent > MAX_AGE_SECONDS:
            return Health("no_data", f"no metrics snapshot for {silent:.0f} s")
        return self._health.get(name, _NEVER)

    def values(self, name: str) -> Values:
        """What a rule saw last."""
        return self._values.get(name, {})

    def _change(self, name: str, health: Health) -> None:
        before = self._health.get(name, Health("ok"))
        self._health[name] = health
        if health.health == "error" and before != health:
            log.error("rule.error", rule=name, reason=health.reason)
        elif health.health != before.health:
            log.info("rule.health", rule=name, health=health.health, reason=health.reason)

    def _show_phase(self, name: str, phase: str) -> None:
        for other in _PHASES:
            self._metrics.state.labels(name, other).set(other == phase)


def _health(outcome: Outcome) -> Health:
    if isinstance(outcome, NoData):
        return Health("no_data", str(outcome))
    if isinstance(outcome, EvaluationError):
        return Health("error", outcome.reason)
    return Health("ok")
