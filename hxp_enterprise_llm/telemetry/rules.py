"""What each rule tells Prometheus, put together when it asks: thousands of rules cost nothing in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

_PHASES = ("pending", "firing", "recovering")


class RuleFigures(NamedTuple):
    """A rule: how often it was evaluated and failed, and how many of its alerts are in each phase but `ok`."""

    rule: str
    evaluations: int
    failures: int
    alerts: Mapping[str, int]


class RuleCollector(Collector):
    """The figures of all rules; none while there are none.

    A sample is made when it is written: with ten thousand rules there are 60,000, which would keep the loop waiting.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.source: Callable[[], Iterable[RuleFigures]] = lambda: ()
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        return (
            _Family("citadel_rule_evaluations", "Evaluations", "counter", self._evaluations),
            _Family("citadel_rule_evaluation_failures", "Evaluations that failed", "counter", self._failures),
            _Family(
                "citadel_rule_state", "Alerts of a rule in each state; ok: 1 when it has none", "gauge", self._states
            ),
        )

    def _evaluations(self) -> Iterator[Sample]:
        for figures in self.source():
            yield Sample("citadel_rule_evaluations_total", {"rule": figures.rule}, figures.evaluations)

    def _failures(self) -> Iterator[Sample]:
        for figures in self.source():
            yield Sample("citadel_rule_evaluation_failures_total", {"rule": figures.rule}, figures.failures)

    def _states(self) -> Iterator[Sample]:
        for rule, _, _, alerts in self.source():
            found = {phase: alerts.get(phase, 0) for phase in _PHASES}
            for state, number in {"ok": int(not any(found.values())), **found}.items():
                yield Sample("citadel_rule_state", {"rule": rule, "state": state}, number)


class _Family(Metric):
    """A family whose samples are made as they are asked for, each time anew."""

    def __init__(self, name: str, documentation: str, kind: str, make: Callable[[], Iterator[Sample]]) -> None:
        super().__init__(name, documentation, kind)
        self.samples = _Samples(make)  # type: ignore[assignment]


class _Samples:
    def __init__(self, make: Callable[[], Iterator[Sample]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Sample]:
        return self._make()
