"""OTLP requests of every signal, in both encodings, all the way to the events that they become."""

from __future__ import annotations

import itertools
import json as stdlib
from collections.abc import Callable, Iterator
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint, Summary, SummaryDataPoint

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.sources.decode import Terms, decode_item
from hxp_enterprise_llm.event.sources.genai.ledger import Ledger
from hxp_enterprise_llm.event.sources.genai.metrics import point_id, read_point, read_record, record_id
from hxp_enterprise_llm.event.sources.genai.model import Point, Record, Span, SpanEvent
from hxp_enterprise_llm.event.sources.genai.reading import read_span
from hxp_enterprise_llm.event.sources.genai.recall import event_id, recalled
from hxp_enterprise_llm.event.sources.otlp import json, protobuf
from hxp_enterprise_llm.event.sources.otlp.answers import Signal
from hxp_enterprise_llm.event.sources.otlp.bounds import Undecodable
from hxp_enterprise_llm.event.sources.otlp.checks import times
from hxp_enterprise_llm.event.sources.otlp.receiver import sifted
from hxp_enterprise_llm.event.sources.otlp.storing import make
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from tests.fuzz import words
from tests.fuzz.campaign import Target
from tests.unit.sources.genai.spans import call, made, run
from tests.unit.sources.otlp.recordings import WAYS, recording
from tests.unit.sources.otlp.requests import json_pairs, json_traces, pb_pairs, pb_traces, resources

AGE, FUTURE = 30 * 86400.0, 300.0
WORDS = (
    b'"intValue":"9223372036854775808"',
    b'"doubleValue":"-Infinity"',
    b'{"arrayValue":{"values":[',
    b'{"kvlistValue":{"values":[',
    b'"traceId":"00000000000000000000000000000000"',
    b'"endTimeUnixNano":"-1"',
    b'"openinference.span.kind"',
    b'"db.system"',
    b'"gen_ai.operation.name"',
    *words.JSON_WORDS,
)


NOW = 1_796_050_000.0
"""A day after the recordings."""


def terms() -> Terms:
    return Terms(NOW, rfc3339(NOW), "/otlp", itertools.count().__str__, FUTURE, AGE)


def targets() -> Iterator[Target]:
    """Six of them."""
    ns = int(NOW * 1e9)
    seeds: dict[Signal, tuple[tuple[bytes, ...], tuple[bytes, ...]]] = {
        "traces": _traces(ns),
        "metrics": _metrics(ns),
        "logs": _logs(ns),
    }
    for signal, (binary, texts) in seeds.items():
        for wire, inputs, vocabulary in ((protobuf, binary, ()), (json, texts, WORDS)):
            name = f"OTLP {signal}, {wire.__name__.rpartition('.')[2]}"
            yield Target(name, _run(getattr(wire, signal)), (Undecodable,), inputs, vocabulary, 0.5)


def _run(read: Callable[[bytes], Iterator[Any]]) -> Callable[[bytes], object]:
    catalogue = SchemaCatalogue.load()

    def run(data: bytes) -> object:
        known = terms()
        good, why = sifted(list(read(data)), times(NOW, AGE, FUTURE))
        for raw in _events(good, int(NOW * 1e9)):
            found = decode_item(raw, known)
            assert catalogue.check(found.event.type, found.data) == (), found.event.type
        return len(good), len(why) > 0

    return run


def _events(good: list[Span | Point | Record], now: int) -> Iterator[bytes]:
    """What is stored, as the ingest is handed it. A ledger that reads it comes to the same memory."""
    spans = [each for each in good if isinstance(each, Span)]
    ledger, again = Ledger(quiet=0, max_spans=1000), Ledger(quiet=0, max_spans=1000)
    entries = ledger.take([read_span(span) for span in spans], 0)
    for offset, entry in enumerate([*entries, *ledger.settle(1)], 1):
        raw = make(entry.draft, "shop", event_id(entry.trace, entry.span, entry.draft.suffix), now).event.raw
        if (found := recalled(raw)) is not None:
            again.recall(found, offset, 0)
        yield raw
    assert again.spans == ledger.spans
    assert [entry.draft.type for entry in again.outstanding()] == []
    for each in good:
        if isinstance(each, Point):
            yield make(read_point(each), each.origin, point_id(each), now).event.raw
        elif isinstance(each, Record):
            yield make(read_record(each), each.origin, record_id(each), now).event.raw


def _traces(ns: int) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    happened = [SpanEvent("hypothesis.formed", ns, {"hypothesis": "h", "confidence": 0.5})]
    spans = [
        call(3, 2, (10, 5)),
        call(2, 1, (10, 5)),
        run(1, 0, (10, 5)),
        made({"db.system": "redis", "hxp.memory.hit": True}, number=4, events=happened),
        made({"openinference.span.kind": "RETRIEVER", "retrieval.documents.0.document.id": "d"}, number=5, failed=True),
    ]
    for span in spans:
        span.start_ns, span.end_ns = ns - 10**9, ns
    few = [[spans[0]], spans[1:3], spans[3:]]
    recorded = [recording(way).requests[0] for way in WAYS]
    return (*map(pb_traces, few), *recorded, b""), (*map(json_traces, few), b"{}")


def _metrics(ns: int) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.append(Metric(name="m", gauge=Gauge(data_points=[NumberDataPoint(time_unix_nano=ns, as_double=0.5)])))
    metrics.append(Metric(name="s", summary=Summary(data_points=[SummaryDataPoint(time_unix_nano=ns, count=2, sum=3)])))
    point = {"timeUnixNano": str(ns), "count": "3", "sum": 6, "min": 1, "attributes": json_pairs({"a": [1, {"b": 2}]})}
    body = resources("Metrics", "metrics", [{"name": "m", "histogram": {"dataPoints": [point]}}])
    return (request.SerializeToString(),), (stdlib.dumps(body).encode(),)


def _logs(ns: int) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    request = ExportLogsServiceRequest()
    record = LogRecord(time_unix_nano=ns, event_name="hypothesis.formed", attributes=pb_pairs({"hypothesis": "h"}))
    request.resource_logs.add().scope_logs.add().log_records.append(record)
    sent = {"timeUnixNano": ns, "eventName": "x", "body": {"stringValue": "hello"}, "severityNumber": 9}
    return (request.SerializeToString(),), (stdlib.dumps(resources("Logs", "logRecords", [sent])).encode(),)
