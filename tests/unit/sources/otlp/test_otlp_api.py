"""The receiver on a real server over a log in memory: what exporters rely on."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.processing import IngestConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import LogClosed, LogFull, LogUnavailable
from hxp_enterprise_llm.event.model import BEGINNING, Event, decode
from hxp_enterprise_llm.event.sources.genai.ledger import Ledger
from hxp_enterprise_llm.event.sources.ingest import Ingest
from hxp_enterprise_llm.event.sources.otlp.answers import JSON, PROTOBUF
from hxp_enterprise_llm.event.sources.otlp.api import routes
from hxp_enterprise_llm.event.sources.otlp.receiver import Receiver
from hxp_enterprise_llm.event.sources.otlp.traces import Traces
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics
from hxp_enterprise_llm.telemetry.otlp_metrics import OtlpMetrics
from tests.unit.security.serving import Answer, Served, serving
from tests.unit.sources.genai.spans import call, made, run
from tests.unit.sources.otlp.recordings import WAYS, recording
from tests.unit.sources.otlp.requests import json_pairs, json_traces, pb_traces, recent, resources

AGED = 400.0
"""Days: the recordings may be as old as this."""


class House:
    """A receiver with its log; `restart` makes it anew over the same log."""

    def __init__(self, directory: Path, *, schemas: dict[str, Any] | None = None, quiet: float = 30.0) -> None:
        self.log = MemoryLog()
        self.clock = SystemClock()
        self.metrics = ProcessingMetrics(CollectorRegistry())
        catalogue = SchemaCatalogue(schemas) if schemas else SchemaCatalogue.load()
        config = IngestConfig(max_age="400d")
        self.ingest = Ingest(self.log, catalogue, config, self.clock, self.metrics)
        self._directory, self._quiet = directory, quiet
        self.make()

    def make(self) -> None:
        self.registry = CollectorRegistry()
        metrics = OtlpMetrics(self.registry)
        self.traces = Traces(
            lambda: Ledger(quiet=self._quiet, max_spans=20_000),
            self.ingest,
            self.log,
            mark=self._directory / "otlp.mark",
            clock=self.clock,
            metrics=metrics,
            sleep=self._sleep,
        )
        self.receiver = Receiver(self.traces, self.ingest, self.clock, metrics, lambda: (86400.0 * AGED, 300.0))

    @staticmethod
    async def _sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / 100)

    async def events(self, *types: str) -> list[Event]:
        found = [decode(stored.raw) for stored in (await self.log.read(BEGINNING, 10_000)).events]
        return [event for event in found if not types or event.type in types]

    async def total(self) -> tuple[int, int]:
        found = [event.data for event in await self.events("llm.request.completed", "llm.usage.corrected")]
        return sum(each.get("input_tokens", 0) for each in found), sum(each.get("output_tokens", 0) for each in found)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    found = House(tmp_path)
    await found.log.open()
    yield found
    await found.log.close()


@pytest.fixture
async def served(house: House) -> AsyncIterator[Served]:
    running = asyncio.create_task(house.traces.run())
    async with serving(routes(house.receiver, BodyBudget(), lambda: 20 * 1024 * 1024)) as found:
        yield found
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def post(served: Served, body: bytes, media: str = JSON, signal: str = "traces", **headers: str) -> Answer:
    return await served.ask("POST", f"/v1/{signal}", body, Content_Type=media, **headers)


@pytest.mark.parametrize(("media", "nothing"), [(JSON, b"{}"), (PROTOBUF, b"")])
@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
async def test_an_empty_request_is_a_success(served: Served, media: str, nothing: bytes, signal: str) -> None:
    answer = await post(served, nothing, media, signal)
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, nothing, media)


@pytest.mark.parametrize("media", [JSON, PROTOBUF])
async def test_success_means_stored(served: Served, house: House, media: str) -> None:
    span = recent(call(1, tokens=(100, 20)))
    answer = await post(served, (json_traces if media == JSON else pb_traces)([span]), media)
    assert (answer.status, answer.body) == (200, b"{}" if media == JSON else b"")
    (event,) = await house.events()
    assert (event.source, event.type) == ("/otlp/shop", "llm.request.completed")
    assert event.id == f"{span.trace.hex()}-{span.span.hex()}"
    assert event.data["input_tokens"] == 100
    assert event.data["latency_ms"] == 250.0


async def test_gzip_is_taken(served: Served, house: House) -> None:
    answer = await post(
        served, gzip.compress(pb_traces([recent(call(1, tokens=(1, 1)))])), PROTOBUF, Content_Encoding="gzip"
    )
    assert answer.status == 200
    assert len(await house.events()) == 1


async def test_a_span_sent_again_is_stored_once(served: Served, house: House) -> None:
    bodies = [pb_traces([recent(call(number, 1, (10, 1))) for number in range(2, 5)])] * 3
    answers = await asyncio.gather(*(post(served, body, PROTOBUF) for body in bodies))
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert await house.total() == (30, 3)
    assert len(await house.events()) == 3


async def test_what_cannot_be_taken_is_told_and_the_rest_is_stored(served: Served, house: House) -> None:
    old, ahead, good = recent(call(1)), recent(call(2)), recent(call(3, tokens=(5, 5)))
    old.end_ns -= 500 * 86400 * 10**9
    ahead.end_ns += 3600 * 10**9
    answer = await post(served, json_traces([old, ahead, good]))
    assert answer.status == 200
    partial = answer.json["partialSuccess"]
    assert partial == {"rejectedSpans": "2", "errorMessage": "its time lies 500 days in the past"}
    assert await house.total() == (5, 5)
    answer = await post(served, pb_traces([ahead]), PROTOBUF)
    found = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert (found.rejected_spans, found.error_message) == (1, "its time lies 0.0417 days in the future")


async def test_an_operators_schema_refuses_single_spans(tmp_path: Path) -> None:
    house = House(tmp_path, schemas={"otel.span": {"properties": {"name": {"const": "allowed"}}}})
    await house.log.open()
    running = asyncio.create_task(house.traces.run())
    spans = [recent(made({}, number=1, name="allowed")), recent(made({}, number=2, name="other"))]
    found = await house.receiver.receive("traces", pb_traces(spans), PROTOBUF)
    assert found.refused == 1
    assert found.reason.startswith("data.name")
    assert [event.data["name"] for event in await house.events()] == ["allowed"]
    running.cancel()


@pytest.mark.parametrize(("media", "body"), [(JSON, b"{"), (PROTOBUF, b"\xff\xff")])
async def test_what_is_no_request_is_400_in_its_own_encoding(served: Served, media: str, body: bytes) -> None:
    answer = await post(served, body, media)
    assert (answer.status, answer.headers["content-type"]) == (400, media)
    assert "retry-after" not in answer.headers
    if media == JSON:
        assert answer.json["code"] == 3
        assert answer.json["message"].endswith("; send an Export request of OTLP 1.x")
    else:
        assert answer.body.startswith(b"\x08\x03\x12")


async def test_a_bomb_is_413(served: Served) -> None:
    bomb = gzip.compress(b"\0" * 30_000_000)
    answer = await post(served, bomb, PROTOBUF, Content_Encoding="gzip")
    assert answer.status == 413
    assert answer.headers["content-type"] == PROTOBUF


@pytest.mark.parametrize(
    "error",
    [LogFull("no space"), LogUnavailable("away", maybe_stored=False), LogClosed()],
    ids=lambda e: type(e).__name__,
)
async def test_what_cannot_be_stored_is_to_be_sent_again(served: Served, house: House, error: Exception) -> None:
    body = pb_traces([recent(call(2, 1, (10, 1)))])
    house.log.fail_next(error)  # type: ignore[arg-type]
    answer = await post(served, body, PROTOBUF)
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.body.startswith(b"\x08\x0e\x12")
    assert (await post(served, body, PROTOBUF)).status == 200
    assert (await post(served, pb_traces([recent(call(1, 0, (10, 1)))]), PROTOBUF)).status == 200
    assert await house.total() == (10, 1)


async def test_what_may_be_stored_is_read_again_before_anything_is_decided(served: Served, house: House) -> None:
    """The answer got lost, the client does not come back: its span counts all the same, and its parent does not."""
    house.log.fail_next(LogUnavailable("away", maybe_stored=True), after_store=True)
    assert (await post(served, pb_traces([recent(call(2, 1, (10, 1)))]), PROTOBUF)).status == 503
    assert (await post(served, pb_traces([recent(call(1, 0, (10, 1)))]), PROTOBUF)).status == 200
    assert await house.total() == (10, 1)


async def test_the_metrics_follow_the_token_rule(served: Served, house: House) -> None:
    spans = [call(1, 0, (10, 1)), call(2, 1, (10, 1)), run(9, 0, (5, 5))]
    other = recent(run(7, 0, (5, 5)))
    other.trace = bytes(15) + b"\1"
    assert (await post(served, pb_traces([*map(recent, spans), other]), PROTOBUF)).status == 200
    await post(served, json_traces([made({}, number=0)]))
    async with asyncio.timeout(10):
        while not house.registry.get_sample_value("citadel_otlp_spans_remembered"):
            await asyncio.sleep(0.01)
    values = {
        name: house.registry.get_sample_value(f"citadel_otlp_{name}")
        for name in ("spans_remembered", "usage_held", "usage_corrections_total", "traces_forgotten_total")
    }
    assert values == {
        "spans_remembered": 4,
        "usage_held": 2,
        "usage_corrections_total": 1,
        "traces_forgotten_total": 0,
    }
    assert house.registry.get_sample_value("citadel_otlp_refused_total", {"signal": "traces"}) == 1


async def test_other_types_of_body_are_415(served: Served) -> None:
    assert (await post(served, b"{}", "text/plain")).status == 415


async def test_requests_that_come_together_are_stored_together(served: Served, house: House) -> None:
    bodies = [pb_traces([recent(call(number, 1, (1, 1)))]) for number in range(2, 60)]
    answers = await asyncio.gather(*(post(served, body, PROTOBUF) for body in bodies))
    assert {answer.status for answer in answers} == {200}
    assert await house.total() == (58, 58)


async def test_held_tokens_survive_a_restart_once(tmp_path: Path) -> None:
    """Killed between the agent's span and the decision: the next process decides, and the one after it not again."""
    house = House(tmp_path, quiet=0.02)
    await house.log.open()
    running = asyncio.create_task(house.traces.run())
    house.traces._settle = lambda: asyncio.sleep(0)  # type: ignore[method-assign]
    await house.receiver.receive("traces", pb_traces([recent(run(1, 0, (300, 60)))]), PROTOBUF)
    running.cancel()
    assert await house.total() == (0, 0)
    for _ in range(3):
        house.make()
        running = asyncio.create_task(house.traces.run())
        async with asyncio.timeout(10):
            while await house.total() == (0, 0):
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await house.total() == (300, 60)


