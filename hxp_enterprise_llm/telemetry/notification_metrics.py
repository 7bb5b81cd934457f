"""What the notifications tell Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hxp_enterprise_llm.telemetry.delivery_metrics import DeliveryMetrics

CHANNELS = ("websocket", "sse", "email", "slack", "webhook", "alertmanager")


class NotificationMetrics:
    """Rules and deliveries."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.delivery = Counter(
            "notification_delivery",
            "Deliveries by channel and result",
            ["channel", "result"],
            registry=registry,
        )
        self.delivery_seconds = Histogram(
            "citadel_notification_delivery_duration_seconds",
            "Time of one delivery attempt",
            ["channel"],
            buckets=(0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        self.outbox = Gauge("citadel_notification_outbox_depth", "Deliveries that wait", ["channel"], registry=registry)
        self.outbox_oldest = Gauge(
            "citadel_notification_outbox_oldest_seconds",
            "Age of the oldest that waits",
            ["channel"],
            registry=registry,
        )
        self.evaluations = Counter("citadel_rule_evaluations", "Evaluations", ["rule"], registry=registry)
        self.failures = Counter(
            "citadel_rule_evaluation_failures", "Evaluations that failed", ["rule"], registry=registry
        )
        self.state = Gauge(
            "citadel_rule_state", "1 for the state that a rule is in", ["rule", "state"], registry=registry
        )
        self.deliveries = DeliveryMetrics(registry, CHANNELS)
        for channel in CHANNELS:
            self.outbox.labels(channel)
            self.outbox_oldest.labels(channel)
            for result in ("delivered", "failed", "dead"):
                self.delivery.labels(channel, result)
