"""What the way of alerts tells Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class RoutingMetrics:
    """Alerts, groups, silences, and what is held back; all label sets are there from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.alerts = Gauge(
            "citadel_alerts", "Alerts that fire: active, suppressed, acknowledged", ["state"], registry=registry
        )
        self.silences = Gauge("citadel_silences", "Silences by state", ["state"], registry=registry)
        self.suppressed = Counter(
            "citadel_notifications_suppressed",
            "Alerts that began to be held back from a receiver, by reason",
            ["reason"],
            registry=registry,
        )
        self.groups = Gauge("citadel_notification_groups", "Groups of alerts", registry=registry)
        self.received = Counter(
            "citadel_alerts_received", "Alerts from outside, by what became of them", ["result"], registry=registry
        )
        self.heartbeats = Counter(
            "citadel_heartbeats", "Signs of life by name and result", ["heartbeat", "result"], registry=registry
        )
        for state in ("active", "suppressed", "acknowledged"):
            self.alerts.labels(state)
        for state in ("active", "pending", "expired"):
            self.silences.labels(state)
        for reason in ("inhibited", "muted", "silenced"):
            self.suppressed.labels(reason)
        for result in ("firing", "renewed", "resolved", "unknown", "own", "off", "refused", "truncated"):
            self.received.labels(result)
