"""Rules out of the configuration: compiled, checked, and comparable with what they were before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec

from hxp_enterprise_llm.config.faults import ConfigError, Fault
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.paths import suggestion
from hxp_enterprise_llm.config.rule_files import PlacedRule, placed_rules
from hxp_enterprise_llm.config.rules import RuleConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.notifications.rules.alerts import Timing
from hxp_enterprise_llm.event.notifications.rules.conditions import (
    Condition,
    ConditionFault,
    Inputs,
    Outcome,
    compile_condition,
    number,
)
from hxp_enterprise_llm.event.notifications.rules.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class RuleFault:
    """What is wrong with a key of the configuration; `path` as `Loaded.fault` takes it."""

    path: str
    message: str
    located: Fault | None = field(default=None, compare=False)
    """The fault at its place, when it is in a file of rules."""

    def __str__(self) -> str:
        return str(self.located) if self.located else f"{self.path}: {self.message}"


class RuleFaults(ConfigError):
    """Rules that are refused, all of them at once."""

    def __init__(self, faults: Sequence[RuleFault]) -> None:
        super().__init__(tuple(faults))
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "; ".join(map(str, self.faults))


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that can be evaluated."""

    config: RuleConfig
    condition: Condition
    clear: Condition | None
    """What must hold before it resolves; None: the condition must not."""
    timing: Timing
    by: tuple[str, ...]
    """Labels by which it is evaluated; empty: once."""
    labels: Mapping[str, str]
    """Of its alerts, without those of `by`."""
    fingerprint: str
    """16 hex digits of these labels: which alert it is, unless it is evaluated by label set."""
    definition: str
    """Digest of what makes the rule the one it is. An alert does not outlive a change of it."""
    inputs: tuple[str, ...]
    """The metrics of both conditions."""

    @property
    def name(self) -> str:
        return self.config.name

    def decide(self, inputs: Inputs, is_open: bool) -> Outcome:
        """Whether an alert of it is to be there. One that is open goes on until the clear condition holds."""
        outcome = self.condition.decide(inputs)
        if outcome is False and is_open and self.clear is not None:
            cleared = self.clear.decide(inputs)
            return not cleared if isinstance(cleared, bool) else cleared
        return outcome

    def observed(self, values: Mapping[str, object]) -> dict[str, float | None]:
        """The values that it reads, as they are shown beside an alert."""
        return {name: number(values.get(name)) for name in self.inputs}

    def annotations(self, values: Mapping[str, object], labels: Mapping[str, str]) -> dict[str, str]:
        """What is said about an alert of it, with values and labels filled in."""
        given = {name: fill_in(text, values, labels) for name, text in self.config.annotations.items()}
        runbook = {"runbook_url": self.config.runbook_url} if self.config.runbook_url else {}
        return {"summary": self.summary(values, labels)} | runbook | given

    def summary(self, values: Mapping[str, object], labels: Mapping[str, str] | None = None) -> str:
        """One sentence for people, with the metrics' values and the labels filled in."""
        if self.config.summary:
            return fill_in(self.config.summary, values, labels or {})
        said = ", ".join(f"{name} is {{{name}}}" for name in self.condition.metrics)
        whose = " ".join(f"{name}={{{name}}}" for name in self.by if labels and name in labels)
        return fill_in(f"{said} for {whose}" if whose else said, values, labels or {})


def compile_rules(
    config: NotificationsConfig, names: Vocabulary | None, known: Sequence[Rule] = ()
) -> tuple[Rule, ...]:
    """All rules of a configuration and of its directory. `names`: what conditions may use, None when unknown.

    Of the rules that are `known`, compiled with the same names, those that have not changed are taken as they are.
    Raises RuleFaults, ConfigFaults when a file of rules cannot be used.
    """
    rules, faults = [], []
    before = {rule.name: rule for rule in known}
    for placed in placed_rules(config):
        same = before.get(placed.rule.name)
        if same is not None and same.config == placed.rule and not placed.problems:
            rules.append(same)
            continue
        found = [*placed.problems, *text_problems(placed.rule, names)]
        try:
            rules.append(compile_rule(placed.rule, names))
        except ConditionFaults as conditions:
            found += conditions.problems
        faults += [_fault(placed, key, message) for key, message in found]
    if faults:
        raise RuleFaults(faults)
    return tuple(rules)


