"""One evaluation of all rules over one snapshot: from the alerts as they are to the alerts as they will be.

The core never awaits; it works in stretches, between which its caller may let others run. A rule is looked at again
only when a value that it reads has changed, or when an alert of it waits for time to pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from hxp_enterprise_llm.config.rules import ENGINE_ALERT
from hxp_enterprise_llm.event.notifications.rules.alerts import RULE_CHANGED, AlertState, Moment, Timing, end, step
from hxp_enterprise_llm.event.notifications.rules.compiled import Rule, fingerprint
from hxp_enterprise_llm.event.notifications.rules.conditions import EvaluationError, Inputs, NoData, Outcome, number
from hxp_enterprise_llm.event.notifications.rules.snapshots import Snapshot
from hxp_enterprise_llm.event.notifications.rules.telling import (
    Told,
    Watched,
    engine_alert,
    tell,
    tell_end,
    tell_failure,
)

STRETCH = 256
"""Most evaluations without a pause: about a millisecond."""
_TELLING = 8
"""To tell of an alert takes as long as so many evaluations."""
ERRORS_IN_A_ROW = 10
"""So many failed evaluations of a rule are told."""

Key = tuple[str, ...]
"""The values of the labels of `by`, in their order; empty for a rule that is evaluated once."""
Alerts = Mapping[str, Watched]
"""By fingerprint."""
_AT_ONCE = Timing()


class Evaluation(NamedTuple):
    """What an evaluation would change. Nothing has changed until it is stored."""

    alerts: dict[str, Watched]
    """All that are not over."""
    changed: tuple[Watched, ...]
    dropped: tuple[str, ...]
    """Fingerprints of alerts that are over."""
    told: tuple[Told, ...]
    outcomes: dict[str, Outcome]
    """Of the rules that were looked at, by name, where there is more to say than that all is well."""
    errors: dict[str, int]
    """Failed evaluations in a row, by rule."""
    numbers: Mapping[str, float | None]
    sets: Mapping[str, Mapping[Key, Inputs]]
    """Of each rule with `by`, the label sets that have values."""
    failed: tuple[str, ...] = ()
    """Rules whose evaluation failed."""


class Evaluator:
    """A set of rules, and what was seen of the metrics when they were last evaluated."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self.by_name = {rule.name: rule for rule in rules}
        self.plain = [place for place, rule in enumerate(rules) if not rule.by]
        self.place = {rule.name: place for place, rule in enumerate(rules) if not rule.by}
        self.by_label_set = tuple(place for place, rule in enumerate(rules) if rule.by)
        self.readers: dict[str, list[int]] = {}
        """Places of the rules that read a metric."""
        for place in self.plain:
            for name in rules[place].inputs:
                self.readers.setdefault(name, []).append(place)
        self.numbers: Mapping[str, float | None] | None = None
        self.sets: Mapping[str, Mapping[Key, Inputs]] = {}
        self.errors: dict[str, int] = {}
        self.unwell: frozenset[str] = frozenset()
        """Rules that had no values, or failed."""

    def begin(self, alerts: Alerts, snapshot: Snapshot | None, now: Moment) -> Round:
        """An evaluation; without a snapshot only the rules are looked at."""
        return Round(self, alerts, snapshot, now)

    def believe(self, result: Evaluation) -> None:
        """The result is stored: what it saw need not be looked at again."""
        self.numbers, self.sets, self.errors = result.numbers, result.sets, result.errors
        ill = {name for name, outcome in result.outcomes.items() if not isinstance(outcome, bool)}
        self.unwell = (self.unwell - result.outcomes.keys()) | ill

    def doubt(self) -> None:
        """A result is lost: the next evaluation looks at everything."""
        self.numbers = None


def evaluate(evaluator: Evaluator, alerts: Alerts, snapshot: Snapshot | None, now: Moment) -> Evaluation:
    """A whole evaluation at once, which is believed."""
    begun = evaluator.begin(alerts, snapshot, now)
    for _ in begun.stretches():
        pass
    result = begun.result()
    if snapshot is not None:
        evaluator.believe(result)
    return result


