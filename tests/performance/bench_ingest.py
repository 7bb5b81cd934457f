"""Events a second through decoding and validation, one core: `python tests/performance/bench_ingest.py`.

Each figure is the best of several runs over one batch, beside a plain `json.loads` of the same bytes in the same run.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable

from multidict import CIMultiDict
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.processing import IngestConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.sources.forms import split
from hxp_enterprise_llm.event.sources.ingest import Ingest
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics

BATCH, RUNS = 1000, 20
DATA = {"model": "gpt-4o-mini", "latency_ms": 812.5, "input_tokens": 412, "output_tokens": 96, "total_tokens": 508}
NONE: CIMultiDict[str] = CIMultiDict()


def whole_events() -> list[dict[str, object]]:
    now = rfc3339(time.time())
    head = {"specversion": "1.0", "source": "/agents/researcher", "type": "llm.request.completed", "time": now}
    return [head | {"id": uuid.uuid4().hex, "data": DATA} for _ in range(BATCH)]


def best(run: Callable[[], object]) -> float:
    """Events a second of the fastest run."""
    durations = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        durations.append(time.perf_counter() - start)
    return BATCH / min(durations)


def main() -> None:
    loop = asyncio.new_event_loop()
    short = [{"type": "llm.request.completed", "data": DATA}] * BATCH
    bodies = {
        "CloudEvents, compact": json.dumps(whole_events(), separators=(",", ":")).encode(),
        "CloudEvents, spaced": json.dumps(whole_events()).encode(),
        "short form": json.dumps(short).encode(),
    }
    for name, body in bodies.items():
        log = MemoryLog()
        loop.run_until_complete(log.open())
        metrics = ProcessingMetrics(CollectorRegistry())
        ingest = Ingest(log, SchemaCatalogue.load(), IngestConfig(), SystemClock(), metrics)

        def take(body: bytes = body, ingest: Ingest = ingest) -> None:
            loop.run_until_complete(ingest.accept(split(body, "application/json", NONE), source="/bench"))

        reference = best(lambda body=body: json.loads(body))  # type: ignore[misc]
        taken = best(take)
        print(f"{name}: {taken:,.0f} events/s into a log in memory, {taken / reference:.2f} of json.loads alone")
    loop.close()


if __name__ == "__main__":
    main()
