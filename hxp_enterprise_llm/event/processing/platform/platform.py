"""All cores as one: takes events of the log in, answers views, and is stored and read back as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.config.platform import PlatformConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.processing.analytics import LabelledValue
from hxp_enterprise_llm.event.processing.backlog import Backlog
from hxp_enterprise_llm.event.processing.platform import (
    agents,
    budgets,
    business,
    collaboration,
    hypotheses,
    knowledge,
    memory,
    models,
    recommendations,
    tokens,
)
from hxp_enterprise_llm.event.processing.platform.days import month_of
from hxp_enterprise_llm.event.processing.platform.ledger import FAILED_TOOL_CALLS, TOOL_CALLS, UNPRICED, Money
from hxp_enterprise_llm.event.processing.platform.ledger import tokens as all_tokens
from hxp_enterprise_llm.event.processing.platform.minutes import Shared
from hxp_enterprise_llm.event.processing.platform.reading import READERS, Events, parted, times
from hxp_enterprise_llm.event.processing.platform.rows import Pending
from hxp_enterprise_llm.event.processing.platform.tokens import CostDay
from hxp_enterprise_llm.event.processing.prices.table import PriceTable, Snapshot

MOST_PENDING = 4096
"""Rows after which they are booked."""
MOST_PENDING_BYTES = 8 * 1024 * 1024
"""Bytes of events after which their rows are booked: names and samples of these are held until then."""
_FORGET_SECONDS = 60.0


class State(msgspec.Struct):
    """All that is known."""

    agents: agents.Agents = msgspec.field(default_factory=agents.Agents)
    tokens: tokens.Tokens = msgspec.field(default_factory=tokens.Tokens)
    models: models.Models = msgspec.field(default_factory=models.Models)
    memory: memory.Memory = msgspec.field(default_factory=memory.Memory)
    knowledge: knowledge.Knowledge = msgspec.field(default_factory=knowledge.Knowledge)
    collaboration: collaboration.Collaboration = msgspec.field(default_factory=collaboration.Collaboration)
    hypotheses: hypotheses.Hypotheses = msgspec.field(default_factory=hypotheses.Hypotheses)
    business: business.Business = msgspec.field(default_factory=business.Business)
    newest: float = 0.0
    """Time of the newest event, in wall-clock seconds."""
    events: int = 0
    """Events of the types that are read."""
    ignored: int = 0
    """Of these, those that cannot be read."""


class _Settings(NamedTuple):
    config: PlatformConfig
    money: Money
    active_within: float
    task_timeout: float
    pinned: dict[str, frozenset[str]]
    declared: tuple[business.Declared, ...]


class Platform:
    """Takes the events of the log in, in any order, and answers what is known. It never awaits and reads no clock."""

    def __init__(self, config: PlatformConfig, prices: Snapshot | None = None, state: State | None = None) -> None:
        self._prices = prices
        self._state = state or State()
        self._pending = Pending(PriceTable(config.prices, prices))
        self._settings = _settings(config)
        self._takers = self._make_takers()
        self._forget_at = 0.0
        self._times = times()
        self._backlog = Backlog()
        self._pending_bytes = 0

    @property
    def state(self) -> State:
        """All that is known but for what is pending: sums of tokens and money are not whole."""
        self._digest()
        return self._state

    @property
    def counted(self) -> tuple[int, int]:
        """Events that were taken in, and those of them that cannot be read; some more may wait."""
        return self._state.events, self._state.ignored

    @property
    def config(self) -> PlatformConfig:
        """What is in force."""
        return self._settings.config

    def configure(self, config: PlatformConfig) -> None:
        """Other prices, budgets and bounds; what has been taken in keeps the prices that it was taken in with."""
        self._settle()
        self._settings = _settings(config)
        self._pending.prices = PriceTable(config.prices, self._prices)

    def take(self, events: Sequence[Stored]) -> None:
        """Take events in. However they are cut into batches or ordered, what comes of them is the same."""
        if events and self._backlog.add(StoredColumns.of(events)):
            self._digest()

    def _digest(self) -> None:
        """Take in what waits."""
        size, events = self._backlog.size, self._backlog.drain()
        if events is None:
            return
        state = self._state
        read = {type: READERS[type].read(raws, self._times) for type, raws in parted(events).items()}
        state.newest = max((state.newest, *(max(found.times) for found, _ in read.values() if found.times)))
        for type, (found, refused) in read.items():
            state.events += len(found.times) + refused
            state.ignored += refused
            if found.times:
                self._takers[type](found.timed(state.newest))
        self._pending_bytes += size
        for declared in self._settings.declared:
            self._take_declared(declared, events)
        if len(self._pending) > MOST_PENDING or self._pending_bytes > MOST_PENDING_BYTES:
            self._book()

    def _make_takers(self) -> dict[str, Callable[[Events[Any]], None]]:
        pending = self._pending
        return {
            "llm.request.completed": pending.requests,
            "llm.usage.corrected": pending.corrections,
            "llm.request.failed": pending.failures,
            "tool.call.completed": partial(pending.tool_calls, failed=False),
            "tool.call.failed": partial(pending.tool_calls, failed=True),
            "cost.recorded": pending.costs,
            "agent.registered": lambda found: self._state.agents.register(found, self.config.limits),
            "agent.started": lambda found: self._state.agents.start(found, self.config.limits),
            "agent.completed": lambda found: self._state.agents.end(found, "completed", self.config.limits),
            "agent.failed": lambda found: self._state.agents.end(found, "failed", self.config.limits),
            "agent.handoff": self._handoffs,
            "memory.tier.access": self._memory,
            "knowledge.access": self._knowledge,
            "knowledge.miss": self._gaps,
            "hypothesis.formed": partial(self._hypotheses, "formed"),
            "hypothesis.validated": partial(self._hypotheses, "validated"),
            "hypothesis.refuted": partial(self._hypotheses, "refuted"),
            "business.metric": lambda found: self._state.business.take(found, self.config.limits),
        }

    def _handoffs(self, found: Events[Any]) -> None:
        self._state.collaboration.take(found, self.config.limits)
        self._seen(found.times, (each.from_ for each in found.data))
        self._seen(found.times, (each.to for each in found.data))

    def _memory(self, found: Events[Any]) -> None:
        self._state.ignored += self._state.memory.take(found)
        self._seen(found.times, (each.agent for each in found.data))

    def _knowledge(self, found: Events[Any]) -> None:
        self._state.knowledge.use(found, self.config.limits)
        self._seen(found.times, (each.agent for each in found.data))

    def _gaps(self, found: Events[Any]) -> None:
        self._state.knowledge.miss(found, self.config.limits)
        self._seen(found.times, (each.agent for each in found.data))

    def _hypotheses(self, step: hypotheses.Step, found: Events[Any]) -> None:
        self._state.hypotheses.take(found, step, self.config.limits)
        self._seen(found.times, (each.agent for each in found.data))
        if step == "formed":
            self._state.agents.saw((each.agent for each in found.data), agents.FORMS_HYPOTHESES, self.config.limits)

    def _seen(self, times: Iterable[float], names: Iterable[str | None]) -> None:
        """Agents were active: the first, the last and the number of each one's events of the batch."""
        found: dict[str, tuple[float, float, int]] = {}
        for at, name in zip(times, names, strict=True):
            if name is not None:
                first, last, count = found.get(name, (at, at, 0))
                found[name] = at if at < first else first, at if at > last else last, count + 1
        for name, (first, last, count) in found.items():
            agent = self._state.agents.seen(name, first, self.config.limits, count)
            agent.last = max(agent.last, last)

    def _take_declared(self, declared: business.Declared, events: StoredColumns) -> None:
        raws = events.of_types(declared.types).raws
        for at, value, dimensions in declared.read(raws, self._state.newest):
            self._state.newest = max(self._state.newest, at)
            self._state.business.add(declared.name, at, value, dimensions, declared.unit, self.config.limits)

    def _settle(self) -> None:
        """Take in what waits, and book what is pending."""
        self._digest()
        self._book()

    def _book(self) -> None:
        """Book what is pending."""
        pending, limits, state = self._pending, self.config.limits, self._state
        for number, minute in pending.minutes.items():
            for (agent, model, tool), shared in minute.shared.items():
                if model is not None:
                    # What is told of a model is told once, whoever of those that share it comes first.
                    state.models.take(model, number, shared.row, minute.told.pop(model, None), limits)
                if agent is not None and shared.last:
                    self._worked(agent, tool, shared)
        state.tokens.settle(pending, limits, self._settings.pinned)
        pending.clear()
        self._pending_bytes = 0

    def _worked(self, name: str, tool: str | None, shared: Shared) -> None:
        """An agent was seen, and what tools it used."""
        limits, row = self.config.limits, shared.row
        agent = self._state.agents.seen(name, shared.first, limits, sum(row[field] for field in (0, 1, 11)) or 1)
        agent.last = max(agent.last, shared.last)
        worked = row[TOOL_CALLS] - row[FAILED_TOOL_CALLS]
        if tool is not None and worked:
            agent.saw(tool, worked)

    def settled(self) -> State:
        """All that is known, without what is too old."""
        self._settle()
        state = self._state
        if state.newest >= self._forget_at:
            # Hours are dropped whole; what is shown leaves out the older ones in any case.
            self._forget_at = state.newest + _FORGET_SECONDS
            self._forget()
        return state

    def _forget(self) -> None:
        state = self._state
        for core in (
            state.tokens,
            state.models,
            state.memory,
            state.knowledge,
            state.collaboration,
            state.hypotheses,
            state.business,
        ):
            core.forget(state.newest)
        state.agents.forget(state.newest - 2 * self._settings.task_timeout)

    def views(self, now: float) -> Views:
        """What is known at a moment in wall-clock seconds."""
        return Views(self.settled(), self._settings, now)


