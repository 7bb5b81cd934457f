"""Knowledge: which items are used, by whom and when; and what was asked and not found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import msgspec

from hxp_enterprise_llm.config.platform import PlatformLimitsConfig
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.processing.platform.ledger import drop_before
from hxp_enterprise_llm.event.processing.platform.memory import NAMES
from hxp_enterprise_llm.event.processing.platform.names import Kept, bump, clip, merge
from hxp_enterprise_llm.event.processing.platform.reading import Events, KnowledgeAccess, KnowledgeMiss

HOURS_KEPT = 24
HOURS_OF_DAY = 24
_AGENTS = 16
"""Agents told apart for each item and question."""


class Use(msgspec.Struct):
    """One hour of an item: how often it was used, and how often it had to be searched for in ChromaDB."""

    count: int = 0
    searched: int = 0
    searched_us: int = 0
    """Microseconds of those searches that say theirs."""

    def absorb(self, other: Self) -> None:
        """Add another hour's."""
        self.count += other.count
        self.searched += other.searched
        self.searched_us += other.searched_us


class Item(msgspec.Struct):
    """One item of knowledge."""

    count: int = 0
    last: float = 0.0
    agents: dict[str, int] = {}
    tiers: dict[str, int] = {}
    by_hour: list[int] = msgspec.field(default_factory=lambda: [0] * HOURS_OF_DAY)
    """By the hour of the day, UTC."""
    hours: dict[int, Use] = {}
    """The last day."""

    @property
    def weight(self) -> int:
        return self.count

    def take(self, at: float, each: KnowledgeAccess) -> None:
        """It was used."""
        hour = int(at) // 3600
        self.count += 1
        if at > self.last:
            self.last = at
        self.by_hour[hour % HOURS_OF_DAY] += 1
        if each.agent is not None:
            bump(self.agents, clip(each.agent), most=_AGENTS)
        if each.tier is not None:
            bump(self.tiers, clip(each.tier), most=_AGENTS)
        use = self.hours.get(hour)
        if use is None:
            use = self.hours[hour] = Use()
        use.count += 1
        if NAMES.get(each.tier or "") == "chromadb":
            use.searched += 1
            use.searched_us += round(1000 * (each.latency_ms or 0))

    def absorb(self, other: Self) -> None:
        """Add another item's."""
        self.count += other.count
        self.last = max(self.last, other.last)
        merge(self.agents, other.agents, _AGENTS)
        merge(self.tiers, other.tiers, _AGENTS)
        self.by_hour = [mine + theirs for mine, theirs in zip(self.by_hour, other.by_hour, strict=True)]
        for hour, use in other.hours.items():
            self.hours.setdefault(hour, Use()).absorb(use)

    def last_hours(self, now: float) -> list[int]:
        """How often it was used in each of the last 24 hours, the oldest first; the last has begun."""
        return _each_hour({hour: use.count for hour, use in self.hours.items()}, now)

    def day(self, now: float) -> Use:
        """The last 24 whole hours and the one that has begun."""
        total, last = Use(), int(now) // 3600
        for hour, use in self.hours.items():
            if last - HOURS_KEPT <= hour <= last:
                total.absorb(use)
        return total


class Gap(msgspec.Struct):
    """A question without an answer."""

    count: int = 0
    first: float = 0.0
    last: float = 0.0
    agents: dict[str, int] = {}
    collections: dict[str, int] = {}
    hours: dict[int, int] = {}
    """How often it was asked in the hours of the last day."""

    @property
    def weight(self) -> int:
        return self.count

    def take(self, at: float, each: KnowledgeMiss) -> None:
        """It was asked."""
        hour = int(at) // 3600
        self.hours[hour] = self.hours.get(hour, 0) + 1
        self.first = min(self.first, at) if self.count else at
        self.last = max(self.last, at)
        self.count += 1
        if each.agent is not None:
            bump(self.agents, clip(each.agent), most=_AGENTS)
        if each.collection is not None:
            bump(self.collections, clip(each.collection), most=_AGENTS)

    def absorb(self, other: Self) -> None:
        """Add another question's."""
        if other.count:
            self.first = min(self.first, other.first) if self.count else other.first
        self.last = max(self.last, other.last)
        self.count += other.count
        merge(self.agents, other.agents, _AGENTS)
        merge(self.collections, other.collections, _AGENTS)
        for hour, count in other.hours.items():
            self.hours[hour] = self.hours.get(hour, 0) + count


