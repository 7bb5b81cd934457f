"""Look-ups: in the tiers of memory one after another, and in knowledge."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any

from hxp_enterprise_llm.client.instrument.context import Work
from hxp_enterprise_llm.client.instrument.scope import Emits, Scope, short
from hxp_enterprise_llm.runtime.clock import Clock

TIERS = {"redis": "redis", "postgres": "postgres", "postgresql": "postgres", "chroma": "chroma", "chromadb": "chroma"}
"""Tiers by the names under which people know them, in the order in which they are asked."""


class TierAccess(Scope):
    """One tier that is asked. Without `hit()` or `found()` it was a miss."""

    def __init__(self, emitter: Emits, clock: Clock, lookup: MemoryLookup, tier: str) -> None:
        super().__init__(emitter, clock)
        self._lookup, self.tier = lookup, TIERS.get(tier, tier)
        self.items = 0

    def _place(self, outer: Work | None) -> Work:
        self.items = 0
        return super()._place(outer)

    def hit(self, items: int = 1) -> None:
        """It had the answer, `items` of them."""
        self.items = items

    def found(self, result: Any) -> Any:
        """Take a result as it came: nothing, or something empty, is a miss. Answers the result."""
        self._safely(lambda: self.hit(_items(result)))
        return result

    def _completed(self) -> None:
        self._lookup.took(self)

    def _failed(self, error: BaseException) -> None:
        self.items = 0
        self._lookup.took(self)


class MemoryLookup(Scope):
    """A query to the tiers of memory, fastest first. Each tier that was asked is an event; the last one also carries
    the look-up as a whole: which tier served it, and how long each took."""

    def __init__(self, emitter: Emits, clock: Clock, query: str, *, operation: str) -> None:
        super().__init__(emitter, clock)
        self._query, self._operation = short(query), operation
        self._asked: list[tuple[str, int, float]] = []

    def _begun(self) -> None:
        self._asked = []

    def tier(self, name: str) -> TierAccess:
        """Ask a tier: `redis`, `postgres` or `chroma`."""
        return TierAccess(self._emitter, self._clock, self, name)

    def ask(self, name: str, read: Callable[[], Any]) -> Any:
        """Ask a tier by a function, unless an earlier one had the answer: None then, and when it has none."""
        if self.served_by:
            return None
        with self.tier(name) as tier:
            return tier.found(read())

    @property
    def served_by(self) -> str:
        """The tier that had the answer; empty when none had."""
        return next((tier for tier, items, _ in self._asked if items), "")

    def took(self, access: TierAccess) -> None:
        """A tier has answered."""
        self._asked.append((access.tier, access.items, access.elapsed_ms))

    def _completed(self) -> None:
        for at, (tier, items, latency_ms) in enumerate(self._asked):
            last = at == len(self._asked) - 1
            self._emit(
                "memory.tier.access",
                tier=tier,
                hit=items > 0,
                latency_ms=latency_ms,
                operation=self._operation,
                key=self._query,
                query=self._query,
                **self._whole() if last else {},
            )

    def _failed(self, error: BaseException) -> None:
        self._completed()

    def _whole(self) -> dict[str, Any]:
        return {
            "tier_accessed": self.served_by,
            "latency_by_tier": {tier: latency_ms / 1000 for tier, _, latency_ms in self._asked},
            "items_retrieved": sum(items for _, items, _ in self._asked),
        }


class KnowledgeLookup(Scope):
    """A search in knowledge: each item found is an event, nothing found is one of the other kind."""

    def __init__(self, emitter: Emits, clock: Clock, query: str, *, collection: str) -> None:
        super().__init__(emitter, clock)
        self._query, self._collection = short(query), collection
        self._items: list[tuple[str, float | None]] = []
        self._best: float | None = None

    def _begun(self) -> None:
        self._items, self._best = [], None

    def found(self, item: str, score: float | None = None) -> None:
        """An item of knowledge that was of use; `score` between 0 and 1."""
        self._items.append((short(item), score))

    def missed(self, best_score: float | None = None) -> None:
        """Nothing was good enough; the best had this score."""
        self._best = best_score

    def _completed(self) -> None:
        latency_ms = self.elapsed_ms
        for item, score in self._items:
            self._emit(
                "knowledge.access",
                item=item,
                score=score,
                query=self._query,
                collection=self._collection,
                latency_ms=latency_ms,
            )
        if not self._items:
            self._emit("knowledge.miss", query=self._query, collection=self._collection, best_score=self._best)


def _items(result: Any) -> int:
    if isinstance(result, Sized):
        return len(result) if not isinstance(result, str | bytes) else int(bool(result))
    return int(result is not None and result is not False)
