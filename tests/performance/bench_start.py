"""Time to ready after `kill -9`: `python -m tests.performance.bench_start [EVENTS] [TIMES]`.

`hxp up` with a log of so many events of an LLM is killed while events come in, and started again. Ready is when both
`/health` answer healthy. Beside it the same with an empty log, in turn: what lies between is what the events cost.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

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


class Start(NamedTuple):
    """Seconds from the start of the process."""

    answers: float
    """Until it takes events, clients and questions."""
    ready: float
    """Until both services say that they are healthy."""
    spent: float
    """Of processor time until then."""


async def start(session: aiohttp.ClientSession, daemon: Daemon) -> Start:
    """Start the process, and see how long it takes."""
    begun = time.monotonic()
    await daemon.start()
    answers = time.monotonic() - begun
    await healthy(session, daemon.events)
    await healthy(session, daemon.gateway)
    ready, spent = time.monotonic() - begun, psutil.Process(daemon.pid).cpu_times()
    return Start(answers, ready, spent.user + spent.system)


async def compare(events: int, times: int) -> str:
    """Start both in turn, each after a kill in the middle of a batch."""
    with tempfile.TemporaryDirectory() as scratch:
        daemons = {0: Daemon(Path(scratch, "empty")), events: Daemon(Path(scratch, "full"))}
        took: dict[int, list[Start]] = {count: [] for count in daemons}
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
    return f"after kill -9, medians of {times}\n" + "".join(_line(count, took[count]) for count in daemons)


def _line(events: int, took: list[Start]) -> str:
    answers, ready, spent = map(median, zip(*took, strict=True))
    words = f"answers after {answers:.2f} s, healthy after {ready:.2f} s, {spent:.2f} s of processor time"
    return f"{events:>10,} events: {words}\n"


def main(events: int = 1_000_000, times: int = 5) -> None:
    sys.stdout.write(asyncio.run(compare(events, times)))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