class Knowledge(msgspec.Struct):
    """All items and questions, and the queries that were answered."""

    items: Kept[Item] = msgspec.field(default_factory=Kept)
    gaps: Kept[Gap] = msgspec.field(default_factory=Kept)
    accesses: int = 0
    misses: int = 0

    def use(self, events: Events[KnowledgeAccess], limits: PlatformLimitsConfig) -> None:
        """Take uses in."""
        self.accesses += len(events.times)
        for at, each in zip(*events, strict=True):
            self.items.at(clip(each.item), Item, limits.items).take(at, each)

    def miss(self, events: Events[KnowledgeMiss], limits: PlatformLimitsConfig) -> None:
        """Take questions without an answer in."""
        self.misses += len(events.times)
        for at, each in zip(*events, strict=True):
            self.gaps.at(question(each.query), Gap, limits.items).take(at, each)

    def forget(self, newest: float) -> None:
        """Drop hours that are too old when the newest event is of this time."""
        for item in self.items.everything():
            drop_before(item.hours, int(newest) // 3600 - HOURS_KEPT)
        for gap in self.gaps.everything():
            drop_before(gap.hours, int(newest) // 3600 - HOURS_KEPT)


def question(text: str) -> str:
    """A question as it is counted: the same words in other letters or spaces are the same question."""
    return clip(" ".join(text.casefold().split()))


def view(knowledge: Knowledge, limit: int, now: float) -> dict[str, Any]:
    """What GET /api/v2/knowledge answers."""
    named, rest = knowledge.items.top(limit, Item)
    return {
        "accesses": knowledge.accesses,
        "misses": knowledge.misses,
        "items": [_item(name, item, now) for name, item in named],
        "other_accesses": rest.count,
        "by_hour_of_day": _by_hour(knowledge),
    }


def _item(name: str, item: Item, now: float) -> dict[str, Any]:
    return {
        "item": name,
        "count": item.count,
        "last_24h": item.day(now).count,
        "last_access": rfc3339(item.last),
        "agents": _sorted(item.agents),
        "tiers": _sorted(item.tiers),
        "by_hour_of_day": item.by_hour,
        "last_hours": item.last_hours(now),
    }


def _each_hour(hours: Mapping[int, int], now: float) -> list[int]:
    last = int(now) // 3600
    return [hours.get(hour, 0) for hour in range(last - HOURS_KEPT + 1, last + 1)]


def _by_hour(knowledge: Knowledge) -> list[int]:
    return [sum(hours) for hours in zip(*(item.by_hour for item in knowledge.items.everything()), strict=True)]


def _sorted(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def gap_view(knowledge: Knowledge, limit: int, now: float) -> dict[str, Any]:
    """What GET /api/v2/knowledge/gaps answers."""
    named, rest = knowledge.gaps.top(limit, Gap)
    asked = knowledge.accesses + knowledge.misses
    return {
        "misses": knowledge.misses,
        "miss_ratio": knowledge.misses / asked if asked else None,
        "gaps": [
            {
                "query": name,
                "count": gap.count,
                "first_asked": rfc3339(gap.first),
                "last_asked": rfc3339(gap.last),
                "agents": _sorted(gap.agents),
                "collections": _sorted(gap.collections),
                "last_hours": _each_hour(gap.hours, now),
            }
            for name, gap in named
        ],
        "other_misses": rest.count,
    }
