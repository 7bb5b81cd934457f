"""The same requests in both encodings, the JSON written by hand from the protobuf."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from hxp_enterprise_llm.event.sources.genai import model

KEYS = {
    "stringValue": "string_value",
    "boolValue": "bool_value",
    "intValue": "int_value",
    "doubleValue": "double_value",
}


def json_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": list(map(json_value, value))}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": json_pairs(value)}}
    return {"stringValue": value}


def json_pairs(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": json_value(value)} for key, value in values.items()]


def json_traces(spans: Sequence[model.Span], **more: Any) -> bytes:
    """The request in JSON; `more` are further members of each span, or replace them."""
    described = [
        {
            "traceId": each.trace.hex(),
            "spanId": each.span.hex().upper(),
            "parentSpanId": each.parent.hex(),
            "name": each.name,
            "kind": each.kind,
            "startTimeUnixNano": str(each.start_ns),
            "endTimeUnixNano": each.end_ns,
            "attributes": json_pairs(each.attributes),
            "status": {"code": 2, "message": each.message} if each.failed else {},
            "events": [
                {"name": name, "timeUnixNano": str(ns), "attributes": json_pairs(found)}
                for name, ns, found in each.events
            ],
            "flags": 257,
            **more,
        }
        for each in spans
    ]
    return json.dumps(resources("Spans", "spans", described)).encode()


def resources(kind: str, name: str, items: Sequence[Any], service: str = "shop") -> dict[str, Any]:
    """A whole request of one service in JSON."""
    scopes = [{"scope": {"name": "tests", "version": "1"}, name: items}]
    resource = {"attributes": json_pairs({"service.name": service})}
    return {f"resource{kind}": [{"resource": resource, f"scope{kind}": scopes}]}


def pb_value(value: Any) -> AnyValue:
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=map(pb_value, value)))
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=pb_pairs(value)))
    (kind,) = json_value(value)
    return AnyValue(**{KEYS[kind]: value})


def pb_pairs(values: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=pb_value(value)) for key, value in values.items()]


def pb_span(each: model.Span) -> Span:
    return Span(
        trace_id=each.trace,
        span_id=each.span,
        parent_span_id=each.parent,
        name=each.name,
        kind=each.kind,
        start_time_unix_nano=each.start_ns,
        end_time_unix_nano=each.end_ns,
        attributes=pb_pairs(each.attributes),
        status=Status(code=2 if each.failed else 0, message=each.message),
        events=[
            Span.Event(name=name, time_unix_nano=ns, attributes=pb_pairs(found)) for name, ns, found in each.events
        ],
    )


def pb_traces(spans: Sequence[model.Span], service: str = "shop") -> bytes:
    """The request in protobuf."""
    made = ResourceSpans(scope_spans=[ScopeSpans(spans=map(pb_span, spans))])
    made.scope_spans[0].scope.name = "tests"
    made.resource.attributes.extend(pb_pairs({"service.name": service}))
    return ExportTraceServiceRequest(resource_spans=[made]).SerializeToString()


def recent(span: model.Span) -> model.Span:
    """The span as one that ended just now."""
    span.end_ns = time.time_ns()
    span.start_ns = span.end_ns - 250_000_000
    return span
