"""Rules out of the configuration: compiled, checked, and comparable with what they were before."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.paths import suggestion
from hxp_enterprise_llm.config.rules import RuleConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.notifications.alerts import Timing
from hxp_enterprise_llm.event.notifications.conditions import (
    Condition,
    ConditionFault,
    compile_condition,
    number,
)


@dataclass(frozen=True, slots=True)
class RuleFault:
    """What is wrong with a key of the configuration; `path` as `Loaded.fault` takes it."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


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
    timing: Timing
    fingerprint: str
    """16 hex digits of the rule's name and labels: which alert it is."""
    definition: str
    """Digest of what makes the rule the one it is. An alert does not outlive a change of it."""

    @property
    def name(self) -> str:
        return self.config.name

    def summary(self, values: Mapping[str, object]) -> str:
        """One sentence for people, with the metrics' values filled in."""
        named = self.config.summary or ", ".join(f"{name} is {{{name}}}" for name in self.condition.metrics)
        return fill_in(named or self.config.condition, values)


def compile_rules(config: NotificationsConfig, names: frozenset[str] | None) -> tuple[Rule, ...]:
    """All rules of a configuration. `names`: the metrics that exist, or None when unknown. Raises RuleFaults."""
    rules, faults = [], []
    for index, rule in enumerate(config.notification_rules):
        path = f"real_time_notifications.notification_rules[{index}]"
        faults += _summary_faults(path, rule, names)
        try:
            rules.append(_compile(rule, names))
        except ConditionFault as fault:
            faults.append(RuleFault(f"{path}.condition", str(fault)))
    if faults:
        raise RuleFaults(faults)
    return tuple(rules)


def check_rules(config: NotificationsConfig, names: frozenset[str] | None) -> tuple[RuleFault, ...]:
    """What `compile_rules` would refuse."""
    try:
        compile_rules(config, names)
    except RuleFaults as refused:
        return refused.faults
    return ()


def _compile(rule: RuleConfig, names: frozenset[str] | None) -> Rule:
    return Rule(
        rule,
        compile_condition(rule.condition, names),
        Timing(seconds(rule.for_), seconds(rule.keep_firing_for)),
        fingerprint(rule.name),
        _digest(rule.condition, rule.for_, rule.keep_firing_for, rule.priority, rule.channel, size=16),
    )


def fingerprint(rule: str, labels: Mapping[str, str] | None = None) -> str:
    """16 hex digits that stay the same for a rule and its labels, in whatever order they come."""
    return _digest(rule, *(f"{key}={value}" for key, value in sorted((labels or {}).items())), size=8)


def _digest(*parts: str, size: int) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=size).hexdigest()


_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def fill_in(summary: str, values: Mapping[str, object]) -> str:
    """The summary with `{metric}` replaced by its value; a metric without one is shown as `no value`."""

    def value(match: re.Match[str]) -> str:
        found = number(values.get(match[1]))
        return "no value" if found is None else f"{found:g}"

    return _PLACEHOLDER.sub(value, summary)


def _summary_faults(path: str, rule: RuleConfig, names: frozenset[str] | None) -> list[RuleFault]:
    if names is None:
        return []
    unknown = [name for name in _PLACEHOLDER.findall(rule.summary) if name not in names]
    return [RuleFault(f"{path}.summary", f"unknown metric {name!r}{suggestion(name, names)}") for name in unknown]
