"""OTLP requests as protobuf."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

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
from hxp_enterprise_llm.event.sources.otlp.pairs import Pairs, plain_spans
from hxp_enterprise_llm.event.sources.otlp.walking import each, points

_FAILED = 2
_NO_STATUS = Status()
_PlainSpans = plain_spans()
Read = Callable[[Any, Origin], Iterator[Any]]


def traces(body: bytes) -> Iterator[Span | Refused]:
    """The spans of a request, and those that cannot be taken. Raises Undecodable before the first one."""
    _parse(ExportTraceServiceRequest, body)
    # All of it is well-formed, so that what is read later cannot fail.
    request: Any = _PlainSpans.FromString(body)
    return _walk(request.resource_spans, "scope_spans", lambda scope, origin: each(scope.spans, origin, _span))


def metrics(body: bytes) -> Iterator[Point | Refused]:
    """The data points of a request."""
    request = _parse(ExportMetricsServiceRequest, body)
    return _walk(request.resource_metrics, "scope_metrics", _points)


def logs(body: bytes) -> Iterator[Record | Refused]:
    """The log records of a request."""
    request = _parse(ExportLogsServiceRequest, body)
    return _walk(request.resource_logs, "scope_logs", lambda scope, origin: each(scope.log_records, origin, _record))


def _parse(kind: type[Message], body: bytes) -> Any:
    try:
        return kind.FromString(body)
    except (DecodeError, RuntimeError, ValueError) as error:
        raise Undecodable(f"the body is no {kind.DESCRIPTOR.name}: {error}") from None


def _walk(resources: Iterable[Any], scopes: str, read: Read) -> Iterator[Any]:
    for resource in resources:
        described = attributes_of(resource.resource.attributes)
        for scope in getattr(resource, scopes):
            yield from read(scope, origin_of(described, scope.scope.name))


def _span(sent: Any, origin: Origin) -> Span:
    trace, span, parent = checked_ids(sent.trace_id, sent.span_id, sent.parent_span_id)
    # Few spans have a status or events: to ask whether there are any is cheaper than to look into what is empty.
    status = sent.status if sent.HasField("status") else _NO_STATUS
    return Span(
        origin=origin,
        trace=trace,
        span=span,
        parent=parent,
        name=sent.name[:MAX_TEXT],
        kind=sent.kind,
        start_ns=sent.start_time_unix_nano,
        end_ns=sent.end_time_unix_nano,
        attributes=_pairs.attributes(sent.attributes),
        failed=status.code == _FAILED,
        message=status.message[:MAX_TEXT],
        events=list(map(_event, islice(sent.events, MAX_EVENTS))) if sent.events else [],
    )


def _event(sent: Any) -> SpanEvent:
    return SpanEvent(sent.name[:MAX_TEXT], sent.time_unix_nano, attributes_of(sent.attributes))


def _record(sent: Any, origin: Origin) -> Record:
    attributes = attributes_of(sent.attributes)
    name = sent.event_name or attributes.get("event.name", "")
    return Record(
        origin=origin,
        ns=sent.time_unix_nano or sent.observed_time_unix_nano,
        name=str(name)[:MAX_TEXT],
        severity=checked_severity(sent.severity_number),
        severity_text=sent.severity_text[:MAX_TEXT],
        body=value_of(sent.body),
        attributes=attributes,
        trace=sent.trace_id if len(sent.trace_id) == 16 else b"",
        span=sent.span_id if len(sent.span_id) == 8 else b"",
    )


def _points(scope: Any, origin: Origin) -> Iterator[Point | Refused]:
    return points(scope.metrics, origin, _data, _point)


def _data(metric: Any) -> Iterator[tuple[str, Any]]:
    kind = metric.WhichOneof("data")
    if kind is not None:
        yield kind, getattr(metric, kind)


def _point(metric: Any, kind: Any, point: Any, origin: Origin) -> Point:
    figures: dict[str, Any] = {}
    if kind in ("gauge", "sum"):
        value = point.WhichOneof("value")
        figures["value"] = None if value is None else getattr(point, value)
    else:
        figures["count"], figures["sum"] = point.count, point.sum
        for name in ("min", "max"):
            if kind != "summary" and point.HasField(name):
                figures[name] = getattr(point, name)
    return checked_point(
        origin, metric.name, metric.unit, kind, point.time_unix_nano, attributes_of(point.attributes), figures
    )


def attributes_of(pairs: Iterable[Any]) -> Attributes:
    """The attributes as plain values, the first of them when there are too many."""
    return {pair.key: _plain(pair.value) for pair in islice(pairs, MAX_ATTRIBUTES)}


def _plain(sent: Any) -> Any:
    """As `value_of`. Nearly all are texts or integers, and what has one is nothing else: to ask takes twice as long."""
    return sent.string_value[:MAX_TEXT] or sent.int_value or value_of(sent)


def value_of(sent: Any, depth: int = 0) -> Any:
    """A value of whichever kind."""
    kind = sent.WhichOneof("value")
    if kind == "string_value":
        return sent.string_value[:MAX_TEXT]
    if kind is None:
        return None
    if kind == "bytes_value":
        return f"{len(sent.bytes_value)} bytes"
    if kind == "array_value":
        return (
            [value_of(each, depth + 1) for each in islice(sent.array_value.values, MAX_ITEMS)]
            if depth < MAX_DEPTH
            else "…"
        )
    if kind == "kvlist_value":
        pairs = islice(sent.kvlist_value.values, MAX_ITEMS)
        return {pair.key: value_of(pair.value, depth + 1) for pair in pairs} if depth < MAX_DEPTH else "…"
    return getattr(sent, kind)


_pairs = Pairs(_plain)
