"""One metrics page of several processes: what each counts of its own is added up, what all see alike is shown once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

_SEEN_BY_ALL = (
    "_limit",
    "_info",
    "_hash",
    "_offset",
    "_timestamp_seconds",
    "_lag_seconds",
    "_lag_events",
    "_max_fds",
    "_max_bytes",
)
"""Endings of gauges that are no share of a whole: the largest is shown."""
_WORST = ("_successful", "process_start_time_seconds")
"""Endings of gauges of which the least is shown: a reload that failed anywhere, the age of the service."""

Join = Callable[[float, float], float]


def parse(page: str) -> list[Metric]:
    """The families of a page in Prometheus' text form. Raises ValueError."""
    return list(text_string_to_metric_families(page))


def join(pages: Iterable[Iterable[Metric]]) -> list[Metric]:
    """The families of all pages, each once."""
    joined: dict[str, _Family] = {}
    for page in pages:
        for metric in page:
            joined.setdefault(metric.name, _Family(metric)).add(metric)
    return [family.metric() for family in joined.values()]


class _Family:
    """One family as it grows."""

    def __init__(self, like: Metric) -> None:
        self._like = like
        self._values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def add(self, metric: Metric) -> None:
        """Take in what one process says."""
        for sample in metric.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            value = self._values.get(key)
            how = _rule(self._like, sample)
            self._values[key] = sample.value if value is None else how(value, sample.value)

    def metric(self) -> Metric:
        """The family with its values."""
        joined = Metric(self._like.name, self._like.documentation, self._like.type, self._like.unit)
        for (name, labels), value in self._values.items():
            joined.add_sample(name, dict(labels), value)
        return joined


def _rule(metric: Metric, sample: Sample) -> Join:
    if metric.type == "summary" and "quantile" in sample.labels:
        return _larger
    if metric.type == "gauge" and metric.name.endswith(_WORST):
        return min
    if metric.type == "gauge" and metric.name.endswith(_SEEN_BY_ALL):
        return _larger
    return float.__add__


def _larger(one: float, other: float) -> float:
    """A process that has seen nothing says NaN."""
    return other if math.isnan(one) or other > one else one
