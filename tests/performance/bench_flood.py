"""What made-up names cost in memory, at default limits: the platform's state under floods of names that are all new.

Run it with `python -m tests.performance flood`. `scattered`: no name comes twice, over two months. `lasting`: as many
names as are held before folding, each on every day and in every hour that is kept, which is the most that there can be.
Resident memory of this process beyond that before the flood; it prints figures and judges nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hxp_enterprise_llm.config.platform import PlatformConfig
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import Event, Offset, encode, rfc3339
from hxp_enterprise_llm.event.processing.platform.keeping import Saved, encoded
from hxp_enterprise_llm.event.processing.platform.platform import Platform

NOW = 1_800_000_000.0
NAMES, HELD = 40_000, 390
LONG = "x" * 140
"""With a number behind it close to the longest name that is kept."""
FLOODS = ("scattered", "lasting")


def events_of(name: str, at: float, number: int) -> list[Stored]:
    """One of each type that brings names of its own."""
    request = {"model": f"m{name}", "agent": f"a{name}", "user": f"u{name}", "query": f"q{name}", "tool": f"t{name}"}
    figures = {"input_tokens": 5, "output_tokens": 5, "latency_ms": number % 977 + 0.5}
    datas: list[tuple[str, dict[str, Any]]] = [
        ("llm.request.completed", request | figures),
        ("knowledge.access", {"item": f"i{name}", "agent": f"a{name}", "tier": "chroma"}),
        ("knowledge.miss", {"query": f"g{name}", "agent": f"a{name}"}),
        ("agent.handoff", {"from": f"a{name}", "to": f"b{name}", "kind": "k"}),
        ("hypothesis.formed", {"hypothesis": f"h{name}", "agent": f"a{name}", "domain": f"d{name}"}),
        ("business.metric", {"name": f"b{name}", "value": 1, "dimensions": {"d": f"v{name}"}}),
        ("agent.started", {"agent": f"a{name}", "run": f"r{name}"}),
    ]
    return [made(type, at, number, data) for type, data in datas]


def made(type: str, at: float, number: int, data: dict[str, Any]) -> Stored:
    """An event as the log would have it."""
    event = encode(Event(id=str(number), source="/flood", type=type, time=rfc3339(at), data=data))
    return Stored(Offset(number), type, event.raw)


def scattered() -> Iterator[list[Stored]]:
    """Names that come once."""
    for number in range(NAMES):
        yield events_of(f"{LONG}{number}", NOW - number % 1400 * 3600, number)


def lasting() -> Iterator[list[Stored]]:
    """As many names as are held, on each of 60 days and in each of 48 hours."""
    times = [*(NOW - 86_400 * day for day in range(59, 1, -1)), *(NOW - 3600 * hour for hour in range(47, -1, -1))]
    for at in times:
        for number in range(HELD):
            yield events_of(f"{LONG}{number}", at, number)


def resident() -> float:
    """MB of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def flooded(flood: str) -> None:
    """Take a flood in; print what it has cost."""
    platform, before, most = Platform(PlatformConfig()), resident(), 0.0
    chunk: list[Stored] = []
    for number, events in enumerate(globals()[flood]()):
        chunk += events
        if number % 200 == 199:
            platform.take(chunk)
            chunk.clear()
            most = max(most, resident())
    platform.take(chunk)
    content = encoded(Saved("e", 1, platform.settled()))
    most = max(most, resident()) - before
    print(
        f"{flood:<12} {platform.state.events:>8,} events  + {most:5.1f} MB at most, saved {len(content) / 1e6:.1f} MB"
    )


def main() -> None:
    """Each flood in a process of its own."""
    for flood in FLOODS:
        subprocess.run([sys.executable, "-m", "tests.performance.bench_flood", flood], check=True)


if __name__ == "__main__":
    flooded(sys.argv[1]) if len(sys.argv) > 1 else main()
