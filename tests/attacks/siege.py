"""The daemon under a crowd of attackers, and what came of it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from tests.attacks.crowd import Crowd
from tests.attacks.live import knock, live_stream
from tests.attacks.victim import descriptors, memory, victim

SETTLE_SECONDS = 20.0


class Outcome(msgspec.Struct, kw_only=True):
    """Figures of one siege. Bytes and milliseconds."""

    before_bytes: int
    most_bytes: int
    after_bytes: int
    descriptors_left: int
    """More than before."""
    delivered: int
    refused: int
    p99_ms: float
    calm_p99_ms: float
    """Of the same stream before the attack."""
    slowest_health_ms: float
    ends: dict[str, dict[str, int]]


async def siege(directory: Path, *, bombs: int, lorises: int, silent: int, calm_seconds: float = 2.0) -> Outcome:
    """Attack a daemon while a stream runs. The stream must lose nothing, and a new client always gets an answer."""
    async with victim(directory) as daemon:
        crowd = Crowd(events=daemon.events, gateway=daemon.gateway, bombs=bombs, lorises=lorises, silent=silent)
        async with live_stream(daemon) as live:
            await asyncio.sleep(calm_seconds)  # the stream by itself, for comparison
            before, open_before = memory(daemon.pid, "VmRSS"), descriptors(daemon.pid)
            calm = live.p99_ms()
            live.seconds.clear()
            knocking = [asyncio.create_task(knock(base)) for base in (daemon.events, daemon.gateway)]
            ends = await _attack(crowd)
            for task in knocking:
                task.cancel()
            waits = [seconds for task in knocking for seconds in await task]
            left = await settled(daemon.pid, open_before)
        return Outcome(
            before_bytes=before,
            most_bytes=memory(daemon.pid),
            after_bytes=memory(daemon.pid, "VmRSS"),
            descriptors_left=left,
            delivered=len(live.received),
            refused=len(live.refused),
            p99_ms=live.p99_ms(),
            calm_p99_ms=calm,
            slowest_health_ms=max(waits) * 1000,
            ends=ends,
        )


async def _attack(crowd: Crowd) -> dict[str, dict[str, int]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.attacks.crowd", msgspec.json.encode(crowd).decode(), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return msgspec.json.decode(output, type=dict[str, dict[str, int]])


async def settled(pid: int, before: int) -> int:
    """Descriptors beyond those of before, once they are gone or have had their time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + SETTLE_SECONDS
    while (left := descriptors(pid) - before) > 2 and loop.time() < end:
        await asyncio.sleep(0.1)
    return left
