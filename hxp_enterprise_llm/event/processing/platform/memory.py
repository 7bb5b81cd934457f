"""Memory tiers: which of them answers, how fast, at what price; and the way of a query through them.

Each tier that is asked is one event. A query goes from Redis to PostgreSQL to ChromaDB until one has the answer, so
that what a tier misses is what the next is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import msgspec

from hxp_enterprise_llm.config.platform import MEMORY_TIERS
from hxp_enterprise_llm.event.processing.platform.days import hour_name
from hxp_enterprise_llm.event.processing.platform.ledger import drop_before
from hxp_enterprise_llm.event.processing.platform.models import quantiles
from hxp_enterprise_llm.event.processing.platform.reading import Events, TierAccess
from hxp_enterprise_llm.event.processing.prices.rates import NANO
from hxp_enterprise_llm.event.processing.sketch import Sketch

TIERS = MEMORY_TIERS
NAMES = {
    "redis": "redis",
    "redis_immediate": "redis",
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "postgresql_structured": "postgresql",
    "chroma": "chromadb",
    "chromadb": "chromadb",
    "chromadb_semantic": "chromadb",
}
"""What events call them."""
MOST_HOURS = 168


class Tier(msgspec.Struct):
    """One hour of a tier."""

    reads: int = 0
    hits: int = 0
    writes: int = 0
    deletes: int = 0
    latency_us: int = 0
    """Microseconds of all reads that say theirs; whole, so that their order does not matter."""
    latency: Sketch = msgspec.field(default_factory=Sketch)
    """Milliseconds of reads."""
    nano_usd: int = 0
    unpriced: int = 0
    """Accesses whose event does not say what they cost."""

    def absorb(self, other: Self) -> None:
        """Add another hour's."""
        self.reads += other.reads
        self.hits += other.hits
        self.writes += other.writes
        self.deletes += other.deletes
        self.latency_us += other.latency_us
        self.latency.absorb(other.latency)
        self.nano_usd += other.nano_usd
        self.unpriced += other.unpriced


