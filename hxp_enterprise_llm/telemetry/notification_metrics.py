"""What the notifications tell Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hxp_enterprise_llm.telemetry.delivery_metrics import DeliveryMetrics
from hxp_enterprise_llm.telemetry.routing_metrics import RoutingMetrics
from hxp_enterprise_llm.telemetry.rules import RuleCollector

CHANNELS = ("websocket", "sse", "email", "slack", "webhook", "alertmanager")


class NotificationMetrics:
    """Rules and deliveries."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.routing = RoutingMetrics(registry)
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
        self.rules = RuleCollector(registry)
        self.rule_seconds = Histogram(
            "citadel_rule_evaluation_duration_seconds",
            "Time of one evaluation of all rules, with the pauses in which others run",
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 5),
            registry=registry,
        )
        self.rule_time = Gauge(
            "citadel_rule_last_evaluation_timestamp_seconds",
            "When the rules were last evaluated over a snapshot; NaN while notifications are off",
            registry=registry,
        )
        self.store_errors = Counter(
            "citadel_store_errors", "Transactions that the store's file did not take", registry=registry
        )
        self.deliveries = DeliveryMetrics(registry, CHANNELS)
        for channel in CHANNELS:
            self.outbox.labels(channel)
            self.outbox_oldest.labels(channel)
            for result in ("delivered", "failed", "dead"):
                self.delivery.labels(channel, result)
