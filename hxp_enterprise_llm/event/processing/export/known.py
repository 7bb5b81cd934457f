"""Tables of what is known of the platform: money by day, tiers of memory by hour, knowledge and its gaps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import msgspec

from hxp_enterprise_llm.event.processing.export.model import Column, Row, Table, TableAway, Wanted
from hxp_enterprise_llm.event.processing.platform.engine import PlatformEngine
from hxp_enterprise_llm.event.processing.platform.platform import Views

_CHUNK_ROWS = 1000
_Rows = Callable[[Views, Wanted], Iterable[Row]]


def tables(engine: PlatformEngine) -> list[Table]:
    """All tables of the platform's state."""
    return [
        _table(engine, "costs", "Tokens and money by day, in all and by each name, UTC", _COSTS, _costs),
        _table(engine, "tier_hours", "Memory tiers by hour: how often, how fast, at what price", _TIERS, _tiers),
        _table(engine, "knowledge_items", "Items of knowledge by use, as it is now", _ITEMS, _items),
        _table(engine, "knowledge_gaps", "Questions without an answer, as it is now", _GAPS, _gaps),
    ]


def _table(engine: PlatformEngine, name: str, description: str, columns: tuple[Column, ...], rows: _Rows) -> Table:
    async def chunks(wanted: Wanted) -> AsyncIterator[list[Row]]:
        if not engine.ready:
            raise TableAway("the state of the platform is being made from the log")
        # All of one moment: what comes meanwhile is not in one half of the file.
        found = list(rows(engine.views(), wanted))
        for start in range(0, len(found), _CHUNK_ROWS):
            yield found[start : start + _CHUNK_ROWS]

    return Table(name, description, columns, chunks)


_COSTS = (
    *(Column(name, "text") for name in ("day", "kind", "name")),
    *(
        Column(name, "integer")
        for name in (
            "requests",
            "failed_requests",
            "input_tokens",
            "output_tokens",
            "tokens",
            "unpriced_requests",
            "tool_calls",
            "cost_nano_usd",
        )
    ),
    Column("cost_usd", "number"),
)


def _costs(views: Views, wanted: Wanted) -> Iterable[Row]:
    numbers = [column.name for column in _COSTS[3:]]
    for each in views.cost_days(wanted.begin, wanted.end):
        yield each.day, each.kind, each.name, *(each.figures[name] for name in numbers)


_TIERS = (
    Column("hour", "text"),
    Column("tier", "text"),
    *(Column(name, "integer") for name in ("reads", "hits", "misses", "writes", "deletes", "unpriced_accesses")),
    *(Column(name, "number") for name in ("hit_rate", "mean_ms", "p50_ms", "p95_ms", "p99_ms", "cost_usd")),
)


def _tiers(views: Views, wanted: Wanted) -> Iterable[Row]:
    for hour, tier, figures in views.tier_hours(wanted.begin, wanted.end):
        yield hour, tier, *(figures[column.name] for column in _TIERS[2:])


_ITEMS = (
    Column("item", "text"),
    Column("count", "integer"),
    Column("last_24h", "integer"),
    Column("last_access", "text"),
    *(Column(name, "text") for name in ("agents", "tiers")),
    *(Column(f"hour_{hour:02}", "integer") for hour in range(24)),
)


def _items(views: Views, wanted: Wanted) -> Iterable[Row]:
    for each in views.knowledge()["items"]:
        counts = _text(each["agents"]), _text(each["tiers"])
        yield each["item"], each["count"], each["last_24h"], each["last_access"], *counts, *each["by_hour_of_day"]


_GAPS = (
    Column("query", "text"),
    Column("count", "integer"),
    *(Column(name, "text") for name in ("first_asked", "last_asked", "agents", "collections")),
)


def _gaps(views: Views, wanted: Wanted) -> Iterable[Row]:
    for each in views.gaps()["gaps"]:
        times = each["first_asked"], each["last_asked"]
        yield each["query"], each["count"], *times, _text(each["agents"]), _text(each["collections"])


def _text(counts: dict[str, Any]) -> str:
    return msgspec.json.encode(counts).decode()
