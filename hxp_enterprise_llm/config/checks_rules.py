"""Checks of rules, wherever they are written: durations that can be read, labels that do not clash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hxp_enterprise_llm.config.faults import shown
from hxp_enterprise_llm.config.findings import Check, Finding, Given, duration, unique
from hxp_enterprise_llm.config.rules import ENGINE_ALERT, RuleConfig, RuleFile

_TAKEN = ("alertname", "severity")


def rules(path: str, found: Sequence[RuleConfig]) -> Iterator[Finding]:
    """Rules have names of their own, durations and labels make sense."""
    yield from unique(path, [rule.name for rule in found], "name")
    for index, rule in enumerate(found):
        place = f"{path}[{index}]"
        if rule.name == ENGINE_ALERT:
            yield Finding(f"{place}.name", f"{ENGINE_ALERT} is the alert about rules that fail; take another name")
        for key in ("for_", "keep_firing_for", "no_data_after"):
            yield from duration(f"{place}.{key.rstrip('_')}", getattr(rule, key), least=-1)
        yield from _labels(place, rule)


def _labels(place: str, rule: RuleConfig) -> Iterator[Finding]:
    yield from unique(f"{place}.by", rule.by)
    for key, names in (("labels", list(rule.labels)), ("by", rule.by)):
        for index, name in enumerate(names):
            if name in _TAKEN:
                where = f"{place}.labels.{name}" if key == "labels" else f"{place}.by[{index}]"
                yield Finding(where, f"{name} is set by the rule itself: its name and its priority")
    for name in rule.labels:
        if name in rule.by:
            yield Finding(f"{place}.labels.{name}", f"{shown(name)} is a label of `by` already")


def _rule_file(config: RuleFile, _given: Given) -> Iterator[Finding]:
    yield from rules("rules", config.rules)


CHECKS = (Check(("rules",), _rule_file),)
