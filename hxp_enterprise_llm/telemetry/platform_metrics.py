"""Metrics of what is known of the LLM platform. Names that events bring are never labels."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

KINDS = ("agents", "models", "tools", "users", "queries", "items", "gaps", "edges")


class PlatformMetrics:
    """The follower, its state, and how many names are told apart."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter("citadel_platform_events", "Events taken in", registry=registry)
        self.ignored = Counter(
            "citadel_platform_ignored_events",
            "Events that could not be read or name no known tier",
            registry=registry,
        )
        self.lag = Gauge(
            "citadel_platform_lag_events",
            "Distance of its state from the head, in offsets",
            registry=registry,
        )
        self.lost = Counter(
            "citadel_platform_lost_offsets",
            "Offsets that the log had dropped before they were taken in",
            registry=registry,
        )
        self.names = Gauge("citadel_platform_names", "Names told apart, by kind", ["kind"], registry=registry)
        self.folded = Gauge(
            "citadel_platform_folded_names",
            "How often a name was counted into other because there were too many, by kind",
            ["kind"],
            registry=registry,
        )
        self.tokens = Gauge("citadel_platform_tokens", "Tokens since counting began", ["direction"], registry=registry)
        self.cost = Gauge(
            "citadel_platform_cost_usd", "USD since counting began, as far as prices are known", registry=registry
        )
        self.unpriced = Gauge(
            "citadel_platform_unpriced_requests", "Requests whose model has no known price", registry=registry
        )
        self.active_agents = Gauge("citadel_platform_active_agents", "Agents that are active", registry=registry)
        self.budget = Gauge(
            "citadel_platform_budget_used_ratio", "Share of each budget that is used", ["budget"], registry=registry
        )
        self.save_seconds = Gauge(
            "citadel_platform_save_duration_seconds", "Time that the last save of the state took", registry=registry
        )
        self.state_bytes = Gauge("citadel_platform_state_bytes", "Size of the saved state", registry=registry)
        for kind in KINDS:
            self.names.labels(kind)
            self.folded.labels(kind)

    def saved_state(self, seconds: float, size: int) -> None:
        """The state was saved."""
        self.save_seconds.set(seconds)
        self.state_bytes.set(size)
