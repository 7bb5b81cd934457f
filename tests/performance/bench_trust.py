"""What trust costs: the checksum of a record, and `admit` for a request: `python -m tests.performance trust`.

The checksum is set against the processor time of the whole append, without the disk's share: by so much at most it is
slower. `admit` is measured for a head that is read already.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import structlog
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.processing import LogConfig
from hxp_enterprise_llm.event.log import SqliteLog, packing
from hxp_enterprise_llm.event.model import Encoded
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.security.admit import Policy, RequestHead, admit
from hxp_enterprise_llm.security.keys import ApiKey, Keyring, digest_of, new_key
from hxp_enterprise_llm.security.model import Refusal, Route
from hxp_enterprise_llm.telemetry.metrics import LogMetrics
from tests.performance.bench_log import batches
from tests.unit.security.test_admit import POLICY, PUBLISH, READ, head, post

SIZES, ROUNDS, CALLS = (1, 100, 1000), 5, 20_000
MOST_BATCHES = 500
KEYS = 100


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    for size in SIZES:
        await checksums(size)
    admits()


async def checksums(size: int) -> None:
    """A checksum alone, and as a share of the processor time of an append."""
    prepared = batches(size, 20_000 // size)
    body = b"\n".join(event.raw for event in prepared[0])
    alone = micros(lambda: packing._checksum(size, size, 0.0, b"types", bytes(16 * size), body)) / size
    whole = median([await append_micros(prepared) for _ in range(ROUNDS)])
    say(
        f"{size:>5} events a record: checksum {alone:.3f} µs an event, {100 * alone / whole:.1f} %"
        f" of the {whole:.1f} µs of processor time that an append takes"
    )


async def append_micros(prepared: list[list[Encoded]]) -> float:
    """Microseconds of processor time an event, for one appender: each batch is a record of its own."""
    with tempfile.TemporaryDirectory() as name:
        metrics = LogMetrics(CollectorRegistry())
        log = SqliteLog(Path(name) / "log", config=LogConfig(reserve_bytes=0), clock=SystemClock(), metrics=metrics)
        await log.open()
        try:
            begun, work = time.process_time(), prepared[:MOST_BATCHES]
            for batch in work:
                await log.append(batch)
            return 1e6 * (time.process_time() - begun) / sum(map(len, work))
        finally:
            await log.close()


def admits() -> None:
    """Every kind of caller: let in by network, by key, and refused."""
    texts = [new_key(f"service-{number}") for number in range(KEYS)]
    keys = Keyring(
        ApiKey(f"service-{n}", digest_of(text), frozenset({"publish"}), None) for n, text in enumerate(texts)
    )
    policy = replace(POLICY, keys=keys)
    more = [("User-Agent", "client/1.0"), ("Accept", "*/*"), ("Accept-Encoding", "gzip, deflate")]
    rows: list[tuple[str, RequestHead, Route, bool]] = [
        ("GET from this host", head(more=more), READ, True),
        ("POST from a trusted network", post(peer="192.168.10.7", more=more), PUBLISH, True),
        (f"POST with one of {KEYS} keys", post(peer="10.9.8.7", X_API_Key=texts[50], more=more), PUBLISH, True),
        ("POST from a page elsewhere, refused", post(Origin="http://evil.example", more=more), PUBLISH, False),
        ("GET from a stranger, refused", head(peer="203.0.113.9", more=more), READ, False),
    ]
    for name, request, route, welcome in rows:
        say(f"admit: {name:<36} {admit_micros(request, route, policy, welcome=welcome):6.2f} µs a request")


def admit_micros(request: RequestHead, route: Route, policy: Policy, *, welcome: bool) -> float:
    """Microseconds of one decision; it must be the one that the row is about."""
    answer = admit(request, route, policy)
    if isinstance(answer, Refusal) == welcome:
        sys.exit(f"not what the row says: {answer}")
    return micros(lambda: admit(request, route, policy))


def micros(call: Callable[[], object]) -> float:
    """Microseconds of a call, the least of several rounds: what others used of the core is not counted."""
    least = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(CALLS // ROUNDS):
            call()
        least = min(least, (time.perf_counter() - begun) / (CALLS // ROUNDS))
    return 1e6 * least


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
