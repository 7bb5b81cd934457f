"""Time to ready after `kill -9`: `python -m tests.performance.bench_start [EVENTS] [TIMES]`.

`hxp up` with a log of so many events of an LLM is killed while events come in, and started again. Ready is when both
`/health` answer healthy. Beside it the same with an empty log, in turn: the ratio is what the events cost.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import aiohttp
import psutil

from tests.integration.daemon import Daemon
from tests.performance.posting import requests

BATCH, CONNECTIONS = 1000, 4


async def fill(session: aiohttp.ClientSession, daemon: Daemon, events: int) -> None:
    """So many events, each with an identity of its own."""
    places = asyncio.Semaphore(CONNECTIONS)

    async def post() -> None:
        async with places:
            (request,) = requests(1, BATCH)
            headers = {"Content-Type": "application/json"}
            body = request.partition(b"\r\n\r\n")[2]
            async with session.post(f"{daemon.events}/events", data=body, headers=headers) as answer:
                assert answer.status == 202, await answer.text()

    async with asyncio.TaskGroup() as group:
        for _ in range(events // BATCH):
            group.create_task(post())


async def healthy(session: aiohttp.ClientSession, base: str) -> None:
    """Return once the service says so."""
    async with asyncio.timeout(60):
        while True:
            async with session.get(f"{base}/health") as answer:
                if (await answer.json())["status"] == "healthy":
                    return
            await asyncio.sleep(0.005)


async def start(session: aiohttp.ClientSession, daemon: Daemon) -> tuple[float, float]:
    """Seconds from the start of the process until both services are ready, and of processor time until then."""
    begun = time.monotonic()
    await daemon.start()
    await healthy(session, daemon.events)
    await healthy(session, daemon.gateway)
    spent = psutil.Process(daemon.pid).cpu_times()
    return time.monotonic() - begun, spent.user + spent.system


async def compare(events: int, times: int) -> str:
    """Start both in turn, each after a kill in the middle of a batch."""
    with tempfile.TemporaryDirectory() as scratch:
        daemons = {0: Daemon(Path(scratch, "empty")), events: Daemon(Path(scratch, "full"))}
        took: dict[int, list[tuple[float, float]]] = {count: [] for count in daemons}
        async with aiohttp.ClientSession() as session:
            for turn in range(times + 1):
                for count, daemon in daemons.items():
                    found = await start(session, daemon)
                    if turn:
                        took[count].append(found)
                    else:
                        await fill(session, daemon, count)
                    last = asyncio.create_task(fill(session, daemon, BATCH))
                    await asyncio.sleep(0.002)
                    await daemon.end(signal.SIGKILL)
                    await asyncio.gather(last, return_exceptions=True)
    (full, cpu), (empty, least) = (map(median, zip(*took[count], strict=True)) for count in (events, 0))
    return (
        f"ready after kill -9, median of {times}: {full:.2f} s with {events:,} events, {empty:.2f} s with none:"
        f" {full / empty:.2f} times; of processor time {cpu:.2f} s and {least:.2f} s: {cpu / least:.2f} times\n"
    )


def main(events: int = 1_000_000, times: int = 5) -> None:
    sys.stdout.write(asyncio.run(compare(events, times)))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