def _fault(placed: PlacedRule, key: str, message: str) -> RuleFault:
    return RuleFault(f"{placed.path}.{key}", message, placed.fault(key, message) if placed.fault else None)


def check_rules(config: NotificationsConfig, names: Vocabulary | None) -> tuple[RuleFault, ...]:
    """What `compile_rules` would refuse. Raises ConfigFaults when a file of rules cannot be used."""
    try:
        compile_rules(config, names)
    except RuleFaults as refused:
        return refused.faults
    return ()


class ConditionFaults(Exception):
    """Conditions of a rule that are refused: keys and messages."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)


def compile_rule(rule: RuleConfig, names: Vocabulary | None) -> Rule:
    """One rule. Raises ConditionFaults."""
    compiled, problems = {}, []
    allowed = names.names if names else None
    for key, text in (("condition", rule.condition), ("resolve_condition", rule.resolve_condition)):
        try:
            if text or key == "condition":
                compiled[key] = compile_condition(text, allowed)
        except ConditionFault as fault:
            problems.append((key, str(fault)))
    problems += _not_broken_down(rule, compiled, names)
    if problems:
        raise ConditionFaults(problems)
    condition, clear = compiled["condition"], compiled.get("resolve_condition")
    labels = {"alertname": rule.name, "severity": rule.priority} | rule.labels
    return Rule(
        config=rule,
        condition=condition,
        clear=clear,
        timing=Timing(seconds(rule.for_), seconds(rule.keep_firing_for), rule.no_data, seconds(rule.no_data_after)),
        by=tuple(rule.by),
        labels=labels,
        fingerprint=fingerprint(labels),
        definition=_definition(rule),
        inputs=tuple(dict.fromkeys([*condition.metrics, *(clear.metrics if clear else ())])),
    )


def _not_broken_down(
    rule: RuleConfig, compiled: Mapping[str, Condition], names: Vocabulary | None
) -> Iterator[tuple[str, str]]:
    if not rule.by or names is None:
        return
    known = names.broken_down(rule.by)
    for key, condition in compiled.items():
        for name in condition.metrics:
            if name not in known:
                have = f"; these are: {', '.join(sorted(known))}" if known else ""
                how = "declare it in analytics.metrics[].by"
                yield key, f"{name} is not broken down by {', '.join(rule.by)}: {how}{have}"


def _definition(rule: RuleConfig) -> str:
    """Whatever but the words. What a rule of an earlier release could not have is left out while it is not used."""
    further = [rule.resolve_condition, rule.by, rule.labels, rule.no_data, rule.no_data_after]
    plain = [getattr(RuleConfig(name="x", condition="x"), key) for key in _FURTHER]
    parts = [] if further == plain else [msgspec.json.encode(further, order="sorted").decode()]
    return _digest(rule.condition, rule.for_, rule.keep_firing_for, rule.priority, rule.channel, *parts, size=16)


_FURTHER = ("resolve_condition", "by", "labels", "no_data", "no_data_after")


def fingerprint(labels: Mapping[str, str]) -> str:
    """16 hex digits that stay the same for the same labels, in whatever order they come."""
    return _digest(*(part for item in sorted(labels.items()) for part in item), size=8)


def _digest(*parts: str, size: int) -> str:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def fill_in(text: str, values: Mapping[str, object], labels: Mapping[str, str] | None = None) -> str:
    """The text with `{label}` and `{metric}` replaced; a metric without a value is shown as `no value`."""

    def value(match: re.Match[str]) -> str:
        if labels and match[1] in labels:
            return labels[match[1]]
        found = number(values.get(match[1]))
        return "no value" if found is None else f"{found:g}"

    return _PLACEHOLDER.sub(value, text)


def text_problems(rule: RuleConfig, names: Vocabulary | None) -> Iterator[tuple[str, str]]:
    """Texts that name what does not exist."""
    if names is None:
        return
    known = names.names | {"alertname", "severity", *rule.by, *rule.labels}
    texts = {"summary": rule.summary} | {f"annotations.{name}": text for name, text in rule.annotations.items()}
    for key, text in texts.items():
        for name in _PLACEHOLDER.findall(text):
            if name not in known:
                yield key, f"unknown metric {name!r}{suggestion(name, known)}"
