"""Both encodings say the same; what is wrong with one span does not keep the others."""

from __future__ import annotations

import json as stdlib
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum

from hxp_enterprise_llm.event.sources.genai.model import Span, SpanEvent
from hxp_enterprise_llm.event.sources.otlp import json, protobuf
from hxp_enterprise_llm.event.sources.otlp.bounds import MAX_ATTRIBUTES, Refused, Undecodable
from tests.unit.sources.genai.spans import NOW_NS, call, made
from tests.unit.sources.otlp.requests import json_traces, pb_pairs, pb_traces, pb_value, resources

VALUES = st.recursive(
    st.text(max_size=20) | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=20), VALUES, max_size=5), st.booleans(), st.integers(0, 7))
def test_both_encodings_are_the_same_spans(attributes: dict[str, Any], failed: bool, parent: int) -> None:
    happened = [SpanEvent("exception", NOW_NS, {"exception.type": "ValueError"})]
    span = made(attributes, parent=parent + 2, failed=failed, message="no" if failed else "", events=happened)
    (ours,) = json.traces(json_traces([span]))
    (theirs,) = protobuf.traces(pb_traces([span]))
    assert isinstance(ours, Span)
    assert ours == theirs
    assert (ours.trace, ours.span, ours.parent, ours.failed) == (span.trace, span.span, span.parent, failed)


def test_empty_requests_are_requests():
    assert list(protobuf.traces(b"")) == list(json.traces(b"{}")) == []
    assert list(json.traces(b'{"resourceSpans":[{"scopeSpans":[{"spans":[]}]},{}],"unknown":{"x":[1]}}')) == []
    assert list(json.metrics(b'{"resourceMetrics":null}')) == list(json.logs(b"{}")) == []


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("traceId", "00" * 16, "traceId has 16 bytes, 16 are needed that are not all 0"),
        ("traceId", "abcd", "traceId has 2 bytes, 16 are needed that are not all 0"),
        ("traceId", "zz", "traceId is no hex"),
        ("spanId", "", "spanId has 0 bytes, 8 are needed that are not all 0"),
        ("parentSpanId", "abcd", "parentSpanId has 2 bytes, 8 are needed"),
        ("endTimeUnixNano", "soon", "endTimeUnixNano is no integer"),
        ("endTimeUnixNano", "9" * 30, "endTimeUnixNano has more than 64 bits"),
        ("startTimeUnixNano", 2**70, "startTimeUnixNano has more than 64 bits"),
        ("attributes", [{"key": "a", "value": {"doubleValue": "much"}}], "doubleValue is no number"),
        ("attributes", [{"key": "a", "value": {"bytesValue": "***"}}], "bytesValue is no base64"),
    ],
)
def test_a_faulty_span_is_refused_and_the_others_are_not(member: str, value: Any, message: str) -> None:
    sent = stdlib.loads(json_traces([call(1), call(2)]))
    sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0][member] = value
    refused, good = json.traces(stdlib.dumps(sent).encode())
    assert isinstance(refused, Refused)
    assert str(refused) == message
    assert isinstance(good, Span)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Input data was truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"kind": "SERVER"}]}]}]}', "Expected `int | null`, got `str`"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [{"key": NaN}]}]}]}]}', "invalid character"),
        (b"\xff\xfe{}", "invalid"),
        (
            b'{"resourceSpans":[{"resource":{"attributes":[{"value":' + b'{"arrayValue":{"values":[' * 100_000,
            "nested too deeply",
        ),
    ],
)
def test_what_is_no_request_in_json_says_where(body: bytes, message: str) -> None:
    with pytest.raises(Undecodable) as caught:
        json.traces(body)
    assert message in str(caught.value)


@pytest.mark.parametrize("body", [b"\x0a", b"\x0a\xff\xff\xff\xff\x0f", b"{}", b"\x0a\x02\x08", b"\xff" * 100])
def test_what_is_no_request_in_protobuf_says_so(body: bytes) -> None:
    with pytest.raises(Undecodable, match="the body is no ExportTraceServiceRequest"):
        protobuf.traces(body)


def test_nested_protobuf_is_bounded():
    """A list in a list in a list, 5,000 deep: refused by the parser, which has a limit of its own."""
    value = b""
    for _ in range(5000):
        inner = b"\x0a" + _varint(len(value)) + value
        value = b"\x2a" + _varint(len(inner)) + inner
    pair = b"\x12" + _varint(len(value)) + value
    attribute = b"\x0a" + _varint(len(pair)) + pair
    resource = b"\x0a" + _varint(len(attribute)) + attribute
    with pytest.raises(Undecodable):
        protobuf.traces(b"\x0a" + _varint(len(resource)) + resource)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def test_attributes_beyond_their_number_are_passed_over():
    span = made({f"a{number}": number for number in range(20_000)})
    for found in (*json.traces(json_traces([span])), *protobuf.traces(pb_traces([span]))):
        assert isinstance(found, Span)
        assert len(found.attributes) == MAX_ATTRIBUTES


