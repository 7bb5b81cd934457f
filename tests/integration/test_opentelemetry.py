"""The real exporters against the real daemon; and the daemon killed while it holds tokens."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from tests.integration.daemon import Daemon
from tests.integration.test_documented_commands import ran
from tests.unit.sources.genai.spans import call, plain, run
from tests.unit.sources.otlp.requests import pb_traces, recent

ROOT = Path(__file__).parents[2]
RESOURCE = Resource.create({"service.name": "shop"})
PROTOBUF = {"Content-Type": "application/x-protobuf"}


async def events(daemon: Daemon, *types: str) -> list[dict[str, Any]]:
    query = {"type": ",".join(types), "limit": "10000"}
    async with aiohttp.ClientSession() as session, session.get(f"{daemon.events}/events", params=query) as answer:
        return (await answer.json())["events"]


async def total(daemon: Daemon) -> tuple[int, int]:
    found = [each["data"] for each in await events(daemon, "llm.request.completed", "llm.usage.corrected")]
    return sum(each.get("input_tokens", 0) for each in found), sum(each.get("output_tokens", 0) for each in found)


async def post(daemon: Daemon, body: bytes) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{daemon.events}/v1/traces", data=body, headers=PROTOBUF) as answer,
    ):
        return answer.status


def trace_a_crew(url: str, compression: Compression, *, simple: bool) -> None:
    """A crew of two agents, each calling a model, by the SDK's own exporter."""
    exporter = OTLPSpanExporter(f"{url}/v1/traces", compression=compression)
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor((SimpleSpanProcessor if simple else BatchSpanProcessor)(exporter))
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span("crew", attributes={"gen_ai.operation.name": "invoke_workflow"}) as crew:
        for name in ("lead", "writer"):
            agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}
            with tracer.start_as_current_span(f"invoke_agent {name}", attributes=agent) as agent_span:
                usage = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20}
                chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", **usage}
                with tracer.start_as_current_span("chat gpt-4o-mini", attributes=chat):
                    pass
                agent_span.set_attributes({"gen_ai.usage.input_tokens": 9_999, "gen_ai.usage.output_tokens": 9_999})
        crew.set_attributes({"gen_ai.usage.input_tokens": 9_999, "gen_ai.usage.output_tokens": 9_999})
    provider.shutdown()


async def test_the_sdks_exporters_are_understood(tmp_path: Path) -> None:
    async with Daemon(tmp_path / "data") as daemon:
        for compression, simple in ((Compression.NoCompression, False), (Compression.Gzip, True)):
            await asyncio.to_thread(trace_a_crew, daemon.events, compression, simple=simple)
        assert await total(daemon) == (400, 80)
        agents = [each["data"]["agent"] for each in await events(daemon, "agent.completed")]
        assert sorted(agents) == ["lead", "lead", "shop", "shop", "writer", "writer"]

        reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{daemon.events}/v1/metrics"))
        meters = MeterProvider([reader], resource=RESOURCE)
        meters.get_meter("tests").create_histogram("gen_ai.client.token.usage", "{token}").record(100)
        await asyncio.to_thread(meters.shutdown)
        (point,) = [each["data"] for each in await events(daemon, "otel.metric") if each["data"]["service"] == "shop"]
        assert (point["name"], point["count"], point["sum"]) == ("gen_ai.client.token.usage", 1, 100)
        assert not [line for line in daemon.output if "ERROR" in line]


async def test_a_daemon_killed_while_it_holds_tokens_counts_them_once(tmp_path: Path) -> None:
    """Agents that alone state tokens: sent, killed at once, started again twice; a late call corrects one of them."""
    config = tmp_path / "event-processing.yaml"
    config.write_text("sources: {otlp: {quiet: 1h}}\n")
    daemon = Daemon(tmp_path / "data", "--processing-config", str(config))
    await daemon.start()
    sent = pb_traces([recent(each) for each in (plain(2, 1), run(1, 0, (300, 60)))])
    assert await post(daemon, sent) == 200
    assert await total(daemon) == (0, 0)
    await daemon.end(signal.SIGKILL)
    config.write_text("sources: {otlp: {quiet: 1s}}\n")
    for _ in range(2):
        await daemon.start()
        assert await post(daemon, sent) == 200
        async with asyncio.timeout(30):
            while await total(daemon) == (0, 0):
                await asyncio.sleep(0.1)
        await daemon.end(signal.SIGKILL)
    await daemon.start()
    try:
        assert await post(daemon, pb_traces([recent(call(3, 2, (250, 50)))])) == 200
        assert await total(daemon) == (250, 50)
        assert len(await events(daemon, "llm.usage.corrected")) == 1
    finally:
        assert await daemon.end() == 0


def documented() -> list[str]:
    """The commands of the page that run as they stand."""
    page = (ROOT / "docs/opentelemetry.md").read_text()
    blocks = re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [block.strip() for block in blocks if "curl " in block]


@pytest.mark.parametrize("command", documented())
async def test_documented_requests_are_taken(command: str, tmp_path: Path) -> None:
    async with Daemon(tmp_path / "data") as daemon:
        assert await ran(command, daemon, tmp_path) == ""
        if "/v1/traces" in command:
            assert await total(daemon) == (412, 96)
