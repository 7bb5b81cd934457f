"""Rules that can be used and yet are hardly what was meant."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from hxp_enterprise_llm.config.processing import MetricConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.notifications.rules.compiled import Rule
from hxp_enterprise_llm.event.notifications.rules.conditions import Condition, Inputs
from hxp_enterprise_llm.event.notifications.rules.tokens import tokens
from hxp_enterprise_llm.event.notifications.rules.vocabulary import Vocabulary

_MOST_POINTS = 20_000
_ARITHMETIC = frozenset("+-*/%")
_NEAR = 1e-9


def lint(rule: Rule, names: Vocabulary) -> Iterator[tuple[str, str]]:
    """Keys of the rule and what is doubtful about them."""
    if not rule.config.summary:
        yield "name", "has no summary: people read the values alone"
    yield from _decided(rule, names)
    if seconds(rule.config.for_) == 0:
        for name in rule.condition.metrics:
            metric = _metric(name, names)
            if metric is not None and metric.kind == "quantile":
                yield "condition", f"{name} is a quantile: without `for` one slow request among few makes it fire"
    if rule.by:
        for name in rule.inputs:
            metric = names.metrics.get(name)
            if metric is not None and metric.limit > rule.config.limit:
                yield (
                    "by",
                    f"{name} may have {metric.limit} label sets; beyond {rule.config.limit} (limit) the rule fails",
                )


def _metric(name: str, names: Vocabulary) -> MetricConfig | None:
    """The declaration behind a name, which may name a window as well."""
    return names.metrics.get(name) or names.metrics.get(name.rpartition("_")[0])


def _decided(rule: Rule, names: Vocabulary) -> Iterator[tuple[str, str]]:
    """What the values cannot change: tried at all places where a comparison can turn."""
    points = _points(rule, names)
    if points is None:
        return
    clears = overlaps = False
    fires = rests = False
    for point in points:
        inputs = Inputs(point)
        fire = rule.condition.decide(inputs) is True
        clear = rule.clear is not None and rule.clear.decide(inputs) is True
        fires, rests = fires or fire, rests or not fire
        clears, overlaps = clears or clear, overlaps or (fire and clear)
    if not fires:
        yield "condition", f"can never fire: {_ranges(rule, names)}"
    elif not rests:
        yield "condition", f"always fires: {_ranges(rule, names)}"
    if rule.clear is not None and not clears:
        yield "resolve_condition", f"can never hold, so that the alert never ends: {_ranges(rule, names)}"
    if overlaps:
        yield "resolve_condition", "may hold while the condition does: leave a gap between the two"


def _points(rule: Rule, names: Vocabulary) -> list[dict[str, float]] | None:
    """Values of the metrics between which comparisons turn; None when arithmetic makes that unknown, or too many."""
    conditions = [condition for condition in (rule.condition, rule.clear) if condition is not None]
    if any(word.kind == "operator" and word.text in _ARITHMETIC for each in conditions for word in tokens(each.text)):
        return None
    constants = [number for each in conditions for number in _constants(each)]
    axes = []
    for name in rule.inputs:
        low, high = _range(_metric(name, names))
        axis = {
            low,
            high,
            *(value for c in constants for value in (c - _gap(c), c, c + _gap(c)) if low <= value <= high),
        }
        axes.append(sorted(axis))
    size = 1
    for each in axes:
        size *= len(each)
    if size > _MOST_POINTS:
        return None
    return [dict(zip(rule.inputs, point, strict=True)) for point in product(*axes)]


def _gap(value: float) -> float:
    return max(abs(value), 1.0) * _NEAR


def _constants(condition: Condition) -> Iterator[float]:
    for word in tokens(condition.text):
        if word.kind == "number":
            text = word.text.rstrip("uU")
            number = float(int(text, 16)) if text.lower().startswith("0x") else float(text)
            yield from (number, -number)


def _range(metric: MetricConfig | None) -> tuple[float, float]:
    """Between which values a metric lies."""
    if metric is None:
        return -1e300, 1e300
    if metric.kind == "ratio":
        return 0.0, 1.0
    if metric.kind in ("count", "rate", "distinct"):
        return 0.0, 1e300
    return (0.0, 100.0) if metric.unit == "%" else (-1e300, 1e300)


def _ranges(rule: Rule, names: Vocabulary) -> str:
    said = []
    for name in rule.inputs:
        low, high = _range(_metric(name, names))
        if high < 1e300:
            said.append(f"{name} lies between {low:g} and {high:g}")
        elif low > -1e300:
            said.append(f"{name} is never below {low:g}")
    return ", ".join(said) or "whatever the values are"
