"""The attacks at full strength: what CI has not the time for."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from tests.attacks.namespaces import in_own_network
from tests.attacks.partition import CLIENTS, Vanished
from tests.attacks.siege import siege
from tests.attacks.slowhttp import slow_http
from tests.attacks.victim import victim

Say = Callable[[str], None]
MOST_SIEGE_BYTES = 600 * 1024 * 1024
MOST_P99_MS = 100.0
MOST_VANISHED_SECONDS = 35.0
MOST_GROWTH = 32 * 1024 * 1024
SLOW_SECONDS = 60


def sieges(times: int, say: Say) -> int:
    """200 bombs, 1,000 slow lorises, 50 silent readers; the stream's p99 beside them."""
    failed = 0
    for _ in range(times):
        with tempfile.TemporaryDirectory() as scratch:
            outcome = asyncio.run(siege(Path(scratch), bombs=200, lorises=1000, silent=50, calm_seconds=10))
        say(str(outcome))
        failed += outcome.most_bytes > MOST_SIEGE_BYTES or outcome.p99_ms > MOST_P99_MS or outcome.refused > 0
    return failed


def slow_clients(connections: int, say: Say) -> int:
    """slowhttptest, one mode after the other, then all at once."""
    failed = 0
    for modes in ("H", "B", "R", "X", "HBRX"):
        with tempfile.TemporaryDirectory() as scratch:
            found = asyncio.run(_slow(Path(scratch), modes, connections))
        say(f"{modes}, {connections:,} connections each: {dict(found)}")
        failed += bool(found["refused"]) or found["descriptors_left"] > 2
    return failed


async def _slow(scratch: Path, modes: str, connections: int) -> Mapping[str, float]:
    async with victim(scratch) as daemon:
        return await slow_http(daemon, modes, connections, SLOW_SECONDS)


def partition(heartbeat: int, say: Say) -> int:
    """WebSockets and event streams cut off; heartbeats so many seconds apart, so that the kernel's deadline counts."""
    with tempfile.TemporaryDirectory() as scratch:
        arguments = (scratch, str(heartbeat), "websocket", "sse")
        found = msgspec.json.decode(asyncio.run(in_own_network("tests.attacks.partition", *arguments)), type=Vanished)
    say(str(found))
    grown = found.after_bytes - found.before_bytes
    stayed, left = found.opened == CLIENTS, found.left == 0 and found.seconds < MOST_VANISHED_SECONDS
    return int(not (stayed and left and grown < MOST_GROWTH))