def _settings(config: PlatformConfig) -> _Settings:
    return _Settings(
        config,
        Money(config.inference_costs == "recorded"),
        seconds(config.active_within),
        seconds(config.task_timeout),
        budgets.pinned(config.budgets),
        tuple(business.Declared(each) for each in config.business),
    )


class Views:
    """Everything that is answered, at one moment."""

    def __init__(self, state: State, settings: _Settings, now: float) -> None:
        self._state, self._settings, self._now = state, settings, now
        self._limits = settings.config.limits

    def active_agents(self) -> dict[str, Any]:
        """GET /api/v2/agents/active."""
        return agents.active_view(
            self._state.agents, self._now, self._settings.active_within, self._settings.task_timeout
        )

    def active_count(self) -> int:
        """How many agents are active."""
        since = self._now - self._settings.active_within
        named = self._state.agents.kept.named.values()
        return sum(agent.last > since and not agent.is_workflow for agent in named)

    def agents(self) -> dict[str, Any]:
        """GET /api/v2/agents."""
        return agents.all_view(self._state.agents, self._now, self._settings.active_within, self._settings.task_timeout)

    def tier_stats(self, hours: int | tuple[int, int] = 24) -> dict[str, Any]:
        """GET /api/v2/memory/tier-stats: so many hours back, or the hours from the first to the last."""
        last = int(self._now) // 3600
        first, last = hours if isinstance(hours, tuple) else (last - hours, last)
        found = memory.view(self._state.memory, self._settings.config.memory_costs, first, last)
        return found if isinstance(hours, tuple) else found | {"window_hours": hours}

    def tokens(self) -> dict[str, Any]:
        """GET /api/v2/tokens."""
        return tokens.token_view(self._state.tokens, self._limits, self._settings.money, self._now)

    def costs(self) -> dict[str, Any]:
        """GET /api/v2/costs."""
        found = tokens.cost_view(self._state.tokens, self._limits, self._settings.money, self._now)
        return found | {"budgets": budgets.budget_view(self.budgets())}

    def cost_days(self, begin: float, end: float) -> Iterable[CostDay]:
        """Tokens and money of the days between two moments: in all, and by each name."""
        return tokens.cost_days(self._state.tokens, self._limits, self._settings.money, begin, end)

    def tier_hours(self, begin: float, end: float) -> Iterable[tuple[str, str, dict[str, Any]]]:
        """Each tier of memory in the hours between two moments."""
        return memory.by_hour(self._state.memory, self._settings.config.memory_costs, begin, end)

    def budgets(self) -> list[budgets.Used]:
        """Each budget with what is spent of it."""
        return budgets.used(self._settings.config.budgets, self._state.tokens, self._settings.money, self._now)

    def knowledge(self) -> dict[str, Any]:
        """GET /api/v2/knowledge."""
        return knowledge.view(self._state.knowledge, self._limits.items, self._now)

    def gaps(self) -> dict[str, Any]:
        """GET /api/v2/knowledge/gaps."""
        return knowledge.gap_view(self._state.knowledge, self._limits.items, self._now)

    def collaboration(self) -> dict[str, Any]:
        """GET /api/v2/collaboration."""
        return collaboration.view(self._state.collaboration, self._limits.edges, self._now)

    def hypotheses(self) -> dict[str, Any]:
        """GET /api/v2/hypotheses."""
        return hypotheses.view(self._state.hypotheses, self._limits.agents, self._now)

    def models(self) -> dict[str, Any]:
        """GET /api/v2/models."""
        return models.view(self._state.models, self._limits.models, self._now)

    def cost_usd(self) -> float | None:
        """USD since counting began, as far as prices are known; None when none is."""
        return self._settings.money.usd(self._state.tokens.everything.total)

    def business(self) -> dict[str, Any]:
        """GET /api/v2/business."""
        return business.view(self._state.business, self._limits, self._now)

    def recommendations(self) -> dict[str, Any]:
        """GET /api/v2/recommendations."""
        last = int(self._now) // 3600
        tiers = self._state.memory.joined(last - 24, last)
        costs = {name: memory.cost_usd(name, tier, self._settings.config.memory_costs) for name, tier in tiers.items()}
        evidence = recommendations.Evidence(
            self._state.tokens,
            tiers,
            costs,
            self._state.knowledge,
            self._state.collaboration,
            self._settings.money,
            self._now,
        )
        return {"recommendations": recommendations.recommend(evidence)}

    def extras(self) -> dict[str, float | None]:
        """The values that join `analytics.snapshot`."""
        state, money, now = self._state, self._settings.money, self._now
        today = state.tokens.everything.day(int(now) // 86400)
        found = tokens.projection(state.tokens, money, now)
        ratios = [each.ratio for each in self.budgets()]
        return {
            "active_agents": float(self.active_count()),
            "cost_usd_today": money.usd(today),
            "cost_usd_hour": found.hour,
            "cost_usd_month": money.usd(state.tokens.everything.between(*month_of(now))),
            "projected_cost_usd_day": found.day,
            "projected_cost_usd_month": found.month,
            "tokens_today": float(all_tokens(today)),
            "unpriced_requests_today": float(today[UNPRICED]),
            "budget_used_ratio": max(ratios) if ratios else None,
        }

    def extra_groups(self) -> dict[str, list[LabelledValue]]:
        """`budget_used_ratio` by budget."""
        found = [LabelledValue({"budget": each.config.name}, each.ratio) for each in self.budgets()]
        return {"budget_used_ratio": found} if found else {}
