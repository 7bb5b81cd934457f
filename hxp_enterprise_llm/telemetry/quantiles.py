"""A Summary with quantiles, which prometheus-client lacks: the seed's alert compares the bare name."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry


class QuantileSummary(Collector):
    """Quantiles of the last `horizon` seconds (at most `size` values), with the all-time sum and count."""

    def __init__(
        self,
        name: str,
        documentation: str,
        registry: CollectorRegistry,
        monotonic: Callable[[], float],
        *,
        quantiles: tuple[float, ...] = (0.5, 0.95, 0.99),
        horizon: float = 60.0,
        size: int = 2048,
    ) -> None:
        self._name, self._documentation = name, documentation
        self._monotonic, self._quantiles, self._horizon = monotonic, quantiles, horizon
        self._recent: deque[tuple[float, float]] = deque(maxlen=size)
        self._sum, self._count = 0.0, 0
        registry.register(self)

    def observe(self, value: float) -> None:
        """Take one value in."""
        self._recent.append((self._monotonic(), value))
        self._sum += value
        self._count += 1

    def quantile(self, q: float) -> float | None:
        """A quantile of the recent values; None when there are none."""
        values = self._values()
        return values[min(len(values) - 1, int(q * len(values)))] if values else None

    def _values(self) -> list[float]:
        oldest = self._monotonic() - self._horizon
        while self._recent and self._recent[0][0] < oldest:
            self._recent.popleft()
        return sorted(value for _, value in self._recent)

    def collect(self) -> Iterable[Metric]:
        metric = Metric(self._name, self._documentation, "summary")
        for q in self._quantiles:
            value = self.quantile(q)
            metric.add_sample(self._name, {"quantile": f"{q:g}"}, float("nan") if value is None else value)
        metric.add_sample(f"{self._name}_sum", {}, self._sum)
        metric.add_sample(f"{self._name}_count", {}, self._count)
        yield metric
