"""What things take, for planning: the table of `docs/maintenance.md`. `python -m tests.performance capacity`.

Processor time and sizes, not rates: what else the machine does changes them little.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from hxp_enterprise_llm.event.log.sqlite.segment import segment_paths
from tests.performance.harness import ROOT, Load, cpu_seconds, family, resident_bytes
from tests.performance.servers import Server, product, raise_file_limit

BATCHES, BATCH, SINGLES = 1000, 100, 10_000
IDLE, READERS = 10_000, 200
RATE, SECONDS = 500, 5
SETTLE_SECONDS = 20.0
RECORD_BYTES = 40
"""Of a row's other columns, and of SQLite for the row."""
MICRO, KILO, MEGA = 1e6, 1e3, 1e6

Row = tuple[str, str]


def post(server: Server, connections: int, count: int, batch: int) -> None:
    """From a process of its own, which ends when every event is stored."""
    words = [sys.executable, "-m", "tests.performance.posting", *map(str, (server.events, connections, count, batch))]
    subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE)


def settled(pids: list[int]) -> float:
    """Processor time, once they have caught up: less than a tenth of a core in half a second."""
    end, used = time.monotonic() + SETTLE_SECONDS, cpu_seconds(pids)
    while time.monotonic() < end:
        time.sleep(0.5)
        before, used = used, cpu_seconds(pids)
        if used - before < 0.05:
            break
    return used


def ways_in(server: Server, directory: Path) -> Iterator[Row]:
    """An event stored and counted by analytics, history and platform."""
    pids = family(server.ingest)
    for name, connections, count, batch in (
        (f"an event in, batches of {BATCH}", 8, BATCHES, BATCH),
        ("an event in, alone in its request", 32, SINGLES, 1),
    ):
        before, bytes_before = settled(pids), stored_bytes(directory / "processing/log")
        post(server, connections, count, batch)
        yield name, f"{(settled(pids) - before) / (count * batch) * MICRO:.0f} µs of event processing's core"
        size = stored_bytes(directory / "processing/log") - bytes_before
        yield "that event of 270 bytes, kept", f"{size / (count * batch):.0f} bytes of disk"


def stored_bytes(directory: Path) -> int:
    """What the records of a log take, without what SQLite has in advance."""
    total = 0
    for path in segment_paths(directory):
        with closing(sqlite3.connect(path)) as connection:
            statement = "SELECT sum(length(types) + length(identities) + length(body) + ?) FROM record"
            total += connection.execute(statement, (RECORD_BYTES,)).fetchone()[0] or 0
    return total


def idle(server: Server, kind: str, path: str) -> Row:
    """What a connection costs that is open and gets nothing. To be asked of a gateway that has had none before."""
    pids = family(server.gateway)
    before = resident_bytes(pids)
    with Load(server.port, path, IDLE, kind) as load:
        load.opened()
        each = (resident_bytes(pids) - before) / IDLE
    return f"an open connection, {kind}", f"{each / KILO:.1f} kB of memory, one descriptor"


def ways_out(server: Server) -> Iterator[Row]:
    """One message to one reader, each event by itself."""
    pids = family(server.gateway)
    for kind in ("ws", "sse"):
        with Load(server.port, server.paths[kind], READERS, kind) as load, closing(server.publisher()) as publisher:
            load.opened()
            before = settled(pids)
            sent = publisher.drive(RATE, SECONDS)
            got = load.arrived(sent, 60).least * READERS
            yield f"an event to one reader, {kind}", f"{(settled(pids) - before) / got * MICRO:.2f} µs of a core"


def main() -> int:
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="capacity-") as name, product(Path(name)) as server:
        time.sleep(2)
        for service, pid in (("event processing", server.ingest), ("the gateway, one process", server.gateway)):
            print(f"| {service}, at rest | {resident_bytes(family(pid)) / MEGA:.0f} MB of memory |")
        for row in (*ways_in(server, Path(name)), *ways_out(server)):
            print("| " + " | ".join(row) + " |", flush=True)
        print(f"| event processing after all this | {resident_bytes(family(server.ingest)) / MEGA:.0f} MB of memory |")
    for kind, path in (("ws", "/ws/system_alerts"), ("sse", "/sse/system_alerts")):
        with tempfile.TemporaryDirectory(prefix="capacity-") as name, product(Path(name)) as server:
            time.sleep(2)
            print("| " + " | ".join(idle(server, kind, path)) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
