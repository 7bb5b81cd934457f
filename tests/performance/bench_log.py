"""How fast the log is, as a ratio to SQLite itself on the same disk: `python -m tests.performance.bench_log [SECONDS]`.

Raw SQLite: one row an append with the joined text, WAL, synchronous=FULL, no window, no checksum, no loop.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.processing import LogConfig
from hxp_enterprise_llm.event.log import MemoryLog, SqliteLog
from hxp_enterprise_llm.event.log.model import EventLog
from hxp_enterprise_llm.event.model import BEGINNING, Encoded, Event, encode
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.metrics import LogMetrics

BATCHES = (1, 100, 1000)


def batches(size: int, prepared: int) -> list[list[Encoded]]:
    """Batches of events of about 200 bytes."""
    made = count()

    def one() -> Encoded:
        data = {"model": "m" * 16, "latency_ms": 12.5, "total_tokens": 512, "note": "x" * 50}
        return encode(Event(id=str(next(made)), source="/bench", type="llm.request.completed", data=data))

    return [[one() for _ in range(size)] for _ in range(prepared)]


def raw_sqlite(directory: Path, work: Iterator[list[Encoded]], seconds: float) -> tuple[float, float]:
    """Events a second: appended, and read back."""
    connection = sqlite3.connect(directory / "raw.db", isolation_level=None)
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE r (n, body)")
    done, begun = 0, time.perf_counter()
    for batch in work:
        body = b"\n".join([event.raw for event in batch])
        connection.execute("INSERT INTO r VALUES (?, ?)", (len(batch), body))
        done += len(batch)
        if time.perf_counter() - begun > seconds:
            break
    appended = done / (time.perf_counter() - begun)
    begun = time.perf_counter()
    read = sum(len(body.split(b"\n")) for (body,) in connection.execute("SELECT body FROM r"))
    return appended, read / (time.perf_counter() - begun)


async def appends(log: EventLog, work: Iterator[list[Encoded]], seconds: float, callers: int) -> float:
    """Events a second of so many callers, each with one append under way."""
    done, begun = 0, time.perf_counter()

    async def caller() -> None:
        nonlocal done
        for batch in work:
            await log.append(batch)
            done += len(batch)
            if time.perf_counter() - begun > seconds:
                return

    await asyncio.gather(*(caller() for _ in range(callers)))
    return done / (time.perf_counter() - begun)


async def reads(log: EventLog) -> float:
    """Events a second of one follower from the beginning to the head."""
    begun, found = time.perf_counter(), 0
    async for batch in log.follow(BEGINNING):
        found += len(batch.events)
        if batch.next == batch.head:
            break
    return found / (time.perf_counter() - begun)


async def measure(size: int, seconds: float) -> None:
    prepared = batches(size, max(200, int(seconds * 600_000 / size)) if size > 1 else int(40_000 * seconds))
    # The prepared events are no garbage of the log's: without this the collector walks them again and again.
    gc.collect()
    gc.freeze()
    with tempfile.TemporaryDirectory() as name:
        base_append, base_read = raw_sqlite(Path(name), iter(prepared), seconds)
        report(size, "raw SQLite", base_append, base_read, base_append, base_read)
        for callers in (1, 32):
            directory = Path(name) / f"log{callers}"
            config, metrics = LogConfig(reserve_bytes=0), LogMetrics(CollectorRegistry())
            log = SqliteLog(directory, config=config, clock=SystemClock(), metrics=metrics, recent_bytes=1)
            await log.open()
            appended = await appends(log, iter(prepared), seconds, callers)
            report(size, f"SqliteLog, {callers} callers", appended, await reads(log), base_append, base_read)
            await log.close()
        memory = MemoryLog()
        await memory.open()
        appended = await appends(memory, iter(prepared), seconds, 1)
        report(size, "MemoryLog", appended, await reads(memory), base_append, base_read)


def report(size: int, name: str, appended: float, read: float, base_append: float, base_read: float) -> None:
    sys.stdout.write(
        f"batch {size:>5}  {name:<22} append {appended:>10,.0f}/s ({appended / base_append:5.2f}x)"
        f"  read {read:>10,.0f}/s ({read / base_read:5.2f}x)\n"
    )


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    for size in BATCHES:
        asyncio.run(measure(size, seconds))


if __name__ == "__main__":
    main()
