"""Who works with whom: hand-offs from agent to agent, how often, and how they end."""

from __future__ import annotations

from typing import Any, Self

import msgspec

from hxp_enterprise_llm.config.platform import PlatformLimitsConfig
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.processing.platform.ledger import DAYS_KEPT, drop_before
from hxp_enterprise_llm.event.processing.platform.names import Kept, bump, clip, merge
from hxp_enterprise_llm.event.processing.platform.reading import Events, Handoff

_KINDS = 16


class Edge(msgspec.Struct):
    """From one agent to another."""

    source: str
    target: str
    count: int = 0
    success: int = 0
    failure: int = 0
    kinds: dict[str, int] = {}
    days: dict[int, int] = {}
    last: float = 0.0

    @property
    def weight(self) -> int:
        return self.count

    def take(self, at: float, each: Handoff) -> None:
        """One more hand-off."""
        self.count += 1
        self.success += each.outcome == "success"
        self.failure += each.outcome == "failure"
        self.last = max(self.last, at)
        bump(self.kinds, clip(each.kind), most=_KINDS)
        day = int(at) // 86400
        self.days[day] = self.days.get(day, 0) + 1

    def absorb(self, other: Self) -> None:
        """Add another's."""
        self.count += other.count
        self.success += other.success
        self.failure += other.failure
        self.last = max(self.last, other.last)
        merge(self.kinds, other.kinds, _KINDS)
        for day, count in other.days.items():
            self.days[day] = self.days.get(day, 0) + count


class Collaboration(msgspec.Struct):
    """All hand-offs."""

    edges: Kept[Edge] = msgspec.field(default_factory=Kept)

    def take(self, events: Events[Handoff], limits: PlatformLimitsConfig) -> None:
        """Take hand-offs in."""
        for at, each in zip(*events, strict=True):
            source, target = clip(each.from_), clip(each.to)
            key = f"{len(source):03d}{source}{target}"
            edge = self.edges.named.get(key) or self.edges.at(key, lambda s=source, t=target: Edge(s, t), limits.edges)  # type: ignore[misc]
            edge.take(at, each)

    def forget(self, newest: float) -> None:
        """Drop days that are too old when the newest event is of this time."""
        for edge in self.edges.everything():
            drop_before(edge.days, int(newest) // 86400 - DAYS_KEPT)


def view(collaboration: Collaboration, limit: int, now: float) -> dict[str, Any]:
    """What GET /api/v2/collaboration answers."""
    edges = [edge for _, edge in collaboration.edges.ranked()[:limit]]
    rest = sum(edge.count for edge in collaboration.edges.everything()) - sum(edge.count for edge in edges)
    return {
        "nodes": sorted({name for edge in edges for name in (edge.source, edge.target)}),
        "edges": [_edge(edge, int(now) // 86400) for edge in edges],
        "other_handoffs": rest,
    }


def _edge(edge: Edge, today: int) -> dict[str, Any]:
    known = edge.success + edge.failure
    return {
        "from": edge.source,
        "to": edge.target,
        "count": edge.count,
        "today": edge.days.get(today, 0),
        "success": edge.success,
        "failure": edge.failure,
        "success_ratio": edge.success / known if known else None,
        "kinds": dict(sorted(edge.kinds.items(), key=lambda each: (-each[1], each[0]))),
        "last": rfc3339(edge.last),
    }
