"""slowhttptest against the daemon, while a good client and a stream go on."""

from __future__ import annotations

import asyncio
import shutil

from tests.attacks.live import knock, live_stream
from tests.attacks.siege import settled
from tests.attacks.victim import descriptors, memory
from tests.integration.daemon import Daemon

PATHS = {"H": "/health", "B": "/events", "R": "/health", "X": "/events?after=0"}
"""Modes: heads, bodies, ranges, answers that are read slowly."""


async def slow_http(daemon: Daemon, modes: str, connections: int, seconds: int) -> dict[str, float]:
    """Attack in these modes at once; figures. The good client is always answered, the stream loses nothing."""
    async with live_stream(daemon) as live:
        before = descriptors(daemon.pid)
        knocking = asyncio.create_task(knock(daemon.events))
        statuses = await asyncio.gather(*(_run(mode, daemon.events, connections, seconds) for mode in modes))
        knocking.cancel()
        waits = await knocking
        left = await settled(daemon.pid, before)
    assert not any(statuses), statuses
    return {
        "answers": len(waits),
        "slowest_ms": max(waits) * 1000,
        "p99_ms": live.p99_ms(),
        "refused": len(live.refused),
        "most_bytes": memory(daemon.pid),
        "descriptors_left": left,
    }


async def _run(mode: str, base: str, connections: int, seconds: int) -> int:
    program = shutil.which("slowhttptest")
    assert program is not None, "slowhttptest is missing: scripts/system-packages installs it"
    process = await asyncio.create_subprocess_exec(
        program,
        *(f"-{mode}", "-u", base + PATHS[mode]),
        *("-c", str(connections), "-r", str(connections // 2), "-i", "2", "-l", str(seconds), "-v", "0", "-p", "5"),
        *(("-f", "application/json") if mode == "B" else ()),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