def test_long_and_deep_values_are_cut():
    deep: Any = "x"
    for _ in range(20):
        deep = [deep]
    span = made({"long": "y" * 100_000, "deep": deep, "many": list(range(1000))})
    for found in (*json.traces(json_traces([span])), *protobuf.traces(pb_traces([span]))):
        assert isinstance(found, Span)
        assert len(found.attributes["long"]) == 4096
        assert found.attributes["deep"] == [[[["…"]]]]
        assert len(found.attributes["many"]) == 64


def test_points_of_both_encodings():
    figures = HistogramDataPoint(
        time_unix_nano=NOW_NS, count=3, sum=6.0, min=1.0, max=3.0, attributes=pb_pairs({"a": 1})
    )
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.append(Metric(name="tokens", unit="{token}", histogram=Histogram(data_points=[figures])))
    metrics.append(Metric(name="calls", sum=Sum(data_points=[NumberDataPoint(time_unix_nano=NOW_NS, as_int=7)])))
    metrics.append(
        Metric(name="bad", sum=Sum(data_points=[NumberDataPoint(time_unix_nano=NOW_NS, as_double=float("nan"))]))
    )
    metrics.append(Metric(name="none", sum=Sum(data_points=[NumberDataPoint(time_unix_nano=NOW_NS)])))
    metrics.append(Metric(name="nothing at all"))
    theirs = list(protobuf.metrics(request.SerializeToString()))
    point = {"timeUnixNano": str(NOW_NS), "count": "3", "sum": 6, "min": 1, "max": 3.0}
    point["attributes"] = [{"key": "a", "value": {"intValue": 1}}]
    sent = [
        {"name": "tokens", "unit": "{token}", "histogram": {"dataPoints": [point]}},
        {"name": "calls", "sum": {"dataPoints": [{"timeUnixNano": NOW_NS, "asInt": "7"}], "isMonotonic": True}},
        {"name": "bad", "sum": {"dataPoints": [{"timeUnixNano": NOW_NS, "asDouble": "NaN"}]}},
        {"name": "none", "sum": {"dataPoints": [{"timeUnixNano": NOW_NS}]}},
        {"name": "nothing at all"},
    ]
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": sent}]}]}
    ours = list(json.metrics(stdlib.dumps(body).encode()))
    assert ours[:2] == theirs[:2]
    assert ours[0].figures == {"count": 3, "sum": 6.0, "min": 1.0, "max": 3.0}
    assert [str(each) for each in ours[2:]] == [str(each) for each in theirs[2:]]
    assert [str(each) for each in ours[2:]] == ["a point of bad has value nan", "a point of none has no value"]


def test_records_of_both_encodings():
    request = ExportLogsServiceRequest()
    record = LogRecord(
        time_unix_nano=NOW_NS,
        event_name="hypothesis.formed",
        severity_number=9,
        severity_text="INFO",
        body=pb_value({"text": "hello"}),
        attributes=pb_pairs({"hypothesis": "h-1"}),
        trace_id=bytes(range(16)),
        span_id=bytes(range(8)),
    )
    request.resource_logs.add().scope_logs.add().log_records.append(record)
    sent = {
        "observedTimeUnixNano": NOW_NS,
        "eventName": "hypothesis.formed",
        "severityNumber": 9,
        "severityText": "INFO",
        "body": {"kvlistValue": {"values": [{"key": "text", "value": {"stringValue": "hello"}}]}},
        "attributes": [{"key": "hypothesis", "value": {"stringValue": "h-1"}}],
        "traceId": bytes(range(16)).hex(),
        "spanId": bytes(range(8)).hex(),
    }
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [sent]}]}]}
    assert list(json.logs(stdlib.dumps(body).encode())) == list(protobuf.logs(request.SerializeToString()))


def test_a_service_without_a_name_is_called_unknown():
    (found,) = json.logs(stdlib.dumps(resources("Logs", "logRecords", [{"timeUnixNano": 1}], service="")).encode())
    assert found.origin.service == "unknown_service"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 400))
def test_whatever_the_bytes_are_they_are_spans_or_no_request(noise: bytes, at: int) -> None:
    good = pb_traces([call(1, 2, (10, 5))])
    for body in (noise, good[:at] + noise, good[:at] + noise + good[at:]):
        for read in (protobuf.traces, protobuf.metrics, protobuf.logs, json.traces):
            try:
                list(read(body))
            except Undecodable:
                continue


def test_the_parser_is_the_fast_one():
    """Spans are read by protobuf's C parser: a pure-Python one would be hundreds of times slower."""
    from google.protobuf.internal import api_implementation

    assert api_implementation.Type() == "upb"
    assert struct.calcsize("P") == 8
    assert ExportTraceServiceRequest.FromString(b"") == ExportTraceServiceRequest()
