"""How long analytics is kept, and what is forecast of it: sections `history` and `forecast` of event processing."""

from __future__ import annotations

from typing import Annotated

from hxp_enterprise_llm.config.types import Duration, Positive, Section, about


class HistoryConfig(Section, frozen=True, kw_only=True):
    """Analytics over months: tiers of 1 s, 1 min, 1 h and 1 day in `state.directory`/history."""

    detail: Annotated[Duration, about("How long the tiers of 1 s and 1 min are kept", live=True)] = "7d"
    aggregates: Annotated[Duration, about("How long the tiers of 1 h and 1 day are kept", live=True)] = "90d"
    disk_budget_bytes: Annotated[
        int,
        about("Most bytes on disk; beyond it the oldest detail goes before its time", live=True, ge=16 * 1024 * 1024),
    ] = 2 * 1024 * 1024 * 1024
    max_points: Annotated[Positive, about("Most points of a series in one answer", live=True, le=20_000)] = 2000


class AnomalyConfig(Section, frozen=True, kw_only=True):
    """When the rate of tokens counts as an anomaly."""

    interval: Annotated[Duration, about("Tokens are compared by intervals of this length, whole minutes")] = "5m"
    threshold: Annotated[float, about("Usual deviations from the usual at which an interval stands out", gt=0)] = 8.0
    of: Annotated[Positive, about("Intervals that are looked at together", le=60)] = 5
    least: Annotated[Positive, about("How many of them must stand out for an anomaly to begin", le=60)] = 3


class ForecastConfig(Section, frozen=True, kw_only=True):
    """The next hour's tokens, out of the history."""

    tokens_per_day: Annotated[
        int, about("Budget of tokens for a day in UTC, for the time until it is used up; 0: there is none", ge=0)
    ] = 0
    anomaly: AnomalyConfig = AnomalyConfig()
