"""Routes of event processing that the gateway answers as well, so that its page talks to its own origin alone.

Event processing has a handler for each. In one process the gateway has the same handlers; in two it asks for the answer
over the link by which it follows the log.
"""

from __future__ import annotations

from typing import Literal, NamedTuple


class View(NamedTuple):
    """One route. `parameters`: names of those in the query, each with a line about it."""

    path: str
    summary: str
    parameters: tuple[tuple[str, str], ...] = ()
    method: Literal["GET", "POST"] = "GET"
    scope: Literal["read", "publish"] = "read"
    file: bool = False
    """Whether the answer is a file of any length, handed on as it comes."""


PLATFORM_VIEWS = (
    View("/api/v2/agents/active", "Agents that are active, with load and capabilities"),
    View("/api/v2/agents", "All known agents"),
    View(
        "/api/v2/memory/tier-stats",
        "Memory tiers: hit rates, latencies, cost; `?window_hours=24`",
        (
            ("window_hours", "Whole hours back, 1 to 168; 24 when left out"),
            ("from", "Instead: the whole hours from here; RFC 3339, Unix seconds, or how long ago: -6h"),
            ("to", "Likewise, and up to here; without it now"),
        ),
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

HISTORY_VIEWS = (
    View(
        "/analytics/range",
        "A metric over a range of time; `?metric=tokens&from=-6h&step=5m&by=model`",
        (
            ("metric", "Name of a declared metric"),
            ("from", "RFC 3339, Unix seconds, or how long ago: -6h. Without it an hour before `to`"),
            ("to", "Likewise; without it now"),
            ("step", "Seconds or a duration that each value stands for: 60, 5m, 1h; all: the whole range"),
            ("by", "Labels of a breakdown of the metric: model"),
        ),
    ),
    View(
        "/api/v2/forecast/tokens",
        "Tokens of the next hours with a 90 % band, time to the budget, anomalies",
        (
            ("hours", "Whole hours to look ahead, 1 to 168; 24 when left out"),
            ("tokens", "So many tokens are left: when will they be used up?"),
        ),
    ),
)
"""What was, and what is expected."""
RANGE_VIEW, FORECAST_VIEW = HISTORY_VIEWS

SOURCE_VIEWS = (
    View("/sources/status", "Sources that are asked: state, last answer, next try"),
    View("/sources/{name}/retry", "Ask a source at once", method="POST", scope="publish"),
    View(
        "/sources/{name}/settings",
        "Switch a source off and on, and set how it is asked again; `?live=false`",
        (
            ("live", "true or false: whether it is asked"),
            (
                "first_pause",
                "Seconds until the first try after a failure, 0.05 to 3600; it doubles with each further one",
            ),
            ("longest_pause", "Seconds that a pause grows to, 0.05 to 3600"),
            ("failures", "Failures in a row after which it is away, 1 to 1000"),
            ("tries", "Failures in a row after which it is given up, to 100000; 0: never"),
        ),
        method="POST",
        scope="publish",
    ),
)
"""The sources that are asked."""
STATUS_VIEW, RETRY_VIEW, SETTINGS_VIEW = SOURCE_VIEWS

EXPORT_VIEW = View(
    "/api/v2/export/analytics",
    "A table as CSV, JSON, NDJSON or Parquet; `?what=` one of its tables",
    (
        ("what", "Which table; without it metrics"),
        ("format", "csv, json, ndjson or parquet; without it csv"),
        ("from", "RFC 3339, Unix seconds, or how long ago: -6h. Without it a day before `to`"),
        ("to", "Likewise; without it now"),
        ("step", "metrics: seconds or a duration that each value stands for"),
        ("after", "Tables of the log: only what lies beyond this offset, to go on with a broken download"),
    ),
    file=True,
)
"""What is known, as files."""

SHARED_VIEWS: tuple[View, ...] = (*PLATFORM_VIEWS, *HISTORY_VIEWS, *SOURCE_VIEWS, EXPORT_VIEW)
"""All of them. A room that adds one adds its own tuple here."""
