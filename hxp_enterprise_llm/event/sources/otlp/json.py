"""OTLP requests as JSON: lowerCamelCase, ids in hex, enumerations as integers, 64-bit integers as number or text.

Read by type, so that unknown members are passed over and depth is bounded by the reader.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from hxp_enterprise_llm.event.sources.genai.model import Attributes, Origin, Point, Record, Span, SpanEvent
from hxp_enterprise_llm.event.sources.otlp.bounds import (
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_EVENTS,
    MAX_ITEMS,
    MAX_TEXT,
    Refused,
    Undecodable,
)
from hxp_enterprise_llm.event.sources.otlp.checks import checked_ids, checked_point, checked_severity, origin_of
from hxp_enterprise_llm.event.sources.otlp.walking import each, points

Integer = int | str | None
Double = float | str | None
_FAILED = 2


class _Sent(msgspec.Struct, rename="camel"):
    """A message of OTLP. A member that is null is as one that is missing."""


class _Value(_Sent):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Integer = None
    double_value: Double = None
    array_value: _List | None = None
    kvlist_value: _Pairs | None = None
    bytes_value: str | None = None


class _List(_Sent):
    values: list[_Value] | None = None


class _Pair(_Sent):
    key: str = ""
    value: _Value | None = None


class _Pairs(_Sent):
    values: list[_Pair] | None = None


class _Resource(_Sent):
    attributes: list[_Pair] | None = None


class _Scope(_Sent):
    name: str | None = None


class _Status(_Sent):
    code: int | None = None
    message: str | None = None


class _Happened(_Sent):
    name: str | None = None
    time_unix_nano: Integer = None
    attributes: list[_Pair] | None = None


class _Span(_Sent):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | None = None
    start_time_unix_nano: Integer = None
    end_time_unix_nano: Integer = None
    attributes: list[_Pair] | None = None
    status: _Status | None = None
    events: list[_Happened] | None = None


class _Record(_Sent):
    time_unix_nano: Integer = None
    observed_time_unix_nano: Integer = None
    event_name: str | None = None
    severity_number: int | None = None
    severity_text: str | None = None
    body: _Value | None = None
    attributes: list[_Pair] | None = None
    trace_id: str | None = None
    span_id: str | None = None


class _Point(_Sent):
    time_unix_nano: Integer = None
    as_int: Integer = None
    as_double: Double = None
    count: Integer = None
    sum: Double = None
    min: Double = None
    max: Double = None
    attributes: list[_Pair] | None = None


class _Points(_Sent):
    data_points: list[_Point] | None = None


class _Metric(_Sent):
    name: str | None = None
    unit: str | None = None
    gauge: _Points | None = None
    sum: _Points | None = None
    histogram: _Points | None = None
    exponential_histogram: _Points | None = None
    summary: _Points | None = None


class _ScopeSpans(_Sent):
    scope: _Scope | None = None
    spans: list[_Span] | None = None


class _ScopeMetrics(_Sent):
    scope: _Scope | None = None
    metrics: list[_Metric] | None = None


class _ScopeLogs(_Sent):
    scope: _Scope | None = None
    log_records: list[_Record] | None = None


class _ResourceSpans(_Sent):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None


class _ResourceMetrics(_Sent):
    resource: _Resource | None = None
    scope_metrics: list[_ScopeMetrics] | None = None


class _ResourceLogs(_Sent):
    resource: _Resource | None = None
    scope_logs: list[_ScopeLogs] | None = None


class _Traces(_Sent):
    resource_spans: list[_ResourceSpans] | None = None


class _Metrics(_Sent):
    resource_metrics: list[_ResourceMetrics] | None = None


class _Logs(_Sent):
    resource_logs: list[_ResourceLogs] | None = None


_read_traces = msgspec.json.Decoder(_Traces).decode
_read_metrics = msgspec.json.Decoder(_Metrics).decode
_read_logs = msgspec.json.Decoder(_Logs).decode


def traces(body: bytes) -> Iterator[Span | Refused]:
    """The spans of a request, and those that cannot be taken. Raises Undecodable before the first one."""
    resources = _parse(_read_traces, body).resource_spans
    return _walk(resources, "scope_spans", lambda scope, origin: each(scope.spans, origin, _span))


def metrics(body: bytes) -> Iterator[Point | Refused]:
    """The data points of a request."""
    return _walk(_parse(_read_metrics, body).resource_metrics, "scope_metrics", _points)


def logs(body: bytes) -> Iterator[Record | Refused]:
    """The log records of a request."""
    resources = _parse(_read_logs, body).resource_logs
    return _walk(resources, "scope_logs", lambda scope, origin: each(scope.log_records, origin, _record))


def _parse(read: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return read(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"the body is no OTLP request in JSON: {error}") from None
    except RecursionError:
        raise Undecodable("the body is nested too deeply") from None


def _walk(resources: Iterable[Any] | None, scopes: str, read: Callable[[Any, Origin], Iterator[Any]]) -> Iterator[Any]:
    for resource in resources or ():
        described = attributes_of(resource.resource.attributes if resource.resource else None)
        for scope in getattr(resource, scopes) or ():
            yield from read(scope, origin_of(described, (scope.scope and scope.scope.name) or ""))


def _span(sent: _Span, origin: Origin) -> Span:
    ids = (hexadecimal("traceId", sent.trace_id), hexadecimal("spanId", sent.span_id))
    trace, span, parent = checked_ids(*ids, hexadecimal("parentSpanId", sent.parent_span_id))
    status = sent.status or _Status()
    return Span(
        origin=origin,
        trace=trace,
        span=span,
        parent=parent,
        name=(sent.name or "")[:MAX_TEXT],
        kind=sent.kind or 0,
        start_ns=integer("startTimeUnixNano", sent.start_time_unix_nano),
        end_ns=integer("endTimeUnixNano", sent.end_time_unix_nano),
        attributes=attributes_of(sent.attributes),
        failed=status.code == _FAILED,
        message=(status.message or "")[:MAX_TEXT],
        events=[
            SpanEvent(
                (event.name or "")[:MAX_TEXT],
                integer("timeUnixNano", event.time_unix_nano),
                attributes_of(event.attributes),
            )
            for event in (sent.events or ())[:MAX_EVENTS]
        ],
    )


def _record(sent: _Record, origin: Origin) -> Record:
    attributes = attributes_of(sent.attributes)
    ns = integer("timeUnixNano", sent.time_unix_nano)
    trace, span = hexadecimal("traceId", sent.trace_id), hexadecimal("spanId", sent.span_id)
    return Record(
        origin=origin,
        ns=ns or integer("observedTimeUnixNano", sent.observed_time_unix_nano),
        name=str(sent.event_name or attributes.get("event.name", ""))[:MAX_TEXT],
        severity=checked_severity(sent.severity_number or 0),
        severity_text=(sent.severity_text or "")[:MAX_TEXT],
        body=value_of(sent.body) if sent.body else None,
        attributes=attributes,
        trace=trace if len(trace) == 16 else b"",
        span=span if len(span) == 8 else b"",
    )


def _points(scope: _ScopeMetrics, origin: Origin) -> Iterator[Point | Refused]:
    return points(scope.metrics, origin, _data, _point)


def _data(metric: _Metric) -> Iterator[tuple[str, _Points]]:
    for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary"):
        data: _Points | None = getattr(metric, kind)
        if data is not None:
            yield kind, data


def _point(metric: _Metric, kind: str, point: _Point, origin: Origin) -> Point:
    figures: dict[str, Any] = {}
    if kind in ("gauge", "sum"):
        whole = point.as_int
        figures["value"] = integer("asInt", whole) if whole is not None else double("asDouble", point.as_double)
    else:
        figures["count"] = integer("count", point.count)
        for name in ("sum", "min", "max"):
            figures[name] = double(name, getattr(point, name))
    ns = integer("timeUnixNano", point.time_unix_nano)
    found = attributes_of(point.attributes)
    return checked_point(origin, metric.name or "", metric.unit or "", kind, ns, found, figures)


def hexadecimal(name: str, text: str | None) -> bytes:
    """The bytes of an id. Raises Refused."""
    try:
        return bytes.fromhex(text) if text else b""
    except ValueError:
        raise Refused(f"{name} is no hex") from None


def integer(name: str, sent: Integer) -> int:
    """A 64-bit integer; 0 when it is missing. Raises Refused."""
    try:
        found = int(sent or 0) if not isinstance(sent, str) or len(sent) <= 20 else 2**64
    except ValueError:
        raise Refused(f"{name} is no integer") from None
    if not -(2**63) <= found < 2**64:
        raise Refused(f"{name} has more than 64 bits")
    return found


def double(name: str, sent: Double) -> float | None:
    """A number, which JSON may write as text (`NaN`, `Infinity`). Raises Refused."""
    try:
        return None if sent is None else float(sent)
    except ValueError:
        raise Refused(f"{name} is no number") from None


def attributes_of(pairs: Iterable[_Pair] | None) -> Attributes:
    """The attributes as plain values, the first of them when there are too many."""
    return {pair.key: value_of(pair.value) if pair.value else None for pair in islice(pairs or (), MAX_ATTRIBUTES)}


def value_of(sent: _Value, depth: int = 0) -> Any:
    """A value of whichever kind. Raises Refused."""
    if sent.string_value is not None:
        return sent.string_value[:MAX_TEXT]
    if sent.bool_value is not None:
        return sent.bool_value
    if sent.int_value is not None:
        return integer("intValue", sent.int_value)
    if sent.double_value is not None:
        return double("doubleValue", sent.double_value)
    if sent.bytes_value is not None:
        return f"{_size(sent.bytes_value)} bytes"
    return _nested(sent, depth)


def _nested(sent: _Value, depth: int) -> Any:
    if sent.array_value is None and sent.kvlist_value is None:
        return None
    if depth == MAX_DEPTH:
        return "…"
    if sent.array_value is not None:
        return [value_of(each, depth + 1) for each in islice(sent.array_value.values or (), MAX_ITEMS)]
    pairs = sent.kvlist_value.values if sent.kvlist_value else None
    return {
        pair.key: value_of(pair.value, depth + 1) if pair.value else None for pair in islice(pairs or (), MAX_ITEMS)
    }


def _size(text: str) -> int:
    try:
        return len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise Refused("bytesValue is no base64") from None
