"""How long a commit of one event takes, with the write-ahead log's bytes there beforehand and without.

`python -m tests.performance.bench_commits [DIRECTORY]`: in turn, on the disk of the directory.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, quantiles

from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.log.packing import pack
from hxp_enterprise_llm.event.log.sqlite.segment import SegmentWriter, create
from hxp_enterprise_llm.event.model import Offset

COMMITS = 500
ROUNDS = 3
AHEAD_BYTES = 8 * 1024 * 1024
EVENT_BYTES = 230


def measure(path: Path, ahead: int) -> list[float]:
    """Microseconds of each commit into a segment of its own."""
    create(path, "bench", Offset(1))
    writer = SegmentWriter(path, ahead=ahead)
    took = []
    for number in range(1, COMMITS + 1):
        events = StoredColumns(range(number, number + 1), ["bench"], [b"x" * EVENT_BYTES])
        record = pack(events, [os.urandom(16)], time.time())
        begun = time.perf_counter()
        writer.insert([record])
        took.append(1e6 * (time.perf_counter() - begun))
    writer.close()
    return took


def main(directory: str | None = None) -> None:
    means: dict[str, list[float]] = {"grows": [], "ahead": []}
    with tempfile.TemporaryDirectory(dir=directory) as place:
        for turn in range(ROUNDS):
            for name, ahead in (("grows", 0), ("ahead", AHEAD_BYTES)):
                took = measure(Path(place) / f"{name}{turn}.db", ahead)
                means[name].append(mean(took))
                cuts = quantiles(took, n=100)
                print(f"{name}: mean {mean(took):.0f}, p50 {cuts[49]:.0f}, p99 {cuts[98]:.0f} µs a commit")
    print(f"ahead: {mean(means['ahead']) / mean(means['grows']):.2f} of the time")


if __name__ == "__main__":
    main(*sys.argv[1:])
