"""Figures about alerts, groups and silences for Prometheus."""

from __future__ import annotations

from collections import Counter

from hxp_enterprise_llm.event.notifications.routing.draft import State
from hxp_enterprise_llm.telemetry.routing_metrics import RoutingMetrics


def held(state: State) -> dict[str, str]:
    """Fingerprint → why an alert is not told, for those that are held back in every group that they are in."""
    told: set[str] = set()
    reasons: dict[str, str] = {}
    for group in state.groups.values():
        for fingerprint in group.members:
            if fingerprint in group.held:
                reasons[fingerprint] = group.held[fingerprint]
            else:
                told.add(fingerprint)
    return {fingerprint: reason for fingerprint, reason in reasons.items() if fingerprint not in told}


def count(metrics: RoutingMetrics, state: State, wall: float) -> None:
    """Bring the gauges up to date."""
    suppressed = held(state)
    alerts: Counter[str] = Counter()
    for known in state.alerts.values():
        if known.fires:
            kind = "suppressed" if known.fingerprint in suppressed else "acknowledged" if known.ack else "active"
            alerts[kind] += 1
    for kind in ("active", "suppressed", "acknowledged"):
        metrics.alerts.labels(kind).set(alerts[kind])
    silences = Counter(silence.state(wall) for silence in state.silences.values())
    for name in ("active", "pending", "expired"):
        metrics.silences.labels(name).set(silences[name])
    metrics.groups.set(len(state.groups))
