"""The bodies of answers, held against the protobuf classes and the words of the specification."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from hxp_enterprise_llm.event.sources.otlp.answers import JSON, PROTOBUF, status, success

RESPONSES = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
}


@pytest.mark.parametrize("signal", RESPONSES)
def test_whole_success_has_nothing_to_say(signal):
    assert success(signal, PROTOBUF) == b""
    assert success(signal, JSON) == b"{}"


@pytest.mark.parametrize("signal", RESPONSES)
@pytest.mark.parametrize("count", [1, 127, 128, 3_000_000])
def test_partial_success_says_how_many_and_why(signal, count):
    kind, name = RESPONSES[signal]
    found = kind.FromString(success(signal, PROTOBUF, count, "the first: ✗")).partial_success
    assert (getattr(found, name), found.error_message) == (count, "the first: ✗")


def test_partial_success_in_json_has_the_count_as_text():
    assert success("traces", JSON, 3, "no") == b'{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}}'


def test_a_status_is_that_of_google_rpc():
    assert status(503, "full", JSON) == b'{"code":14,"message":"full"}'
    assert status(400, "bad", PROTOBUF) == b"\x08\x03\x12\x03bad"
    assert status(418, "tea", PROTOBUF)[:2] == b"\x08\x02"
