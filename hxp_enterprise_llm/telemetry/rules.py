"""What each rule tells Prometheus, put together when it asks: thousands of rules cost nothing in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class RuleFigures(NamedTuple):
    """A rule: how often it was evaluated and failed, and how many of its alerts are in each state."""

    rule: str
    evaluations: int
    failures: int
    states: Mapping[str, int]


class RuleCollector(Collector):
    """The figures of all rules; none while there are none."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.source: Callable[[], Iterable[RuleFigures]] = lambda: ()
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        evaluations = CounterMetricFamily("citadel_rule_evaluations", "Evaluations", labels=["rule"])
        failures = CounterMetricFamily("citadel_rule_evaluation_failures", "Evaluations that failed", labels=["rule"])
        states = GaugeMetricFamily(
            "citadel_rule_state", "Alerts of a rule in each state; ok: 1 when it has none", labels=["rule", "state"]
        )
        for figures in self.source():
            evaluations.add_metric([figures.rule], figures.evaluations)
            failures.add_metric([figures.rule], figures.failures)
            for state, number in figures.states.items():
                states.add_metric([figures.rule, state], number)
        return evaluations, failures, states
