"""What is said of a rule to those who ask: its state, and that of each label set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.rules.compiled import Rule
from hxp_enterprise_llm.event.notifications.rules.monitor import RuleMonitor
from hxp_enterprise_llm.event.notifications.rules.telling import Watched

Acknowledged = Callable[[str], str | None]
"""Who has acknowledged an episode."""

_WORST = ("firing", "recovering", "pending", "ok")


def rule_status(
    rules: Iterable[Rule], monitor: RuleMonitor, alerts: Mapping[str, Watched], acknowledged: Acknowledged
) -> list[dict[str, Any]]:
    """All rules, as `/notifications/status` shows them."""
    by_rule: dict[str, list[Watched]] = {}
    for alert in alerts.values():
        by_rule.setdefault(alert.rule, []).append(alert)
    return [_rule(rule, monitor, by_rule.get(rule.name, []), acknowledged) for rule in rules]


def _rule(rule: Rule, monitor: RuleMonitor, alerts: list[Watched], acknowledged: Acknowledged) -> dict[str, Any]:
    health, reason = monitor.health(rule.name)
    worst = min(alerts, key=lambda alert: _WORST.index(alert.state.phase), default=None)
    status = {
        "name": rule.name,
        "condition": rule.config.condition,
        "channel": rule.config.channel,
        "priority": rule.config.priority,
        **_state(worst, acknowledged),
        "values": monitor.values(rule.name),
        "health": health,
        **({"reason": reason} if reason else {}),
    }
    return status | (
        {"by": list(rule.by), "label_sets": _label_sets(rule, monitor, alerts, acknowledged)} if rule.by else {}
    )


def _label_sets(
    rule: Rule, monitor: RuleMonitor, alerts: list[Watched], acknowledged: Acknowledged
) -> list[dict[str, Any]]:
    """Those that have values, and those whose alert is not over."""
    found = {
        key: {"labels": dict(zip(rule.by, key, strict=True)), **_state(None, acknowledged), "values": values}
        for key, values in monitor.label_sets(rule.name).items()
    }
    for alert in alerts:
        labels = {name: alert.labels[name] for name in rule.by if name in alert.labels}
        found[tuple(labels.values())] = {"labels": labels, **_state(alert, acknowledged), "values": alert.values}
    return [found[key] for key in sorted(found)]


def _state(alert: Watched | None, acknowledged: Acknowledged) -> dict[str, Any]:
    if alert is None:
        return {"state": "ok", "since": None}
    facts = {"state": alert.state.phase, "since": rfc3339(alert.state.since.wall)}
    if not alert.state.episode:
        return facts
    by = acknowledged(alert.state.episode)
    return facts | {"episode": alert.state.episode} | ({"acknowledged_by": by} if by else {})
