"""Spans a second through the OTLP receiver: `python -m tests.performance.bench_otlp`.

In one process on one core, without disk and sockets: requests of 512 spans to events in a log in memory, with what the
stages take and the profile's five dearest functions. End to end: durable spans a second of the daemon that ships, over
HTTP, from a generator of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.processing import IngestConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.sources.genai.ledger import Ledger
from hxp_enterprise_llm.event.sources.genai.reading import read_span
from hxp_enterprise_llm.event.sources.ingest import Ingest
from hxp_enterprise_llm.event.sources.otlp import json as json_wire
from hxp_enterprise_llm.event.sources.otlp import protobuf
from hxp_enterprise_llm.event.sources.otlp.answers import JSON, PROTOBUF
from hxp_enterprise_llm.event.sources.otlp.receiver import Receiver
from hxp_enterprise_llm.event.sources.otlp.traces import Traces
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.runtime.collecting import collect_seldom
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics
from hxp_enterprise_llm.telemetry.otlp_metrics import OtlpMetrics
from tests.performance.bench_ingest_http import ROOT, daemon
from tests.performance.spans import SPANS, request

REQUESTS = 40


async def received(bodies: list[bytes], media: str) -> float:
    """Seconds to take these requests, in this process."""
    clock, log = SystemClock(), MemoryLog()
    await log.open()
    ingest = Ingest(log, SchemaCatalogue.load(), IngestConfig(), clock, ProcessingMetrics(CollectorRegistry()))
    metrics = OtlpMetrics(CollectorRegistry())
    with tempfile.TemporaryDirectory() as place:
        traces = Traces(
            lambda: Ledger(quiet=30, max_spans=200_000),
            ingest,
            log,
            mark=Path(place) / "mark",
            clock=clock,
            metrics=metrics,
        )
        receiver = Receiver(traces, ingest, clock, metrics, lambda: (30 * 86400.0, 300.0))
        running = asyncio.create_task(traces.run())
        await asyncio.sleep(0.05)
        begun = time.process_time()
        for body in bodies:
            assert not (await receiver.receive("traces", body, media)).refused
        seconds = time.process_time() - begun
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return seconds


def rate(run: Callable[[], object], spans: int) -> str:
    """Spans a second of CPU time, the best of three."""
    seconds = []
    for _ in range(3):
        begun = time.process_time()
        run()
        seconds.append(time.process_time() - begun)
    return f"{spans / min(seconds):>10,.0f} spans/s"


def stages() -> None:
    bodies = [request(number, "protobuf") for number in range(REQUESTS)]
    texts = [request(number, "json") for number in range(REQUESTS)]
    spans = [span for body in bodies for span in protobuf.traces(body)]
    count = len(spans)
    print(f"{count:,} spans of {sum(map(len, bodies)) / count:,.0f} bytes, in requests of {SPANS}; one core")
    print("protobuf to spans  ", rate(lambda: [list(protobuf.traces(body)) for body in bodies], count))
    print("JSON to spans      ", rate(lambda: [list(json_wire.traces(body)) for body in texts], count))
    print("spans to events    ", rate(lambda: [read_span(span) for span in spans], count))
    readings = [read_span(span) for span in spans]
    print("token rule         ", rate(lambda: Ledger(quiet=30, max_spans=200_000).take(readings, 0.0), count))
    for name, sent, media in (("protobuf", bodies, PROTOBUF), ("JSON", texts, JSON)):
        best = min(asyncio.run(received(sent, media)) for _ in range(3))
        print(f"all of it, {name:<8}", f"{count / best:>10,.0f} spans/s")
    profiled = cProfile.Profile(time.process_time)
    profiled.runcall(lambda: asyncio.run(received(bodies, PROTOBUF)))
    pstats.Stats(profiled).sort_stats("tottime").print_stats(5)


def end_to_end() -> None:
    for connections in (1, 8):
        with daemon(ROOT) as (port, process):
            command = [sys.executable, "-m", "tests.performance.spans", str(port), str(connections), str(REQUESTS * 2)]
            before = process.cpu_times()
            found = json.loads(subprocess.check_output(command, cwd=ROOT, timeout=120))
            after = process.cpu_times()
        used = after.user + after.system - before.user - before.system
        print(
            f"durable, over HTTP, {connections} connections: {found['spans'] / found['seconds']:,.0f} spans/s,"
            f" {1e6 * used / found['spans']:.1f} us of CPU a span in the daemon"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stages", action="store_true", help="without the daemon")
    asked, _ = parser.parse_known_args()
    collect_seldom()
    stages()
    if not asked.stages:
        end_to_end()


if __name__ == "__main__":
    main()
