"""The names that conditions may use: the metrics, over each window, and by which labels each is broken down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hxp_enterprise_llm.config.extras import EXTRA_METRICS
from hxp_enterprise_llm.config.processing import AnalyticsConfig, MetricConfig, label_names

Labels = frozenset[str]


class Vocabulary(NamedTuple):
    """What exists. `breakdowns`: the sets of label names of each metric that is broken down."""

    names: frozenset[str]
    breakdowns: Mapping[str, frozenset[Labels]] = {}
    metrics: Mapping[str, MetricConfig] = {}
    """Their declarations, where they are known."""

    def broken_down(self, labels: Iterable[str]) -> frozenset[str]:
        """The metrics that have values for each set of exactly these labels."""
        wanted = frozenset(labels)
        return frozenset(name for name, found in self.breakdowns.items() if wanted in found)


def vocabulary(analytics: AnalyticsConfig) -> Vocabulary:
    """The names of a configuration."""
    metrics = {metric.name: metric for metric in analytics.metrics}
    return Vocabulary(
        variable_names(list(metrics), analytics.windows) | EXTRA_METRICS.keys(),
        {name: frozenset([frozenset(extra.by)]) for name, extra in EXTRA_METRICS.items() if extra.by}
        | {name: frozenset(frozenset(label_names(by)) for by in metric.by) for name, metric in metrics.items()},
        metrics,
    )


def variable_names(metrics: Sequence[str], windows: Sequence[str]) -> frozenset[str]:
    """Every name that a condition may use: each metric, and each metric over each window (`latency_p95_5m`)."""
    return frozenset(metrics) | {f"{metric}_{window}" for metric in metrics for window in windows}
