"""Tokens and money as a span or a record states them, in whichever vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hxp_enterprise_llm.event.sources.genai import names
from hxp_enterprise_llm.event.sources.genai.model import Usage
from hxp_enterprise_llm.event.sources.genai.values import whole


def usage_of(attributes: Mapping[str, Any]) -> Usage:
    """The tokens that are stated; nothing (false) when none are.

    An input smaller than what is said to have come from and gone into a cache is one of those that leave the cache out
    (Anthropic's own figures): then it is added, as the conventions ask for.
    """
    given, answered = whole(attributes, names.INPUT), whole(attributes, names.OUTPUT)
    total = whole(attributes, names.TOTAL) or 0
    cached, written = whole(attributes, names.CACHED) or 0, whole(attributes, names.CACHE_WRITE) or 0
    if given is None and answered is None:
        return Usage(total_tokens=total)
    if given is None or answered is None:
        known = given or answered or 0
        rest = max(0, total - known)
        given, answered = (known, rest) if answered is None else (rest, known)
    if given < cached + written:
        given += cached + written
    return Usage(given, answered, cached, written, min(answered, whole(attributes, names.REASONING) or 0))


def figures(usage: Usage) -> dict[str, int]:
    """The members of an event that carries tokens; those that are 0 are left out, but for input and output."""
    if usage.total_tokens:
        return {"total_tokens": usage.total_tokens}
    found = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    for name in ("cached_input_tokens", "cache_write_tokens", "reasoning_tokens"):
        if value := getattr(usage, name):
            found[name] = value
    return found


def usage_from(data: Mapping[str, Any]) -> Usage:
    """The tokens of an event that `figures` made, or of its `usage`."""
    read = {name: int(data[name]) for name in Usage.__struct_fields__ if isinstance(data.get(name), int | float)}
    if "input_tokens" in read or "output_tokens" in read:
        read.pop("total_tokens", None)
    return Usage(**read)
