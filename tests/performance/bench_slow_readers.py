"""What clients that read nothing cost the others: 50 of 1,000, on the daemon as it ships.

    python -m tests.performance.bench_slow_readers [CLIENTS] [SILENT]

Nine pairs of rounds, with and without, in turn, each pair beginning with the other one. p99 from publish to receive of
those who read, and the memory that the daemon gained in the round. Clients and daemon share the machine with whatever
else runs there, so the verdict is the median of the ratios within the pairs, with its range between the quartiles.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp

from tests.integration.daemon import Daemon
from tests.unit.streaming.readers import p99, readers

EVENTS, PER_SECOND, BYTES, PAIRS = 50, 10, 4000, 9
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
    rows: list[Pair] = []
    environ = {"WEBSOCKET_MAX_CONNECTIONS": str(clients + 10)}
    with tempfile.TemporaryDirectory() as directory:
        async with Daemon(Path(directory) / "data", environ=environ) as daemon, aiohttp.ClientSession() as session:
            await one_round(daemon, session, clients, 0)  # warm
            for number in range(PAIRS):
                found = {}
                for silently in (0, silent) if number % 2 else (silent, 0):
                    found[silently] = await one_round(daemon, session, clients - silently, silently)
                rows.append(Pair(found[0], found[silent]))
    sys.stdout.write(verdict(rows, clients, silent))


class Pair(NamedTuple):
    """Two rounds, one behind the other: seconds of p99 and KiB gained."""

    without: tuple[float, int]
    beside: tuple[float, int]

    @property
    def ratio(self) -> float:
        return self.beside[0] / self.without[0]


def verdict(rows: list[Pair], clients: int, silent: int) -> str:
    """Medians of both kinds of rounds, and what the silent ones change."""
    without, beside = ([median(column) for column in zip(*side, strict=True)] for side in zip(*rows, strict=True))
    low, middle, high = quantiles([row.ratio for row in rows], n=4, method="inclusive")
    return (
        f"{clients} clients, {PER_SECOND} events a second of {BYTES} bytes; medians of {len(rows)} pairs of rounds\n"
        f"{'silent':>8}{'p99 ms':>10}{'gained KiB':>12}\n"
        f"{0:>8}{without[0] * 1000:>10.1f}{without[1]:>12,.0f}\n"
        f"{silent:>8}{beside[0] * 1000:>10.1f}{beside[1]:>12,.0f}\n"
        f"p99 with the silent ones: {middle:.2f} times that without, "
        f"half of the pairs between {low:.2f} and {high:.2f}\n"
    )


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]] or [1000, 50]
    asyncio.run(main(*numbers))