async def test_a_request_waits_for_the_log_to_be_read(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hxp_enterprise_llm.event.sources.otlp.traces.READY_SECONDS", 0.01)
    with pytest.raises(LogUnavailable, match="earlier requests are being read"):
        await house.receiver.receive("traces", pb_traces([recent(call(1))]), PROTOBUF)


@pytest.mark.parametrize("way", WAYS)
async def test_each_token_of_a_recorded_crew_counts_once(way: str, served: Served, house: House) -> None:
    """Four ways to trace the same crew: what the model was asked for, counted by the model itself, is what counts."""
    found = recording(way)
    for request in [*found.requests, *found.requests]:
        answer = await post(served, request, PROTOBUF)
        assert (answer.status, answer.body) == (200, b"")
    assert await house.total() == (found.input, found.output)
    calls = await house.events("llm.request.completed")
    assert len(calls) == found.calls
    assert sum(event.data.get("cached_input_tokens", 0) for event in calls) == found.cached
    assert {event.data["agent"] for event in calls} == {"Lead", "Researcher"}
    (edge,) = await house.events("agent.handoff")
    assert (edge.data["from"], edge.data["to"]) == ("Lead", "Researcher")


async def test_points_and_records(served: Served, house: House) -> None:
    now = str(time.time_ns())
    point = {"timeUnixNano": now, "asInt": "7", "attributes": json_pairs({"gen_ai.token.type": "input"})}
    metric = {"name": "gen_ai.client.token.usage", "unit": "{token}", "sum": {"dataPoints": [point, {"asInt": "1"}]}}
    body = json.dumps(resources("Metrics", "metrics", [metric])).encode()
    for _ in range(2):
        answer = await post(served, body, signal="metrics")
        assert answer.json == {"partialSuccess": {"rejectedDataPoints": "1", "errorMessage": "it has no time"}}
    (event,) = await house.events()
    assert (event.type, event.data["value"], event.data["service"]) == ("otel.metric", 7, "shop")
    assert await house.total() == (0, 0), "tokens of metrics are never added to those of spans"
    formed = {"timeUnixNano": now, "eventName": "hypothesis.formed"}
    formed["attributes"] = json_pairs({"hypothesis": "h-1", "agent": "thinker", "confidence": 0.8})
    plain = {"timeUnixNano": now, "severityText": "INFO", "body": {"stringValue": "hello"}}
    body = json.dumps(resources("Logs", "logRecords", [formed, plain])).encode()
    assert (await post(served, body, signal="logs")).body == b"{}"
    *_, hypothesis, line = await house.events()
    assert (hypothesis.type, hypothesis.data) == (
        "hypothesis.formed",
        {"hypothesis": "h-1", "agent": "thinker", "confidence": 0.8},
    )
    assert (line.type, line.data["body"]) == ("otel.log", "hello")
