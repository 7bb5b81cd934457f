"""The `platform` section of event processing: what is known of agents, tokens, money, memory and knowledge."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hxp_enterprise_llm.config.types import Duration, Name, Positive, Seconds, Section, TypePattern, about

MEMORY_TIERS = ("redis", "postgresql", "chromadb")
"""In the order in which a query asks them."""

_Usd = Annotated[float, msgspec.Meta(ge=0)]


class PriceConfig(Section, frozen=True, kw_only=True):
    """What a model costs; goes before the shipped prices."""

    model: Annotated[str, about("Name of the model, or its beginning followed by *", min_length=1)]
    provider: Annotated[str, about("Only where events name this provider; empty: any")] = ""
    input_usd: Annotated[float, about("USD per million tokens in", ge=0)] = 0.0
    output_usd: Annotated[float, about("USD per million tokens out", ge=0)] = 0.0
    cache_read_usd: Annotated[_Usd | None, about("USD per million tokens read from a cache; none: as tokens in")] = None
    cache_write_usd: Annotated[_Usd | None, about("USD per million tokens written to a cache; none: as tokens in")] = (
        None
    )
    reasoning_usd: Annotated[_Usd | None, about("USD per million tokens of reasoning; none: as tokens out")] = None
    request_usd: Annotated[float, about("USD for each request besides its tokens", ge=0)] = 0.0


class BudgetConfig(Section, frozen=True, kw_only=True):
    """How much may be spent; `budget_used_ratio` by `budget` says how much of it is."""

    name: Annotated[Name, about("Value of the label `budget`")]
    usd: Annotated[float, about("USD that may be spent within the period", gt=0)]
    period: Annotated[Literal["day", "month"], about("Calendar day or month, UTC")] = "day"
    agent: Annotated[str, about("Only what this agent spends; empty: everything")] = ""
    model: Annotated[str, about("Only what this model costs; empty: everything")] = ""
    user: Annotated[str, about("Only what is spent for this user; empty: everything")] = ""


class BusinessConfig(Section, frozen=True, kw_only=True):
    """A figure of the business: any number in events, by any of their fields."""

    name: Annotated[Name, about("Name of the figure")]
    types: Annotated[list[TypePattern], about("Event types that carry it", min_length=1)]
    field: Annotated[str, about("Where the number is, e.g. data.amount", min_length=1)]
    by: Annotated[list[str], about("Where its dimensions are, e.g. [data.team, data.region]")] = []
    unit: Annotated[str, about("Unit of the number, shown beside it")] = ""


class PlatformLimitsConfig(Section, frozen=True, kw_only=True):
    """Most names that are told apart; the rest is counted together as `other`."""

    agents: Annotated[Positive, about("Agents", le=2000, live=True)] = 200
    models: Annotated[Positive, about("Models", le=500, live=True)] = 50
    tools: Annotated[Positive, about("Tools", le=2000, live=True)] = 200
    users: Annotated[Positive, about("Users", le=2000, live=True)] = 200
    queries: Annotated[Positive, about("Queries, for cost and for repeats", le=5000, live=True)] = 500
    items: Annotated[Positive, about("Items of knowledge, and as many gaps", le=5000, live=True)] = 500
    edges: Annotated[Positive, about("Pairs of agents that work together", le=5000, live=True)] = 500
    hypotheses: Annotated[Positive, about("Hypotheses whose course is followed", le=50_000, live=True)] = 5000
    business: Annotated[Positive, about("Label sets of each business figure", le=1000, live=True)] = 100
    open_tasks: Annotated[Positive, about("Tasks that have begun and not ended", le=100_000, live=True)] = 10_000


class PlatformConfig(Section, frozen=True, kw_only=True):
    """What is known of the LLM platform: agents, tokens, money, memory tiers, knowledge, who works with whom."""

    enabled: Annotated[bool, about("Whether it is computed")] = True
    tick: Annotated[
        Seconds, about("Seconds between `platform.snapshot` events; none when nothing changed", live=True)
    ] = 5
    save_interval: Annotated[
        Seconds,
        about(
            "Most seconds between saves of the state, which is saved after 30,000 events, too; after a restart the log"
            " is read again from the last one",
            live=True,
        ),
    ] = 15
    active_within: Annotated[
        Duration, about("Time after its last activity that an agent counts as active", live=True)
    ] = "5m"
    task_timeout: Annotated[Duration, about("Time that a task without an end counts as open", live=True)] = "1h"
    inference_costs: Annotated[
        Literal["requests", "recorded"],
        about(
            "What requests to models cost: what they say themselves or the price table says (requests), or the"
            " cost.recorded events of the category inference (recorded). Never both: that would count them twice",
            live=True,
        ),
    ] = "requests"
    prices: Annotated[
        list[PriceConfig], about("Own prices, before the shipped ones; the first that fits counts", live=True)
    ] = []
    budgets: Annotated[list[BudgetConfig], about("Budgets, for the metric budget_used_ratio", live=True)] = []
    memory_costs: Annotated[
        dict[str, _Usd],
        about(
            "USD of one access to redis, postgresql or chromadb, where events do not say it; of one that is not here it"
            " is not known",
            live=True,
        ),
    ] = {}
    business: Annotated[list[BusinessConfig], about("Figures besides those of business.metric events", live=True)] = []
    limits: PlatformLimitsConfig = msgspec.field(default_factory=PlatformLimitsConfig)
