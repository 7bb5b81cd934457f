"""Tables of the log: one row an event, read on from where the asked time begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec

from hxp_enterprise_llm.event.log.model import Bounds, EventLog, Stored
from hxp_enterprise_llm.event.model import Offset, TypePatterns, parse_rfc3339
from hxp_enterprise_llm.event.processing.export.model import Column, Kind, Row, Table, Wanted
from hxp_enterprise_llm.event.processing.snapshot import SNAPSHOTS

_MOST_AHEAD = 3600.0
"""No event's time lies further beyond the moment at which it came."""
_NEAR = 4096
"""Offsets within which the search for the beginning ends."""


class _Whole(msgspec.Struct):
    time: str = ""
    id: str = ""
    source: str = ""
    subject: str | None = None
    data: Any = None


_decode = msgspec.json.Decoder(_Whole).decode
_ACCEPTS: Mapping[Kind, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int and -(2**63) <= value < 2**63,
    "number": lambda value: type(value) in (int, float),
    "boolean": lambda value: type(value) is bool,
}

_REQUESTS: dict[str, Kind] = {
    "model": "text",
    "provider": "text",
    "agent": "text",
    "user": "text",
    "session": "text",
    "latency_ms": "number",
    "time_to_first_token_ms": "number",
    "input_tokens": "integer",
    "cached_input_tokens": "integer",
    "output_tokens": "integer",
    "reasoning_tokens": "integer",
    "cost_usd": "number",
    "finish_reason": "text",
    "error_class": "text",
    "trace_id": "text",
}
_KNOWLEDGE: dict[str, Kind] = {
    "item": "text",
    "query": "text",
    "collection": "text",
    "agent": "text",
    "tier": "text",
    "score": "number",
    "best_score": "number",
    "latency_ms": "number",
}
_TIERS: dict[str, Kind] = {
    "tier": "text",
    "hit": "boolean",
    "operation": "text",
    "latency_ms": "number",
    "agent": "text",
    "key": "text",
    "tier_accessed": "text",
    "items_retrieved": "integer",
}


def tables(log: EventLog) -> list[Table]:
    """All tables of the log."""
    return [
        _members(log, "requests", "LLM requests, one row each", ["llm.request.*"], _REQUESTS),
        _members(log, "knowledge", "Look-ups of knowledge, found or not", ["knowledge.*"], _KNOWLEDGE),
        _members(log, "tiers", "Accesses to tiers of memory", ["memory.tier.access"], _TIERS),
        _whole(log),
    ]


def _whole(log: EventLog) -> Table:
    columns = (
        Column("offset", "integer"),
        *(Column(name, "text") for name in ("time", "type", "source", "id", "subject", "data")),
    )

    def row(event: Stored, found: _Whole) -> Row:
        data = None if found.data is None else msgspec.json.encode(found.data).decode()
        return event.offset, found.time, event.type, found.source, found.id, found.subject, data

    everything = TypePatterns(["*"])
    return Table("events", "Events as they are", columns, lambda wanted: _rows(log, everything, row, wanted), True)


def _members(log: EventLog, name: str, description: str, types: Sequence[str], members: Mapping[str, Kind]) -> Table:
    columns = (
        Column("offset", "integer"),
        Column("time", "text"),
        Column("type", "text"),
        *(Column(member, kind) for member, kind in members.items()),
    )

    def row(event: Stored, found: _Whole) -> Row:
        data = found.data if isinstance(found.data, dict) else {}
        return event.offset, found.time, event.type, *(_of(kind, data.get(key)) for key, kind in members.items())

    patterns = TypePatterns(types)
    return Table(name, description, columns, lambda wanted: _rows(log, patterns, row, wanted), True)


def _of(kind: Kind, value: Any) -> Any:
    """A value of a column's kind; another is none."""
    return value if _ACCEPTS[kind](value) else None


async def _rows(
    log: EventLog, types: TypePatterns, row: Callable[[Stored, _Whole], Row], wanted: Wanted
) -> AsyncIterator[list[Row]]:
    bounds = await log.bounds()
    after = Offset(max(bounds.first - 1, wanted.after, await beginning(log, bounds, wanted.begin - _MOST_AHEAD)))
    while after < bounds.head:
        batch = await log.read(after, types=types, epoch=bounds.epoch)
        events = [event for event in batch.events if event.offset <= bounds.head]
        yield [row(event, found) for event in events for found in _chosen(event, wanted)]
        if batch.next == after:
            return
        after = batch.next
        await asyncio.sleep(0)


def _chosen(event: Stored, wanted: Wanted) -> list[_Whole]:
    """The event, when its time is asked for."""
    try:
        found = _decode(event.raw)
        return [found] if wanted.begin <= parse_rfc3339(found.time) < wanted.end else []
    except (msgspec.DecodeError, ValueError):
        return []


async def beginning(log: EventLog, bounds: Bounds, moment: float) -> Offset:
    """An offset before which nothing came after a moment: found by the snapshots, which tell when they were made."""
    low, high = bounds.first - 1, bounds.head
    while high - low > _NEAR:
        middle = Offset((low + high) // 2)
        batch = await log.read(middle, 1, types=SNAPSHOTS, epoch=bounds.epoch)
        made = [_made(event) for event in batch.events if event.offset <= high]
        if made and made[0] <= moment:
            low = middle
        else:
            # Later, or nobody knows: then it is better to begin too early.
            high = middle
    return Offset(low)


def _made(event: Stored) -> float:
    try:
        return parse_rfc3339(_decode(event.raw).time)
    except (msgspec.DecodeError, ValueError):
        return float("inf")
