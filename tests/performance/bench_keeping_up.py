"""Whether what counts keeps up with what comes in: `python -m tests.performance.bench_keeping_up --rate 50000`.

The daemon is the one that ships. Events are offered in batches at a steady rate; each second the lags are read from its
metrics. Prints what was stored, the lags, and the CPU of each process of the daemon.
"""

from __future__ import annotations

import argparse
import re
import selectors
import time
import urllib.request
from collections.abc import Iterator

from tests.performance.bench_ingest_http import ROOT, daemon
from tests.performance.posting import Poster, requests

BATCH, CONNECTIONS = 100, 8
LAGS = ("citadel_processing_lag_events", "citadel_platform_lag_events", "citadel_history_lag_events")
CATCH_UP_SECONDS = 60
_ID = re.compile(rb'"id":"[0-9a-f]{32}"')


def batches(count: int) -> Iterator[bytes]:
    """So many requests, made as they are taken; every event has an identity of its own."""
    (sample,) = requests(1, BATCH)
    template = _ID.sub(b'"id":"%032x"', sample.replace(b"%", b"%%"))
    for number in range(count):
        yield template % tuple(range(number * BATCH, (number + 1) * BATCH))


def lags(port: int) -> list[int]:
    """The lags now, in events."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    found = [re.search(rf"^{name} (\S+)", page, re.MULTILINE) for name in LAGS]
    return [int(float(match[1])) if match else -1 for match in found]


class Offering:
    """Requests at a steady rate over some connections; one that is late goes out as soon as a connection is free."""

    def __init__(self, port: int, rate: float, seconds: float) -> None:
        self._port, self._pause = port, BATCH / rate
        made = batches(int(rate * seconds / BATCH))
        self._idle = [Poster(port, made) for _ in range(CONNECTIONS)]
        self._selector = selectors.DefaultSelector()
        self.stored = 0
        self.seen: list[list[int]] = []

    def run(self) -> float:
        """Offer all of it; answers the seconds that it took."""
        begun = time.perf_counter()
        due, look = begun, begun + 1
        more = True
        while more or self._selector.get_map():
            while more and self._idle and time.perf_counter() >= due:
                due += self._pause
                more = self._send()
            self._receive(max(0.0, due - time.perf_counter()) if more and self._idle else 0.1)
            if time.perf_counter() >= look:
                look += 1
                self.seen.append(lags(self._port))
        return time.perf_counter() - begun

    def _send(self) -> bool:
        poster = self._idle.pop()
        if poster.send():
            self._selector.register(poster.sock, selectors.EVENT_READ, poster)
            return True
        return False

    def _receive(self, within: float) -> None:
        if not self._selector.get_map():
            time.sleep(within)
            return
        for key, _ in self._selector.select(within):
            if key.data.receive():
                self._selector.unregister(key.fileobj)
                self._idle.append(key.data)
                self.stored += BATCH


def caught_up(port: int) -> float | None:
    """Seconds until nothing but the history lags; None when that takes too long."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < CATCH_UP_SECONDS:
        if max(lags(port)[:2]) <= 0:
            return time.perf_counter() - begun
        time.sleep(0.1)
    return None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=50_000)
    parser.add_argument("--seconds", type=float, default=20)
    asked, _ = parser.parse_known_args()
    with daemon(ROOT) as (port, process):
        while min(lags(port)) < 0:
            time.sleep(0.1)
        parts = dict(zip(("first", "second"), [process, *process.children()], strict=False))
        before = {name: sum(part.cpu_times()[:2]) for name, part in parts.items()}
        offering = Offering(port, asked.rate, asked.seconds)
        seconds = offering.run()
        after = caught_up(port)
        print(
            f"offered {asked.rate:,.0f} events/s, stored {offering.stored / seconds:,.0f} events/s for {seconds:.1f} s"
        )
        for name, seen in zip(LAGS, zip(*offering.seen, strict=True), strict=True):
            print(f"{name}: most {max(seen):,}, last {seen[-1]:,}")
        print(f"caught up {'never' if after is None else f'{after:.1f} s'} after the last event")
        for name, part in parts.items():
            used = sum(part.cpu_times()[:2]) - before[name]
            share, memory = 1e6 * used / offering.stored, part.memory_info().rss / 2**20
            print(f"{name} process: {share:.2f} us of CPU an event, {memory:.0f} MiB")


if __name__ == "__main__":
    main()
