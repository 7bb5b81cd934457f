"""What the sources that are asked tell Prometheus. Only those that are configured have series."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class SourceMetrics:
    """By source: whether it answers, how often, how fast, and what was lost of it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = Gauge(
            "citadel_source_up", "Whether the last question to a source was answered", ["source"], registry=registry
        )
        self.polls = Counter(
            "citadel_source_polls", "Questions to a source by outcome", ["source", "outcome"], registry=registry
        )
        self.last_success = Gauge(
            "citadel_source_last_success_timestamp_seconds",
            "When a source answered last; 0: never yet",
            ["source"],
            registry=registry,
        )
        self.duration = Histogram(
            "citadel_source_poll_duration_seconds",
            "Time until a source had answered, or was given up",
            ["source"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.dropped = Counter(
            "citadel_source_dropped_events",
            "Events made of answers that the log did not take",
            ["source"],
            registry=registry,
        )

    def begin(self, source: str) -> None:
        """A source is asked from now on. It is taken to be up until it fails: nothing is known of it yet."""
        self.up.labels(source).set(1)
        self.last_success.labels(source).set(0)
        self.dropped.labels(source)
        for outcome in ("answered", "failed"):
            self.polls.labels(source, outcome)

    def end(self, source: str) -> None:
        """A source is asked no more: no alert stays about it."""
        for gauge in (self.up, self.last_success):
            gauge.remove(source)

    def succeeded(self, source: str, at: float) -> None:
        """It has answered, at this wall-clock time."""
        self.up.labels(source).set(1)
        self.last_success.labels(source).set(at)
        self.polls.labels(source, "answered").inc()

    def failed(self, source: str) -> None:
        """It has not."""
        self.up.labels(source).set(0)
        self.polls.labels(source, "failed").inc()
