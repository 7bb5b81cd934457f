"""Drafts into the log, through the same ingest as every event. One event that is refused does not keep the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.event.log.model import Appended
from hxp_enterprise_llm.event.model import Encoded, rfc3339
from hxp_enterprise_llm.event.sources.faults import Rejected
from hxp_enterprise_llm.event.sources.genai.model import Draft, Origin
from hxp_enterprise_llm.event.sources.genai.recall import SOURCE
from hxp_enterprise_llm.event.sources.ingest import Ingest

WAY = "otlp"
"""Label of this way in."""
_encode = msgspec.json.Encoder().encode


class Stored(NamedTuple):
    """What became of events, in their order: the offset of each, None where it was refused; and why the first was."""

    offsets: list[int | None]
    reason: str


class Made(NamedTuple):
    """An event as it is handed to the ingest, and its data."""

    event: Encoded
    data: dict[str, Any]


def make(draft: Draft, origin: Origin | str, id: str, now_ns: int) -> Made:
    """The event of a draft. One without a time of its own happened now."""
    service = origin if isinstance(origin, str) else origin.service
    source = SOURCE + service
    event = {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": draft.type,
        "time": _text_of(draft.ns or now_ns),
        "data": draft.data,
    }
    return Made(Encoded(source, id, draft.type, _encode(event)), draft.data)


def _text_of(ns: int) -> str:
    """RFC 3339 in milliseconds. Spans of a request share their seconds, which take most of the work."""
    second, rest = divmod(ns, 10**9)
    return f"{_second(second)}.{rest // 10**6:03d}Z"


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return rfc3339(second)[:-5]


async def store(ingest: Ingest, events: Sequence[Made]) -> Stored:
    """Append events; answers after the commit. Raises what the log's append raises, and Interrupted."""
    if not events:
        return Stored([], "")
    try:
        return Stored([each.offset for each in await _accept(ingest, events)], "")
    except Rejected:
        # An operator's schema of a type asks for more than we know. Repeats of what is stored already are recognised.
        return await _one_by_one(ingest, events)


async def _accept(ingest: Ingest, events: Sequence[Made]) -> list[Appended]:
    encoded, datas = zip(*events, strict=True)
    return await ingest.accept_made(encoded, datas, source=SOURCE, way=WAY)


async def _one_by_one(ingest: Ingest, events: Sequence[Made]) -> Stored:
    found = await asyncio.gather(*(_accept(ingest, [event]) for event in events), return_exceptions=True)
    offsets: list[int | None] = []
    reasons = []
    for outcome in found:
        if isinstance(outcome, Rejected):
            reasons.append("; ".join(f"{fault.path}: {fault.message}" for fault in outcome.faults))
            offsets.append(None)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            offsets.append(outcome[0].offset)
    return Stored(offsets, reasons[0] if reasons else "")
