"""What this machine is worth beside the reference machine of November 2026, on which the absolute floors were set.

A small calibration in the same run: reading an event's JSON, and storing events in SQLite as durably as the log does.
It scales floors and never results: what is measured is always told as it was measured.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

EVENT = (
    b'{"specversion":"1.0","id":"0123456789abcdef012345","source":"/agents/researcher","type":"llm.request.completed",'
    b'"data":{"model":"gpt-4o-mini","latency_ms":812.5,"input_tokens":412,"total_tokens":508}}'
)
"""200 bytes."""
BATCH = 100
REFERENCE_READ_US, REFERENCE_STORED = 2.42, 317_564
"""Of the reference machine: microseconds of one `json.loads`, events a second in commits of a hundred rows."""
_ROUNDS, _READS, _COMMITS = 10, 2000, 50


class Pace(NamedTuple):
    """What was found here."""

    read_us: float
    """Microseconds of CPU of one `json.loads` of an event."""
    stored: float
    """Events a second that SQLite commits, a hundred at a time."""

    @property
    def reading(self) -> float:
        """Speed of the processor, 1 for the reference machine: 0.5 is half as fast."""
        return REFERENCE_READ_US / self.read_us

    @property
    def taking_in(self) -> float:
        """Speed at events that are read and stored one after the other, 1 for the reference machine."""
        return (REFERENCE_READ_US + 1e6 / REFERENCE_STORED) / (self.read_us + 1e6 / self.stored)

    def text(self) -> str:
        """For the reader of a table."""
        return (
            f"json.loads of an event {self.read_us:.2f} µs, SQLite with synchronous=FULL {self.stored:,.0f} events/s "
            f"in commits of {BATCH}: {self.reading:.0%} and {self.stored / REFERENCE_STORED:.0%} of the reference "
            f"machine of November 2026, {self.taking_in:.0%} for an event that is read and stored"
        )


def measure(directory: Path) -> Pace:
    """The pace now, with SQLite's file in a directory; each the best of some rounds, as noise only slows down."""
    read = min(_seconds(_read, time.process_time) for _ in range(_ROUNDS)) / _READS
    connection = sqlite3.connect(directory / "pace.db", isolation_level=None)
    try:
        connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE event (id INTEGER PRIMARY KEY, body BLOB)"
        )
        stored = min(_seconds(partial(_store, connection), time.perf_counter) for _ in range(_ROUNDS))
    finally:
        connection.close()
    return Pace(1e6 * read, _COMMITS * BATCH / stored)


def _seconds(work: Callable[[], None], clock: Callable[[], float]) -> float:
    begun = clock()
    work()
    return clock() - begun


def _read() -> None:
    for _ in range(_READS):
        json.loads(EVENT)


def _store(connection: sqlite3.Connection) -> None:
    rows = [(EVENT,)] * BATCH
    for _ in range(_COMMITS):
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO event (body) VALUES (?)", rows)
        connection.execute("COMMIT")
