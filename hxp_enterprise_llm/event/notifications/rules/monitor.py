"""How the rules are doing: health and last values of each, for /notifications/status, metrics and the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import structlog

from hxp_enterprise_llm.event.notifications.model import Values
from hxp_enterprise_llm.event.notifications.rules.compiled import Rule
from hxp_enterprise_llm.event.notifications.rules.conditions import EvaluationError, NoData, Outcome
from hxp_enterprise_llm.event.notifications.rules.evaluation import Evaluation, Key
from hxp_enterprise_llm.event.notifications.rules.snapshots import MAX_AGE_SECONDS
from hxp_enterprise_llm.event.notifications.rules.telling import Told, Watched
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.telemetry.notification_metrics import NotificationMetrics
from hxp_enterprise_llm.telemetry.rules import RuleFigures

log = structlog.get_logger("notifications")

_MOST_LINES = 20
"""Lines of log about the health of rules in one evaluation; the rest is a number."""
_LINES_AT_ONCE = 10
_RULES_AT_ONCE = 1000
"""A millisecond, as the lines."""


class Health(NamedTuple):
    """Whether a rule can be decided; it has a state apart from that."""

    health: Literal["ok", "no_data", "error"]
    reason: str = ""


_OK = Health("ok")
_NEVER = Health("no_data", "no metrics snapshot has arrived yet")


class RuleMonitor:
    """Keeps what the last evaluation said of each rule."""

    def __init__(self, metrics: NotificationMetrics, clock: Clock) -> None:
        self._metrics, self._clock = metrics, clock
        self._rules: dict[str, Rule] = {}
        self._health: dict[str, Health] = {}
        self._failures: Counter[str] = Counter()
        self._begun: dict[str, int] = {}
        self._rounds = 0
        self._phases: dict[str, Counter[str]] = {}
        self._numbers: Mapping[str, float | None] = {}
        self._sets: Mapping[str, Mapping[Key, Values]] = {}
        self._evaluated: float | None = None
        self.last_snapshot: float | None = None
        """Wall-clock seconds of the last snapshot that was evaluated."""
        metrics.rules.source = self._figures

    def use(self, rules: Sequence[Rule]) -> None:
        """Other rules are in force: those that are gone leave the metrics."""
        names = {rule.name: rule for rule in rules}
        for gone in self._rules.keys() - names.keys():
            for kept in (self._health, self._failures, self._begun):
                kept.pop(gone, None)
        for new in names.keys() - self._rules.keys():
            self._begun[new] = self._rounds
        self._rules = names

    def evaluated(self, at: float | None, result: Evaluation, took: float) -> Iterator[None]:
        """The rules were evaluated, in so many seconds, over a snapshot of that time; None: over the want of one.

        Others may run where it yields.
        """
        now = self._clock.monotonic()
        self._rounds += 1
        self._numbers = result.numbers
        self._sets = {
            name: {key: dict(inputs.numbers) for key, inputs in sets.items()} for name, sets in result.sets.items()
        }
        self._metrics.rule_seconds.observe(took)
        if at is not None:
            self._evaluated, self.last_snapshot = now, at
            self._metrics.rule_time.set(self._clock.time())
        for name in result.failed:
            if name in self._rules:  # else gone by a reload while the evaluation was stored
                self._failures[name] += 1
        yield from self._note(result.outcomes)

    def _note(self, outcomes: Mapping[str, Outcome]) -> Iterator[None]:
        said = 0
        for count, (name, outcome) in enumerate(outcomes.items(), 1):
            if count % _RULES_AT_ONCE == 0:
                yield
            if name not in self._rules:
                continue
            before, health = self._health.get(name, _OK), _health(outcome)
            self._health[name] = health
            if health.health != before.health or (health.health == "error" and health != before):
                said += 1
                if said <= _MOST_LINES:
                    _say(name, health)
        if said > _MOST_LINES:
            log.warning("rule.health_of_more", rules=said - _MOST_LINES)

    def show(self, alerts: Mapping[str, Watched]) -> Iterator[None]:
        """Bring metrics up to date with the alerts; others may run where it yields."""
        phases: dict[str, Counter[str]] = {}
        for number, alert in enumerate(alerts.values(), 1):
            if number % _RULES_AT_ONCE == 0:
                yield
            phases.setdefault(alert.rule, Counter())[alert.state.phase] += 1
        self._phases = phases

    def say(self, told: Sequence[Told]) -> Iterator[None]:
        """A line of log for each alert that changed; others may run where it yields."""
        for number, (notification, _) in enumerate(told, 1):
            level = log.warning if notification.kind == "firing" else log.info
            level(
                f"alert.{notification.kind}",
                rule=notification.rule,
                priority=notification.priority,
                episode=notification.episode,
                values=notification.values,
                labels=notification.alerts[0].labels,
            )
            if number % _LINES_AT_ONCE == 0:
                yield

    def _figures(self) -> Iterable[RuleFigures]:
        for name, begun in list(self._begun.items()):  # a reload may come while a page is being written
            yield RuleFigures(name, self._rounds - begun, self._failures[name], self._phases.get(name, {}))

    def health(self, name: str) -> Health:
        """How a rule is now; a rule whose snapshots have stopped has no data."""
        if self._evaluated is None:
            return _NEVER
        silent = self._clock.monotonic() - self._evaluated
        if silent > MAX_AGE_SECONDS:
            return Health("no_data", f"no metrics snapshot for {silent:.0f} s")
        return self._health.get(name, _OK)

    def values(self, name: str) -> Values:
        """What a rule that is evaluated once saw last."""
        rule = self._rules.get(name)
        if rule is None or rule.by or self._evaluated is None:
            return {}
        return rule.observed(self._numbers)

    def label_sets(self, name: str) -> Mapping[Key, Values]:
        """The label sets that a rule with `by` saw last, and their values."""
        return self._sets.get(name, {})


def _say(name: str, health: Health) -> None:
    if health.health == "error":
        log.error("rule.error", rule=name, reason=health.reason)
    else:
        log.info("rule.health", rule=name, health=health.health, reason=health.reason)


def _health(outcome: Outcome) -> Health:
    if isinstance(outcome, NoData):
        return Health("no_data", str(outcome))
    if isinstance(outcome, EvaluationError):
        return Health("error", outcome.reason)
    return _OK
