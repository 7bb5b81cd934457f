"""What clients that read nothing cost the others: 50 of 1,000, on the daemon as it ships.

    python -m tests.performance.bench_slow_readers [CLIENTS] [SILENT]

Three rounds each with and without, in turn. p99 from publish to receive of those who read, and the memory that the
daemon gained in the round. The clients share the machine, so only the ratio says something.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import aiohttp

from tests.integration.daemon import Daemon
from tests.unit.streaming.readers import p99, readers

EVENTS, PER_SECOND, BYTES, ROUNDS = 100, 10, 4000, 3
PAYLOAD = "".join(random.Random(3).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=BYTES))
PATH = "/ws/events?type=bench.slow"


def resident(pid: int) -> int:
    """KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


async def one_round(daemon: Daemon, session: aiohttp.ClientSession, good: int, silent: int) -> tuple[float, int]:
    """p99 in seconds, and KiB gained."""
    port = urlsplit(daemon.gateway).port
    assert port is not None
    async with readers(port, PATH, good) as clients, readers(port, PATH, silent, reads=False):
        before = resident(daemon.pid)
        for number in range(EVENTS):
            data = {"n": number, "sent": time.monotonic(), "fill": PAYLOAD}
            async with session.post(f"{daemon.events}/events", json={"type": "bench.slow", "data": data}) as answer:
                assert answer.status == 202, await answer.text()
            await asyncio.sleep(1 / PER_SECOND)
        async with asyncio.timeout(60):
            while any(len(client.numbers) < EVENTS for client in clients):
                await asyncio.sleep(0.01)
        assert all(client.numbers == list(range(EVENTS)) for client in clients), "lost, doubled or out of order"
        return p99(clients), resident(daemon.pid) - before


async def main(clients: int, silent: int) -> None:
    figures: dict[int, list[tuple[float, int]]] = {0: [], silent: []}
    environ = {"WEBSOCKET_MAX_CONNECTIONS": str(clients + 10)}
    with tempfile.TemporaryDirectory() as directory:
        async with Daemon(Path(directory) / "data", environ=environ) as daemon, aiohttp.ClientSession() as session:
            await one_round(daemon, session, clients, 0)  # warm
            for _ in range(ROUNDS):
                for number in figures:
                    figures[number].append(await one_round(daemon, session, clients - number, number))
    without, beside = ([median(column) for column in zip(*rows, strict=True)] for rows in figures.values())
    sys.stdout.write(
        f"{clients} clients, {PER_SECOND} events a second of {BYTES} bytes; median of {ROUNDS} rounds\n"
        f"{'silent':>8}{'p99 ms':>10}{'gained KiB':>12}\n"
        f"{0:>8}{without[0] * 1000:>10.1f}{without[1]:>12,.0f}\n"
        f"{silent:>8}{beside[0] * 1000:>10.1f}{beside[1]:>12,.0f}\n"
        f"{'ratio':>8}{beside[0] / without[0]:>10.2f}\n"
        f"p99 ms of each round: {spread(figures[0])} without, {spread(figures[silent])} with\n"
    )


def spread(rows: list[tuple[float, int]]) -> str:
    return " ".join(f"{seconds * 1000:.0f}" for seconds, _ in rows)


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]] or [1000, 50]
    asyncio.run(main(*numbers))
