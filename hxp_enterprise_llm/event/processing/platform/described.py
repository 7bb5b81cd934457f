"""What the routes of the platform answer. Members beyond these may come; what is not known is null."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

import msgspec

from hxp_enterprise_llm.event.views import View
from hxp_enterprise_llm.security.described import Answer, Described, Parameter


class ByTier(TypedDict):
    """A figure for each tier."""

    redis: float | None
    postgresql: float | None
    chromadb: float | None


class TierStats(msgspec.Struct):
    """Memory tiers over the window: whole hours, from where the first begins to where the last ends."""

    tier_hit_rates: ByTier
    average_latencies_ms: ByTier
    cost_by_tier: ByTier
    window_hours: int
    begin: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    answered: int
    tiers: dict[str, dict[str, Any]]
    flow: list[dict[str, Any]]


class AgentView(TypedDict):
    """One agent."""

    id: str
    status: str
    last_activity: str
    current_load: int
    capabilities: list[str]
    capabilities_from: Literal["registered", "observed"] | None
    framework: NotRequired[str | None]
    version: NotRequired[str | None]
    capacity: NotRequired[int | None]


class ActiveAgents(TypedDict):
    """Agents that are active."""

    active_count: int
    agents: list[AgentView]
    active_within_s: float


class AllAgents(TypedDict):
    """All known agents."""

    agents: list[AgentView]
    workflows: list[AgentView]
    active_count: int
    other_events: int
    folded: int


_TYPES: dict[str, Any] = {
    "/api/v2/memory/tier-stats": TierStats,
    "/api/v2/agents/active": ActiveAgents,
    "/api/v2/agents": AllAgents,
}


def described(view: View) -> Described:
    """One route of the platform."""
    return Described(
        parameters=tuple(Parameter(name, text, int) for name, text in view.parameters),
        answers=(Answer(view.summary, _TYPES.get(view.path, dict[str, Any])),),
        refusals=(503,),
    )
