"""What the delivery of notifications tells Prometheus, beside the seed's counter."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

FAILURES = ("clientError", "serverError", "timeout", "authError", "rateLimited", "other")
"""Classes of failures, as Alertmanager names them."""
_LATENCY_BUCKETS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600, 14400)


class DeliveryMetrics:
    """Failures by class, dead letters, latency, limits, templates; all label sets are there from the start."""

    def __init__(self, registry: CollectorRegistry, channels: Sequence[str]) -> None:
        self.failures = Counter(
            "citadel_notification_failures",
            "Delivery attempts that failed, by whose fault it was",
            ["channel", "reason"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "citadel_notification_dead_letters",
            "Deliveries that were given up, by the class of the last failure",
            ["channel", "reason"],
            registry=registry,
        )
        self.latency = Histogram(
            "citadel_notification_latency_seconds",
            "Time from queueing a notification until its recipient's server took it",
            ["channel"],
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self.rate_limited = Counter(
            "citadel_notification_rate_limited_seconds",
            "Time that deliveries waited for a rate limit",
            ["channel"],
            registry=registry,
        )
        self.template_failures = Counter(
            "citadel_notification_template_failures",
            "Notifications that were told in plain words because a template failed",
            ["template"],
            registry=registry,
        )
        for template in ("title", "text", "html", "slack", "all"):
            self.template_failures.labels(template)
        for channel in channels:
            self.latency.labels(channel)
            self.rate_limited.labels(channel)
            for reason in FAILURES:
                self.failures.labels(channel, reason)
                self.dead_letters.labels(channel, reason)
