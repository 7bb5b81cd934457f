"""Look-ups in memory and knowledge as events. What is not known, hit or miss, is not made up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Literal, NamedTuple

import msgspec

from hxp_enterprise_llm.event.sources.genai import names
from hxp_enterprise_llm.event.sources.genai.generic import agent_of, service_of, whose
from hxp_enterprise_llm.event.sources.genai.model import Draft, Reading, Span
from hxp_enterprise_llm.event.sources.genai.values import given, number, parsed, text, truth, whole

MOST_ITEMS = 50
"""Documents of one look-up that become events."""
MEMORY_TIER = "chroma"
"""Tier of a memory that does not say what it is kept in: such stores search by meaning."""

_WRITES = re.compile(r"^(set|insert|update|upsert|add|create|hset|mset|setex|lpush|rpush|put|save|write|replace)", re.I)
_DELETES = re.compile(r"^(del|remove|unlink|drop|expire)", re.I)
_DOCUMENT = re.compile(r"^(?:retrieval\.documents|reranker\.output_documents)\.(\d{1,4})\.document\.(id|score)$")

Access = Literal["read", "write", "delete"]


class Item(NamedTuple):
    """Something that a look-up found."""

    id: str
    score: float | None


def memory(span: Span) -> Reading | None:
    """An operation of an agent's memory."""
    operation = str(span.attributes["gen_ai.operation.name"])
    access: Access = "read" if operation == "search_memory" else "delete" if "delete" in operation else "write"
    return _access(span, _tier(span) or MEMORY_TIER, access)


def database(span: Span) -> Reading | None:
    """An operation of a store that is a tier of memory; a search by meaning has items as well."""
    tier, name = _tier(span), text(span.attributes, names.OPERATION) or span.name
    if not tier:
        return None
    access: Access = "write" if _WRITES.match(name) else "delete" if _DELETES.match(name) else "read"
    reading = _access(span, tier, access)
    items = _found(span)
    if reading and items:
        reading.more = list(_items(span, items, tier))
    return reading


def _tier(span: Span) -> str:
    said = text(span.attributes, ("hxp.memory.tier", *names.DATABASE)).lower()
    return names.TIERS.get(said, "")


def _access(span: Span, tier: str, access: Access) -> Reading | None:
    hit, rows = _hit(span), _rows(span)
    if hit is None:
        if access == "read":
            # Hit or miss is not told: a rate made of guesses would be worse than none.
            return None
        hit = not span.failed
    data = {"tier": tier, "hit": hit, "latency_ms": span.duration_ms, "operation": access}
    data |= given(
        key=text(span.attributes, ("gen_ai.memory.record.id", "gen_ai.memory.query.text", "db.query.summary")),
        agent=agent_of(span),
        items_retrieved=rows if access == "read" else None,
    )
    return Reading(span=span, main=Draft("memory.tier.access", data | whose(span), "", span.end_ns))


def _hit(span: Span) -> bool | None:
    said = truth(span.attributes, names.HIT)
    if said is not None:
        return said
    if span.failed:
        return False
    rows = _rows(span)
    return None if rows is None else rows > 0


def _rows(span: Span) -> int | None:
    rows = whole(span.attributes, names.ROWS)
    results = sum(event.name == "db.query.result" for event in span.events)
    return rows if rows is not None or not results else results


def retrieval(span: Span) -> Reading | None:
    """A search of knowledge: an event for each item, or the question that found none."""
    items = _documents(span.attributes)
    if items is None:
        items = _found(span) or None
    if items is None or span.failed:
        return None
    if items:
        main, *more = _items(span, items, _tier(span))
        return Reading(span=span, main=msgspec.structs.replace(main, suffix=""), more=more)
    question = text(span.attributes, names.QUESTION)
    if not question:
        return None
    data = {"query": question} | given(collection=text(span.attributes, names.COLLECTION), agent=_asker(span))
    return Reading(span=span, main=Draft("knowledge.miss", whose(span) | data, "", span.end_ns))


def _asker(span: Span) -> str:
    return agent_of(span) or service_of(span)


def _items(span: Span, items: list[Item], tier: str) -> Iterator[Draft]:
    common = given(
        agent=_asker(span),
        collection=text(span.attributes, names.COLLECTION),
        tier=tier,
        latency_ms=span.duration_ms,
        **whose(span) | given(query=text(span.attributes, names.QUESTION)),
    )
    for at, item in enumerate(items):
        data = {"item": item.id, **common} | given(score=item.score)
        yield Draft("knowledge.access", data, f"-item{at}", span.end_ns)


def _documents(found: Mapping[str, Any]) -> list[Item] | None:
    """The documents that are listed; None when it is not told whether there were any."""
    listed = parsed(found.get("gen_ai.retrieval.documents"))
    if isinstance(listed, list):
        return _listed(each for each in map(parsed, listed[:MOST_ITEMS]) if isinstance(each, dict))
    flat: dict[int, dict[str, Any]] = {}
    for name, value in found.items():
        if match := _DOCUMENT.match(name):
            flat.setdefault(int(match[1]), {})[match[2]] = value
    return _listed(flat[at] for at in islice(sorted(flat), MOST_ITEMS)) if flat else None


def _listed(documents: Iterable[Mapping[str, Any]]) -> list[Item]:
    return [Item(id, number(each.get("score"))) for each in documents if (id := text(each, ("id", "document.id")))]


def _found(span: Span) -> list[Item]:
    """Results that OpenLLMetry adds to the span of a vector database as events."""
    results = (event.attributes for event in span.events if event.name == "db.query.result")
    score = "db.query.result.score"
    return [
        Item(id, number(each.get(score)))
        for each in islice(results, MOST_ITEMS)
        if (id := text(each, ("db.query.result.id",)))
    ]
