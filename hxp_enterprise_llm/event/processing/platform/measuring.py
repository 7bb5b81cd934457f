"""What Prometheus is told of the platform. Labels are of a fixed set, budgets those of the configuration."""

from __future__ import annotations

from math import nan
from typing import Any

from hxp_enterprise_llm.event.processing.platform import ledger
from hxp_enterprise_llm.event.processing.platform.names import Kept
from hxp_enterprise_llm.event.processing.platform.platform import State, Views
from hxp_enterprise_llm.telemetry.platform_metrics import PlatformMetrics


def measure(metrics: PlatformMetrics, state: State, views: Views) -> None:
    """Set all gauges."""
    total = state.tokens.everything.total
    for direction, field in (("in", ledger.INPUT), ("out", ledger.OUTPUT)):
        metrics.tokens.labels(direction).set(total[field])
    cost = views.cost_usd()
    metrics.cost.set(nan if cost is None else cost)
    metrics.unpriced.set(total[ledger.UNPRICED])
    metrics.active_agents.set(views.active_count())
    metrics.budget.clear()
    for used in views.budgets():
        metrics.budget.labels(used.config.name).set(used.ratio)
    _count_names(metrics, state)


def _count_names(metrics: PlatformMetrics, state: State) -> None:
    kept: dict[str, tuple[Kept[Any], ...]] = {
        "agents": (state.agents.kept, state.tokens.agents),
        "models": (state.models.kept, state.tokens.models),
        "tools": (state.tokens.tools,),
        "users": (state.tokens.users,),
        "queries": (state.tokens.queries,),
        "items": (state.knowledge.items,),
        "gaps": (state.knowledge.gaps,),
        "edges": (state.collaboration.edges,),
    }
    for kind, found in kept.items():
        metrics.names.labels(kind).set(max(len(each.named) for each in found))
        metrics.folded.labels(kind).set(max(each.folded for each in found))
