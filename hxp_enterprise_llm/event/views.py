"""Read routes of event processing that the gateway answers as well, so that its page talks to its own origin alone.

Event processing has a handler for each. In one process the gateway has the same handlers; in two it asks for the answer
over the link by which it follows the log.
"""

from __future__ import annotations

from typing import NamedTuple


class View(NamedTuple):
    """One route. `parameters`: names of those in the query, each with a line about it."""

    path: str
    summary: str
    parameters: tuple[tuple[str, str], ...] = ()


PLATFORM_VIEWS = (
    View("/api/v2/agents/active", "Agents that are active, with load and capabilities"),
    View("/api/v2/agents", "All known agents"),
    View(
        "/api/v2/memory/tier-stats",
        "Memory tiers: hit rates, latencies, cost; `?window_hours=24`",
        (("window_hours", "Whole hours back, 1 to 168; 24 when left out"),),
    ),
    View("/api/v2/tokens", "Tokens by agent, model, tool, user, query, day and hour"),
    View("/api/v2/costs", "Money spent and projected, budgets, requests without a known price"),
    View("/api/v2/knowledge", "Items of knowledge by use, agent and hour of day"),
    View("/api/v2/knowledge/gaps", "Questions that found no answer"),
    View("/api/v2/collaboration", "Hand-offs between agents, with their outcome"),
    View("/api/v2/hypotheses", "Hypotheses formed, validated, refuted; learning velocity"),
    View("/api/v2/models", "Models: latency, time to first token, tokens a second, errors"),
    View("/api/v2/recommendations", "What could be done better, with the numbers that carry it"),
    View("/api/v2/business", "Business figures by their dimensions"),
)
"""What is known of the LLM platform."""

SHARED_VIEWS: tuple[View, ...] = PLATFORM_VIEWS
"""All of them. A room that adds one adds its own tuple here."""
