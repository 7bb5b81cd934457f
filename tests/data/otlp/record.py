"""Records what the four ways to trace a CrewAI crew send by OTLP, with a local fake model; they lie beside this file.

Run it in an environment of its own, which the project does not need otherwise:

    python -m venv scratch
    scratch/bin/pip install crewai openai opentelemetry-exporter-otlp-proto-http opentelemetry-instrumentation-crewai \
        opentelemetry-instrumentation-openai openinference-instrumentation-crewai openinference-instrumentation-openai
    for way in native openllmetry openinference openinference_events; do
        scratch/bin/python tests/data/otlp/record.py $way tests/data/otlp/$way.json
    done

A lead delegates to a researcher, who calls a tool; then the lead answers. The fake model counts what it is asked: these
are the true tokens, each call's figures are its own, so that a call counted twice shows.
"""

from __future__ import annotations

import base64
import gzip
import importlib.metadata
import json
import os
import sys
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PACKAGES = {
    "native": ["crewai"],
    "openllmetry": ["crewai", "opentelemetry-instrumentation-crewai", "opentelemetry-instrumentation-openai"],
    "openinference": ["crewai", "openinference-instrumentation-crewai", "openinference-instrumentation-openai"],
    "openinference_events": ["crewai", "openinference-instrumentation-crewai"],
}


class Peer(ThreadingHTTPServer):
    """The fake model and the collector in one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[dict[str, int]] = []
        self.received: list[bytes] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Peer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/v1/traces"):
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            self.server.received.append(body)
            return self.answer(b"", "application/x-protobuf")
        return self.answer(json.dumps(self.complete(json.loads(body))).encode(), "application/json")

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def complete(self, asked: dict) -> dict:
        number = len(self.server.calls) + 1
        tokens = {"input": 100 + 7 * number, "output": 10 + 3 * number, "cached": number}
        self.server.calls.append(tokens)
        tool = choose(asked)
        message = {"role": "assistant", "content": None if tool else "Final Answer: the key is rotated by `hxp keys`."}
        if tool:
            message["tool_calls"] = [{"id": f"call_{number}", "type": "function", "function": tool}]
        return {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 1764000000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if tool else "stop"}],
            "usage": {
                "prompt_tokens": tokens["input"],
                "completion_tokens": tokens["output"],
                "total_tokens": tokens["input"] + tokens["output"],
                "prompt_tokens_details": {"cached_tokens": tokens["cached"]},
            },
        }

    def log_message(self, *_: object) -> None:
        """Quiet."""


def choose(asked: dict) -> dict | None:
    """The tool that the model calls, once for each agent."""
    if any(message["role"] == "tool" for message in asked["messages"]):
        return None
    names = [tool["function"]["name"] for tool in asked.get("tools", [])]
    for name in names:
        if "delegate" in name.lower():
            work = {"task": "Find how keys are rotated", "context": "runbooks", "coworker": "Researcher"}
            return {"name": name, "arguments": json.dumps(work)}
    return {"name": names[0], "arguments": json.dumps({"topic": "key rotation"})} if names else None


def crew(peer: Peer):
    from crewai import LLM, Agent, Crew, Task
    from crewai.tools import tool

    @tool("look_up_runbook")
    def look_up_runbook(topic: str) -> str:
        """Look up the runbook of a topic."""
        return f"runbook of {topic}: run hxp keys new"

    def model() -> LLM:
        return LLM(model="openai/gpt-4o-mini", base_url=f"{peer.url}/v1", api_key="none")

    lead = Agent(role="Lead", goal="Answer", backstory="You lead.", llm=model(), allow_delegation=True)
    researcher = Agent(role="Researcher", goal="Find", backstory="You search.", llm=model(), tools=[look_up_runbook])
    task = Task(description="Tell how keys are rotated", expected_output="One sentence", agent=lead)
    return Crew(name="support", agents=[lead, researcher], tasks=[task])


def provider(peer: Peer):
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    made = TracerProvider(resource=Resource.create({"service.name": "crew-support"}))
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{peer.url}/v1/traces")))
    trace.set_tracer_provider(made)
    return made


def run(way: str, peer: Peer) -> None:
    if way == "native":
        from crewai.telemetry.tracing import telemetry_session
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        with telemetry_session("k-1", "support", exporters=[OTLPSpanExporter(f"{peer.url}/v1/traces")]):
            crew(peer).kickoff()
        return
    tracing = provider(peer)
    with ExitStack() as stack:
        for instrumentor, options in instrumentors(way):
            instrumentor.instrument(tracer_provider=tracing, **options)
            stack.callback(instrumentor.uninstrument)
        crew(peer).kickoff()
        from crewai.events import crewai_event_bus

        crewai_event_bus.flush()
    tracing.force_flush()


def instrumentors(way: str):
    if way == "openllmetry":
        from opentelemetry.instrumentation.crewai import CrewAIInstrumentor
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        return [(CrewAIInstrumentor(), {}), (OpenAIInstrumentor(), {})]
    from openinference.instrumentation.crewai import CrewAIInstrumentor as Crews

    if way == "openinference_events":
        return [(Crews(), {"use_event_listener": True, "create_llm_spans": True})]
    from openinference.instrumentation.openai import OpenAIInstrumentor as OpenAI

    return [(Crews(), {}), (OpenAI(), {})]


def main() -> None:
    way, place = sys.argv[1:]
    os.environ |= {
        "CREWAI_DISABLE_TELEMETRY": "true",
        "CREWAI_TRACING_ENABLED": "false",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    peer = Peer()
    run(way, peer)
    truth = {name: sum(call[name] for call in peer.calls) for name in ("input", "output", "cached")}
    recording = {
        "recorded_with": {name: importlib.metadata.version(name) for name in PACKAGES[way]},
        "truth": {"calls": len(peer.calls), **truth},
        "requests": [base64.b64encode(gzip.compress(body, mtime=0)).decode() for body in peer.received],
    }
    Path(place).write_text(json.dumps(recording, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{way} {recording['truth']} {len(peer.received)} requests\n")


if __name__ == "__main__":
    main()
