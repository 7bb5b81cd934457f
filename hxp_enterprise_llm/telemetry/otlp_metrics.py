"""Metrics of the way in by OpenTelemetry."""

from __future__ import annotations

from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge


class Remembers(Protocol):
    """What the metrics follow."""

    @property
    def spans(self) -> int: ...
    @property
    def held(self) -> int: ...

    forgotten: int
    cut_short: int
    corrections: int


class OtlpMetrics:
    """Spans, data points and log records by OTLP."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.refused = Counter(
            "citadel_otlp_refused",
            "Spans, data points and log records that could not be taken, by signal",
            ["signal"],
            registry=registry,
        )
        for signal in ("traces", "metrics", "logs"):
            self.refused.labels(signal)
        self.remembered = Gauge(
            "citadel_otlp_spans_remembered", "Spans that the token rule remembers", registry=registry
        )
        self.held = Gauge(
            "citadel_otlp_usage_held", "Spans whose tokens are held until their trace is quiet", registry=registry
        )
        self.forgotten = Counter(
            "citadel_otlp_traces_forgotten", "Traces forgotten for want of room", registry=registry
        )
        self.cut_short = Counter(
            "citadel_otlp_traces_cut_short",
            "Traces forgotten for want of room before they were quiet",
            registry=registry,
        )
        self.corrections = Counter(
            "citadel_otlp_usage_corrections", "Spans whose counted tokens were taken back", registry=registry
        )

    def follow(self, ledger: Remembers) -> None:
        """Show where the token rule stands; what it has counted begins at 0 again."""
        self.remembered.set(ledger.spans)
        self.held.set(ledger.held)
        self.forgotten.inc(ledger.forgotten)
        self.cut_short.inc(ledger.cut_short)
        self.corrections.inc(ledger.corrections)
        ledger.forgotten = ledger.cut_short = ledger.corrections = 0