class Round:
    """One evaluation on its way."""

    def __init__(self, evaluator: Evaluator, alerts: Alerts, snapshot: Snapshot | None, now: Moment) -> None:
        self._evaluator, self._before, self._snapshot, self._now = evaluator, alerts, snapshot, now
        self._alerts: dict[str, Watched] = {}
        self._live: dict[str, dict[Key, Watched]] = {}
        self._told: list[Told] = []
        self._outcomes: dict[str, Outcome] = {}
        self._errors = dict(evaluator.errors)
        self._numbers: dict[str, float | None] = {}
        self._sets: dict[str, Mapping[Key, Inputs]] = {}
        self._failed: list[str] = []
        self._told_failing: set[str] = set()
        """Rules about which there is an alert that they fail."""
        self._columns: dict[tuple[str, frozenset[str]], dict[frozenset[tuple[str, str]], float]] = {}

    def stretches(self) -> Iterator[None]:
        """Do it, with a pause after each stretch of work."""
        self._reconcile()
        if self._snapshot is None:
            return
        yield
        values = self._snapshot.values
        self._numbers = {name: number(values.get(name)) for name in self._evaluator.readers}
        yield
        inputs = Inputs(self._numbers)
        yield
        places = self._plain_rules()
        yield
        done = 0
        for place in places:
            done += self._plain(self._evaluator.rules[place], inputs)
            if done >= STRETCH:
                done = 0
                yield
        for place in self._evaluator.by_label_set:
            done += self._by_label_set(self._evaluator.rules[place])
            if done >= STRETCH:
                done = 0
                yield

    def result(self) -> Evaluation:
        """What came of it."""
        before = self._before
        changed = tuple(alert for key, alert in self._alerts.items() if _differs(alert, before.get(key)))
        gone = tuple(key for key in before if key not in self._alerts)
        return Evaluation(
            self._alerts,
            changed,
            gone,
            tuple(self._told),
            self._outcomes,
            self._errors,
            self._numbers,
            self._sets,
            tuple(self._failed),
        )

    def _reconcile(self) -> None:
        """Alerts whose rule is gone or another one end."""
        rules = self._evaluator.by_name
        for key, alert in self._before.items():
            rule = rules.get(alert.labels.get("rule", "") if alert.rule == ENGINE_ALERT else alert.rule)
            if rule is not None and alert.definition in (rule.definition, ENGINE_ALERT):
                self._alerts[key] = alert
                if alert.rule == ENGINE_ALERT:
                    self._told_failing.add(alert.labels["rule"])
                else:
                    self._live.setdefault(rule.name, {})[_key(rule, alert)] = alert
            else:
                self._end(alert)

    def _end(self, alert: Watched) -> None:
        for transition in end(alert.state, self._now, RULE_CHANGED)[1]:
            notification = tell_end(alert, transition)
            if notification is not None:
                self._told.append(Told(notification, ""))

    def _plain_rules(self) -> Sequence[int]:
        """Places of the rules to look at: their values have changed, an alert waits, or something was wrong."""
        evaluator, before = self._evaluator, self._evaluator.numbers
        everything = evaluator.plain
        if before is None:
            return everything
        now = self._numbers
        # The dictionaries have the same keys in the same order.
        changed = [name for (name, old), new in zip(before.items(), now.values(), strict=True) if old != new]
        places = {place for name in changed for place in evaluator.readers[name]}
        if len(places) == len(everything):
            return everything
        waits = self._live.keys() | self._errors.keys()
        return sorted(places | {evaluator.place[name] for name in waits if name in evaluator.place})

    def _plain(self, rule: Rule, inputs: Inputs) -> int:
        """Evaluate a rule that has no label sets; answers how many evaluations that took."""
        live = self._live.get(rule.name)
        alert = live.get(()) if live else None
        outcome = rule.decide(inputs, alert is not None and alert.state.open)
        if alert is None and outcome is False:
            if rule.name in self._evaluator.unwell:
                self._note(rule, False)
            return 1
        self._note(rule, outcome)
        return 1 + self._step(rule, (), alert, outcome, self._numbers)

    def _by_label_set(self, rule: Rule) -> int:
        """Evaluate a rule for each of its label sets; answers how many evaluations that took."""
        live = self._live.get(rule.name, {})
        sets = self._label_sets(rule)
        self._sets[rule.name] = sets
        if len(sets) > rule.config.limit:
            most = rule.config.limit
            self._note(rule, EvaluationError(f"{len(sets)} label sets, at most {most} are allowed (limit)"))
            return 1
        worst: Outcome = False if sets else NoData(rule.inputs)
        done = len(sets) + 1
        for key, inputs in sets.items():
            alert = live.get(key)
            outcome = rule.decide(inputs, alert is not None and alert.state.open)
            worst = outcome if isinstance(outcome, EvaluationError) else worst
            if alert is not None or outcome is not False:
                done += self._step(rule, key, alert, outcome, inputs.numbers)
        for key in live.keys() - sets.keys():
            # Once label sets report again, the alert that none does has nothing left to say.
            absent: Outcome = False if sets and not key else NoData(rule.inputs, vanished=bool(sets))
            done += self._step(rule, key, live[key], absent, {})
        if not sets and not live and rule.config.no_data == "alert":
            self._step(rule, (), None, worst, {})
        self._note(rule, worst)
        return done

    def _label_sets(self, rule: Rule) -> dict[Key, Inputs]:
        """The label sets that have a value for each of the rule's metrics. Unchanged ones are not made anew."""
        columns = [self._column(name, frozenset(rule.by)) for name in rule.inputs]
        before = self._evaluator.sets.get(rule.name, {})
        sets: dict[Key, Inputs] = {}
        for labels in columns[0]:
            numbers: dict[str, float | None] = {}
            for name, column in zip(rule.inputs, columns, strict=True):
                numbers[name] = column.get(labels)
            if None in numbers.values():
                continue
            found = dict(labels)
            key = tuple(found[name] for name in rule.by)
            known = before.get(key)
            sets[key] = known if known is not None and known.numbers == numbers else Inputs(numbers)
        return dict(sorted(sets.items()))

    def _column(self, metric: str, labels: frozenset[str]) -> dict[frozenset[tuple[str, str]], float]:
        """The values of a metric by label set, of those that have exactly these labels."""
        wanted = metric, labels
        if wanted not in self._columns:
            groups = self._snapshot.groups.get(metric, ()) if self._snapshot else ()
            self._columns[wanted] = {
                frozenset(each.labels.items()): each.value for each in groups if each.labels.keys() == labels
            }
        return self._columns[wanted]

    def _step(self, rule: Rule, key: Key, alert: Watched | None, outcome: Outcome, values: Mapping[str, object]) -> int:
        """From one state to the next; answers how many evaluations that is worth."""
        alert = alert or self._new(rule, key)
        state, transitions = step(alert.state, outcome, self._now, rule.timing, alert.fingerprint)
        alert = alert._replace(state=state, values=rule.observed(values))
        for transition in transitions:
            alert = alert._replace(notification=tell(rule, alert, transition, values))
            if alert.notification is not None:
                self._told.append(Told(alert.notification, rule.config.channel))
        self._keep(alert, state.phase != "ok" or (state.missing is not None and rule.timing.no_data == "alert"))
        return 1 + _TELLING * len(transitions)

    def _new(self, rule: Rule, key: Key) -> Watched:
        labels, mark = rule.labels, rule.fingerprint
        if key:
            labels = {**labels, **dict(zip(rule.by, key, strict=True))}
            mark = fingerprint(labels)
        return Watched(rule.name, mark, rule.definition, AlertState("ok", self._now), {}, labels)

    def _keep(self, alert: Watched, alive: bool) -> None:
        if alive:
            self._alerts[alert.fingerprint] = alert
        else:
            self._alerts.pop(alert.fingerprint, None)

    def _note(self, rule: Rule, outcome: Outcome) -> None:
        """What the rule as a whole said: health, and the alert about rules that fail again and again."""
        self._outcomes[rule.name] = outcome
        if isinstance(outcome, EvaluationError):
            self._failed.append(rule.name)
            self._errors[rule.name] = self._errors.get(rule.name, 0) + 1
            if self._errors[rule.name] >= ERRORS_IN_A_ROW:
                self._step_engine(rule.name, True, outcome.reason)
        elif isinstance(outcome, bool):
            self._errors.pop(rule.name, None)
            if rule.name in self._told_failing:
                self._step_engine(rule.name, False, "")

    def _step_engine(self, rule: str, failing: bool, reason: str) -> None:
        alert = engine_alert(rule, AlertState("ok", self._now))
        alert = self._alerts.get(alert.fingerprint, alert)
        state, transitions = step(alert.state, failing, self._now, _AT_ONCE, alert.fingerprint)
        alert = alert._replace(state=state)
        for transition in transitions:
            told = tell_failure(alert, transition, reason) if failing else tell_end(alert, transition)
            if told is not None:
                alert = alert._replace(notification=told)
                self._told.append(Told(told, "all"))
        self._keep(alert, state.phase != "ok")


def _key(rule: Rule, alert: Watched) -> Key:
    """Which label set of its rule an alert is about; that none reports is about none."""
    labels = alert.labels
    return tuple(labels[name] for name in rule.by) if rule.by and set(rule.by) <= labels.keys() else ()


def _differs(alert: Watched, before: Watched | None) -> bool:
    return before is None or alert.state != before.state or alert.definition != before.definition