class Memory(msgspec.Struct):
    """All tiers by hour."""

    hours: dict[int, dict[str, Tier]] = {}

    def take(self, events: Events[TierAccess]) -> int:
        """Take accesses in; answers how many were of a tier that nobody knows."""
        parts: dict[tuple[int, str], list[TierAccess]] = defaultdict(list)
        for at, each in zip(*events, strict=True):
            if each.hit is not None:
                parts[int(at) // 3600, NAMES.get(each.tier or "", "")].append(each)
                continue
            for access in whole(each):
                parts[int(at) // 3600, NAMES.get(access.tier or "", "")].append(access)
        unknown = 0
        for (hour, name), accesses in parts.items():
            if name:
                _take(self._at(hour, name), accesses)
            else:
                unknown += len(accesses)
        return unknown

    def _at(self, hour: int, tier: str) -> Tier:
        tiers = self.hours.setdefault(hour, {})
        if tier not in tiers:
            tiers[tier] = Tier()
        return tiers[tier]

    def forget(self, newest: float) -> None:
        """Drop hours that are too old when the newest event is of this time."""
        drop_before(self.hours, int(newest) // 3600 - MOST_HOURS)

    def joined(self, first: int, last: int) -> dict[str, Tier]:
        """Each tier over the hours from the first to the last, numbered since 1970."""
        total = {name: Tier() for name in TIERS}
        for hour, tiers in self.hours.items():
            if first <= hour <= last:
                for name, tier in tiers.items():
                    total[name].absorb(tier)
        return total


def whole(lookup: TierAccess) -> Iterator[TierAccess]:
    """A look-up that one event tells, as an access to each tier that was asked.

    The last tier is named as the one that answered whether it had something or not: then no items were retrieved.
    """
    answered = NAMES.get(lookup.tier_accessed or "", lookup.tier_accessed)
    took = {NAMES.get(name, name): 1000 * seconds for name, seconds in lookup.latency_by_tier.items()}
    for name in dict.fromkeys((*took, answered)):
        served = name == answered
        yield TierAccess(
            tier=name,
            hit=served and lookup.items_retrieved != 0,
            latency_ms=took.get(name or ""),
            operation=lookup.operation,
            cost_usd=lookup.cost_usd if served else None,
        )


def _take(tier: Tier, accesses: Iterable[TierAccess]) -> None:
    latencies = []
    for each in accesses:
        operation = each.operation
        if operation is None or operation == "read":
            tier.reads += 1
            tier.hits += bool(each.hit)
            if each.latency_ms is not None:
                latencies.append(each.latency_ms)
        elif operation == "write":
            tier.writes += 1
        else:
            tier.deletes += 1
        if each.cost_usd is None:
            tier.unpriced += 1
        else:
            tier.nano_usd += round(each.cost_usd * NANO)
    if latencies:
        tier.latency.update(latencies)
        tier.latency_us += sum(round(1000 * latency) for latency in latencies)


class Step(NamedTuple):
    """How many queries went from one place to the next."""

    source: str
    target: str
    queries: int


def flow(tiers: dict[str, Tier]) -> list[Step]:
    """The way of the queries: what a tier answers, and what goes on; `nothing` is where no tier had it."""
    steps = []
    going = 0
    before = "query"
    for name in TIERS:
        tier = tiers[name]
        if not tier.reads:
            continue
        passed = min(going, tier.reads)
        if passed and before != "query":
            steps.append(Step(before, name, passed))
        if tier.reads > passed:
            steps.append(Step("query", name, tier.reads - passed))
        if going > passed:
            steps.append(Step(before, "nothing", going - passed))
        if tier.hits:
            steps.append(Step(name, "answered", tier.hits))
        going, before = tier.reads - tier.hits, name
    if going:
        steps.append(Step(before, "nothing", going))
    return steps


def cost_usd(name: str, tier: Tier, costs: Mapping[str, float]) -> float | None:
    """What a tier has cost, in USD: what events say, for the others the configured price; None when neither does."""
    price = costs.get(name)
    if tier.unpriced and price is None:
        return tier.nano_usd / NANO if tier.nano_usd else None
    return (tier.nano_usd + round((price or 0.0) * NANO) * tier.unpriced) / NANO


def view(memory: Memory, costs: Mapping[str, float], first: int, last: int) -> dict[str, Any]:
    """What GET /api/v2/memory/tier-stats answers. Hit rates are shares of what was answered: they add up to 1."""
    tiers = memory.joined(first, last)
    answered = sum(tier.hits for tier in tiers.values())
    return {
        "tier_hit_rates": {name: tier.hits / answered if answered else None for name, tier in tiers.items()},
        "average_latencies_ms": {name: _mean(tier) for name, tier in tiers.items()},
        "cost_by_tier": {name: cost_usd(name, tier, costs) for name, tier in tiers.items()},
        "window_hours": last - first + 1,
        "from": hour_name(first),
        "to": hour_name(last + 1),
        "answered": answered,
        "tiers": {name: _detail(tier) for name, tier in tiers.items()},
        "flow": [{"from": step.source, "to": step.target, "count": step.queries} for step in flow(tiers)],
    }


def _mean(tier: Tier) -> float | None:
    return tier.latency_us / 1000 / tier.latency.count if tier.latency.count else None


def _detail(tier: Tier) -> dict[str, Any]:
    return {
        "reads": tier.reads,
        "hits": tier.hits,
        "misses": tier.reads - tier.hits,
        "lookup_hit_rate": tier.hits / tier.reads if tier.reads else None,
        "writes": tier.writes,
        "deletes": tier.deletes,
        "unpriced_accesses": tier.unpriced,
        "latency_ms": quantiles(tier.latency),
    }


def by_hour(
    memory: Memory, costs: Mapping[str, float], begin: float, end: float
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The hours between two moments, as far as they are kept: hour, tier and its figures."""
    for hour, tiers in sorted(memory.hours.items()):
        if begin // 3600 <= hour < end / 3600:
            for name in TIERS:
                if name in tiers:
                    yield hour_name(hour), name, _figures(name, tiers[name], costs)


def _figures(name: str, tier: Tier, costs: Mapping[str, float]) -> dict[str, Any]:
    detail = _detail(tier)
    slow = {f"{quantile}_ms": value for quantile, value in detail["latency_ms"].items()}
    more = {"hit_rate": detail["lookup_hit_rate"], "mean_ms": _mean(tier), "cost_usd": cost_usd(name, tier, costs)}
    return detail | slow | more
