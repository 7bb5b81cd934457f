"""A daemon under a steady load: what it holds in memory, minute by minute, and whether that grows.

It grows until its windows are full: identities of ten minutes or a million events, the newest events of the log, names.
So what comes after eleven minutes, or after half of the run, is judged: by the slope of a straight line through it.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from statistics import linear_regression
from uuid import uuid4

import psutil

from hxp_enterprise_llm.event.model import rfc3339
from tests.performance.bench_ingest_http import ROOT, daemon
from tests.performance.bench_platform import MIX, data_of
from tests.performance.posting import Poster

RATE, BATCH = 4000, 100
"""Events a second, in requests of so many."""
SAMPLE_SECONDS, LINE_SECONDS = 5.0, 60.0
MOST_MIB_AN_HOUR = 32.0
"""A line steeper than that is a finding; a leak of a byte an event would be 14."""
FULL_SECONDS = 660.0
"""After that the windows are full, whatever the load."""
_FEWEST_SAMPLES = 12
_VARIETY = 20_000


def run(seconds: int, say: Callable[[str], None], rate: int = RATE) -> int:
    """Load it for so long; 1 when memory grows, or when the load could not be kept up."""
    with daemon(ROOT) as (port, process):
        samples, sent = _drive(port, process, seconds, rate, say)
    judged = [sample for sample in samples if sample[0] >= max(FULL_SECONDS, seconds / 2)]
    if len(judged) < _FEWEST_SAMPLES:
        say(f"{sent:,} events: too short to be judged, {FULL_SECONDS / 60:.0f} minutes are only the beginning")
        return 1
    slope = mib_an_hour(judged)
    say(f"{sent:,} events, {sent / seconds:,.0f} a second; once windows were full {slope:+.1f} MiB an hour")
    return int(slope > MOST_MIB_AN_HOUR or sent < 0.9 * rate * seconds)


def own_bytes(process: psutil.Process) -> int:
    """What it holds itself: pages of files that are mapped go when somebody needs the room."""
    memory = process.memory_info()
    return int(memory.rss - memory.shared)


def mib_an_hour(samples: Sequence[tuple[float, int]]) -> float:
    """The slope of the line through samples of (seconds, bytes)."""
    times, sizes = zip(*samples, strict=True)
    return linear_regression([each / 3600 for each in times], [each / 2**20 for each in sizes]).slope


def _drive(
    port: int, process: psutil.Process, seconds: int, rate: int, say: Callable[[str], None]
) -> tuple[list[tuple[float, int]], int]:
    """Samples of (seconds since the beginning, bytes in memory), and how many events were stored."""
    poster, bodies = Poster(port, iter(())), cycle(_bodies(random.Random(1)))
    begun, samples, sent, told = time.monotonic(), [(0.0, own_bytes(process))], 0, 0.0
    while (passed := time.monotonic() - begun) < seconds:
        if passed - samples[-1][0] >= SAMPLE_SECONDS:
            samples.append((passed, own_bytes(process)))
        if passed - told >= LINE_SECONDS:
            told = passed
            say(f"{passed / 60:4.0f} min: {samples[-1][1] / 2**20:6.1f} MiB, {sent:,} events")
        if sent < rate * passed:
            poster.post(_request(next(bodies)))
            sent += BATCH
        else:
            time.sleep(BATCH / rate / 4)
    return samples, sent


def _bodies(chance: random.Random) -> list[list[dict[str, object]]]:
    """Batches of what agents do, without identities and times."""
    kinds = [chance.choice(MIX) for _ in range(_VARIETY)]
    events = [
        {"type": kind, "source": f"/gateway/{n % 20}", "data": data_of(kind, chance)} for n, kind in enumerate(kinds)
    ]
    return [events[at : at + BATCH] for at in range(0, _VARIETY, BATCH)]


def _request(events: Sequence[dict[str, object]]) -> bytes:
    """A batch that is new, and of now."""
    known = {"specversion": "1.0", "time": rfc3339(time.time())}
    body = json.dumps([event | known | {"id": uuid4().hex} for event in events]).encode()
    head = f"POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body
