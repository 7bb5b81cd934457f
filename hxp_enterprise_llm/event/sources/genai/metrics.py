"""Data points and log records as events. Tokens of metrics are never added to those of spans: they say it again."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from hxp_enterprise_llm.event.sources.genai import names
from hxp_enterprise_llm.event.sources.genai.generic import kept
from hxp_enterprise_llm.event.sources.genai.hypotheses import hypothesis
from hxp_enterprise_llm.event.sources.genai.model import Draft, Origin, Point, Record
from hxp_enterprise_llm.event.sources.genai.values import TEXT_LIMIT, given, text
from hxp_enterprise_llm.telemetry.text import clean

_encode = msgspec.json.Encoder(order="deterministic").encode


def point_id(point: Point) -> str:
    """The same whenever the same point is sent."""
    return _digest(point.origin, point.name, point.ns, point.attributes, point.kind)


def record_id(record: Record) -> str:
    """The same whenever the same record is sent."""
    return _digest(record.origin, record.name, record.ns, record.attributes, [str(record.body), record.span.hex()])


def _digest(origin: Origin, *parts: Any) -> str:
    instance = origin.resource.get("service.instance.id", "")
    return blake2b(_encode([origin.service, instance, origin.scope, *parts]), digest_size=16).hexdigest()


def read_point(point: Point) -> Draft:
    """The event `otel.metric`."""
    data = {"name": clean(point.name), "kind": point.kind, **point.figures}
    data |= given(unit=clean(point.unit), service=_service(point.origin), scope=clean(point.origin.scope))
    return Draft("otel.metric", data | {"attributes": kept(point.attributes)}, "", point.ns)


def read_record(record: Record) -> Draft:
    """A hypothesis when it is named so, or else the event `otel.log`."""
    service = _service(record.origin)
    place = given(trace_id=record.trace.hex(), span_id=record.span.hex())
    if made := hypothesis(record.name, record.attributes, text(record.attributes, names.AGENT) or service):
        return Draft(made[0], made[1] | place, "", record.ns)
    body = record.body if isinstance(record.body, str) else "" if record.body is None else str(record.body)
    data: dict[str, Any] = given(
        name=clean(record.name),
        severity=record.severity or None,
        severity_text=clean(record.severity_text),
        body="" if record.name.startswith("gen_ai.") else clean(body, TEXT_LIMIT),
        service=service,
        scope=clean(record.origin.scope),
        **place,
    )
    return Draft("otel.log", data | {"attributes": kept(record.attributes)}, "", record.ns)


def _service(origin: Origin) -> str:
    return "" if origin.service.startswith("unknown_service") else origin.service
