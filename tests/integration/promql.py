"""What an expression of PromQL names: metrics, labels and values, held against what the daemon measures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

TARGET = frozenset({"job", "instance"})
"""Labels that Prometheus adds."""
COLLECTED = {
    "citadel_rule_evaluations": {"rule"},
    "citadel_rule_evaluation_failures": {"rule"},
    "citadel_rule_state": {"rule", "state"},
    "citadel_streaming_subscriptions": {"channel"},
    "citadel_streaming_subscriptions_behind": {"channel"},
    "citadel_streaming_channel_lag_events": {"channel"},
    "data_streaming_latency_seconds": {"quantile"},
}
"""Of collectors that make their series when they are asked. A test holds them against the page of a daemon."""
_GROUPED = re.compile(r"\b(by|on|without|ignoring)\s*\(([^)]*)\)")
_SELECTED = re.compile(r"\b([a-z][a-z0-9_:]*_[a-z0-9_:]+|up)\b(?!\s*\()(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_SHOWN = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")

Labels = Mapping[str, set[str]]


class Matcher(NamedTuple):
    """`label op "value"`."""

    label: str
    operator: str
    value: str

    def fits(self, labels: Mapping[str, str]) -> bool:
        found = labels.get(self.label, "")
        same = re.fullmatch(self.value, found) is not None if "~" in self.operator else found == self.value
        return same == (self.operator in {"=", "=~"})


class Selector(NamedTuple):
    """A metric, and which of its series."""

    name: str
    matchers: tuple[Matcher, ...]

    def picks(self, samples: Sequence[Sample]) -> bool:
        """Whether one of these is meant; Prometheus' own labels are left out of it."""
        own = [each for each in self.matchers if each.label not in TARGET]
        return any(each.name == self.name and all(one.fits(each.labels) for one in own) for each in samples)


def selectors(expression: str) -> list[Selector]:
    """All of an expression."""
    bare = re.sub(r"\[[^]]*\]", "", _GROUPED.sub(" ", expression))
    found = _SELECTED.findall(bare)
    return [Selector(name, tuple(Matcher(*each) for each in _MATCHER.findall(inside))) for name, inside in found]


def labels_of(registry: CollectorRegistry) -> dict[str, set[str]]:
    """The labels of each family, by its name without the suffixes of its series."""
    found: dict[str, set[str]] = {"up": set(), **{name: set(labels) for name, labels in COLLECTED.items()}}
    for collector in registry._collector_to_names:
        for family in collector.collect():
            found.setdefault(family.name, set(getattr(collector, "_labelnames", ())))
            if family.type == "histogram":
                found[family.name] |= {"le"}
    return found


def recorded(rules: Sequence[Mapping[str, str]], known: Labels) -> dict[str, set[str]]:
    """The labels of recording rules."""
    return {rule["record"]: _result(rule["expr"], known) for rule in rules if "record" in rule}


def faults(expression: str, shown: str, known: Labels) -> Iterator[str]:
    """Labels that nobody has: in matchers, in groups, and in the text that shows the result."""
    measured = set().union(*(_family(each.name, known) for each in selectors(expression)))
    for selector in selectors(expression):
        there = _family(selector.name, known) | TARGET
        asked = [each.label for each in selector.matchers]
        yield from (f"{selector.name} has no label {label}" for label in asked if label not in there)
    for _, group in _GROUPED.findall(expression):
        yield from (f"nobody has the label {each}" for each in _words(group) - measured - TARGET)
    result = _result(expression, known)
    yield from (f"the result has no label {each}" for each in set(_SHOWN.findall(shown)) - result)


def _family(name: str, known: Labels) -> set[str]:
    return known.get(name) or known.get(re.sub("_(total|bucket|sum|count)$", "", name), set())


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def _result(expression: str, known: Labels) -> set[str]:
    groups = [_words(group) for kind, group in _GROUPED.findall(expression) if kind == "by"]
    if groups:
        return set().union(*groups) - {"le"}
    return set().union(*(_family(each.name, known) for each in selectors(expression))) | TARGET
