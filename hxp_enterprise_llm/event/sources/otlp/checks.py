"""What both encodings check in the same words."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from hxp_enterprise_llm.event.sources.genai.model import Attributes, Origin, Point
from hxp_enterprise_llm.event.sources.otlp.bounds import MAX_TEXT, Refused
from hxp_enterprise_llm.telemetry.text import clean

SERVICE_LIMIT = 128
_TRACE, _SPAN = 16, 8


class Times(NamedTuple):
    """Between which nanoseconds since 1970 an event's time may lie, and now."""

    oldest: int
    now: int
    newest: int


def times(now: float, max_age: float, max_future: float) -> Times:
    """The bounds around `now`; everything in seconds."""
    return Times(int((now - max_age) * 1e9), int(now * 1e9), int((now + max_future) * 1e9))


def checked_time(ns: int, bounds: Times) -> None:
    """Raises Refused when an event of that time would not be taken."""
    if ns <= 0:
        raise Refused("it has no time")
    if ns < bounds.oldest:
        raise Refused(f"its time lies {_days(bounds.now - ns)} days in the past")
    if ns > bounds.newest:
        raise Refused(f"its time lies {_days(ns - bounds.now)} days in the future")


def _days(ns: int) -> str:
    return f"{ns / 86400e9:,.3g}"


def checked_ids(trace: bytes, span: bytes, parent: bytes) -> tuple[bytes, bytes, bytes]:
    """The ids of a span; the parent's is empty for a root. Raises Refused."""
    if len(trace) != _TRACE or not any(trace):
        raise Refused(f"traceId has {len(trace)} bytes, 16 are needed that are not all 0")
    if len(span) != _SPAN or not any(span):
        raise Refused(f"spanId has {len(span)} bytes, 8 are needed that are not all 0")
    if len(parent) not in (0, _SPAN):
        raise Refused(f"parentSpanId has {len(parent)} bytes, 8 are needed")
    return trace, span, parent if any(parent) and parent != span else b""


def origin_of(resource: Attributes, scope: str) -> Origin:
    """Who sent it; a service without a name is called as the conventions say."""
    name = resource.get("service.name")
    service = clean(name, SERVICE_LIMIT) if isinstance(name, str) and name else "unknown_service"
    return Origin(service, scope[:MAX_TEXT], resource)


def checked_severity(number: int) -> int:
    """The severity of a record, 1 to 24; 0 for any other number."""
    return number if 0 < number <= 24 else 0


def checked_point(
    origin: Origin, name: str, unit: str, kind: Any, ns: int, attributes: Attributes, figures: dict[str, Any]
) -> Point:
    """A data point. Raises Refused for one without a name or a figure, or with one that is no number."""
    if not name:
        raise Refused("a metric has no name")
    figures = {each: value for each, value in figures.items() if value is not None}
    if not figures:
        raise Refused(f"a point of {clean(name, 64)} has no value")
    for each, value in figures.items():
        if not math.isfinite(value) or abs(value) >= 2**63 or (each == "count" and value < 0):
            raise Refused(f"a point of {clean(name, 64)} has {each} {value}")
    return Point(
        origin=origin,
        name=name[:MAX_TEXT],
        unit=unit[:MAX_TEXT],
        kind=kind,
        ns=ns,
        attributes=attributes,
        figures=figures,
    )
