"""A span read: the events that it stands for, and its part in the token rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hxp_enterprise_llm.event.sources.genai import calls, lookups
from hxp_enterprise_llm.event.sources.genai.classify import Kind, kind_of
from hxp_enterprise_llm.event.sources.genai.generic import generic
from hxp_enterprise_llm.event.sources.genai.hypotheses import of_span
from hxp_enterprise_llm.event.sources.genai.model import Reading, Span

_READERS: Mapping[Kind, Callable[[Span], Reading | None]] = {
    "inference": calls.inference,
    "agent": calls.agent,
    "new_agent": calls.new_agent,
    "workflow": calls.workflow,
    "step": calls.step,
    "tool": calls.tool,
    "mcp": calls.mcp,
    "memory": lookups.memory,
    "retrieval": lookups.retrieval,
    "rerank": lookups.retrieval,
    "database": lookups.database,
}


def read_span(span: Span) -> Reading:
    """What a span means. Never fails: what maps to nothing else is `otel.span`."""
    reader = _READERS.get(kind_of(span))
    reading = (reader(span) if reader else None) or Reading(span=span, main=generic(span))
    if span.events:
        reading.more = [*reading.more, *of_span(span)]
    return reading
