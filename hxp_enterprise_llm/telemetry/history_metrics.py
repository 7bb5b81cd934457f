"""Metrics of the history and the forecast."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

_TIERS = ("1s", "1m", "1h", "1d")


class HistoryMetrics:
    """How far the history is, and how much room it takes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag = Gauge(
            "citadel_history_lag_events",
            "Distance of the history from the head of the log, in offsets",
            registry=registry,
        )
        self.bytes = Gauge("citadel_history_size_bytes", "Size of the history on disk", registry=registry)
        self.budget = Gauge("citadel_history_budget_bytes", "Most that the history may take", registry=registry)
        self.oldest = Gauge(
            "citadel_history_oldest_timestamp_seconds",
            "From when on a tier has everything; 0: nothing has been dropped yet",
            ["tier"],
            registry=registry,
        )
        self.forced_out = Counter(
            "citadel_history_forced_out",
            "Times that detail was dropped before its time, to keep the disk budget",
            registry=registry,
        )
        self.too_old = Counter(
            "citadel_history_too_old_events", "Events older than everything that the history keeps", registry=registry
        )
        self.errors = Counter(
            "citadel_history_errors", "Times that the history could not be written", ["kind"], registry=registry
        )
        for kind in ("full", "damaged", "other"):
            self.errors.labels(kind)
        for tier in _TIERS:
            self.oldest.labels(tier)


class ForecastMetrics:
    """The forecast of tokens, as Prometheus sees it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.tokens = Gauge(
            "citadel_forecast_tokens_next_hour",
            "Forecast of the tokens of the next 60 minutes, with the bounds of its 90 % band",
            ["bound"],
            registry=registry,
        )
        self.anomaly = Gauge(
            "citadel_tokens_anomaly", "Whether the rate of tokens is an anomaly now, 0 or 1", registry=registry
        )
