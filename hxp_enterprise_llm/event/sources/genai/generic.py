"""What every event of a span has, and the event of a span that maps to nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from hxp_enterprise_llm.event.sources.genai import names
from hxp_enterprise_llm.event.sources.genai.model import Attributes, Draft, Span
from hxp_enterprise_llm.event.sources.genai.values import NAME_LIMIT, given, number, text
from hxp_enterprise_llm.telemetry.text import clean

KEPT_ATTRIBUTES = 64
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_NO_NAME = "unknown_service"
_PEOPLE = (("user", names.USER), ("session", names.SESSION), ("query", names.QUERY))


def identified(span: Span) -> dict[str, str]:
    """Its place in the trace."""
    place = {"trace_id": span.trace.hex(), "span_id": span.span.hex()}
    if span.parent:
        place["parent_span_id"] = span.parent.hex()
    return place


def whose(span: Span) -> dict[str, str]:
    """Its place, and on whose behalf it ran."""
    place = identified(span)
    if service := service_of(span):
        place["service"] = service
    for name, aliases in _PEOPLE:
        if value := text(span.attributes, aliases):
            place[name] = value
    return place


def service_of(span: Span) -> str:
    """Name of the service, empty when it has none."""
    return "" if span.origin.service.startswith(_NO_NAME) else span.origin.service


def agent_of(span: Span) -> str:
    """The agent that it names; empty when it names none."""
    return text(span.attributes, names.AGENT)


def failure_of(span: Span) -> tuple[str, str]:
    """What went wrong and its class, of a span that failed."""
    thrown = next((event.attributes for event in span.events if event.name == "exception"), {})
    kind = text(span.attributes, names.ERROR) or text(thrown, names.ERROR)
    message = clean(span.message, NAME_LIMIT) or text(thrown, ("exception.message",))
    return message or kind or "failed", kind


def generic(span: Span) -> Draft:
    """The event `otel.span`."""
    data: dict[str, Any] = {
        "name": clean(span.name) or "unnamed",
        "kind": _KINDS[span.kind] if 0 <= span.kind < len(_KINDS) else _KINDS[0],
        "duration_ms": span.duration_ms,
        "failed": span.failed,
    }
    data |= whose(span) | given(agent=agent_of(span), scope=clean(span.origin.scope))
    if span.failed:
        data["error"], kind = failure_of(span)
        data |= given(error_class=kind)
    data["attributes"] = kept(span.attributes)
    return Draft("otel.span", data, "", span.end_ns)


def kept(attributes: Mapping[str, Any]) -> Attributes:
    """The attributes that go into an event: flat, short, 64 at most, and no prompts and answers."""
    found: Attributes = {}
    for name, value in attributes.items():
        if (shown := _shown_name(name)) is not None:
            if len(found) == KEPT_ATTRIBUTES:
                break
            found[shown] = _shown(value)
    return found


@lru_cache(maxsize=1024)
def _shown_name(name: str) -> str | None:
    """A name as it goes into an event; None for content. Spans of a kind share their names."""
    return None if name.startswith(names.CONTENT) else clean(name, 128)


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value, NAME_LIMIT)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return value if number(value) is not None else str(value)
    if isinstance(value, list):
        return list(map(_shown, _plain(value)))
    return clean(str(value), NAME_LIMIT)


def _plain(values: list[Any]) -> Iterator[Any]:
    """The first sixteen values; what is nested further is shown as text."""
    for value in values[:16]:
        yield str(value) if isinstance(value, list | dict) else value
