"""Readers of the disk while the log is written, and what becomes of a commit whose note cannot be made."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from itertools import islice
from pathlib import Path
from typing import Self

import pytest

from hxp_enterprise_llm.event.log.model import LogFull
from hxp_enterprise_llm.event.log.sqlite import store as store_module
from hxp_enterprise_llm.event.log.sqlite.store import Sizes, Store
from hxp_enterprise_llm.event.log.window import IdentityWindow
from hxp_enterprise_llm.event.model import BEGINNING, Encoded
from hxp_enterprise_llm.runtime.clock import SystemClock


def batch(number: int) -> list[Encoded]:
    return [Encoded("/t", f"{number}-{i}", "t.a", b'{"id":"%d-%d"}' % (number, i)) for i in range(3)]


class Announced:
    """A lock that says when somebody wants it."""

    def __init__(self) -> None:
        self._lock, self.wanted = threading.Lock(), threading.Event()

    def __enter__(self) -> Self:
        self.wanted.set()
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of two segments: one sealed, one with a batch that is in the write-ahead log only."""
    monkeypatch.setattr(store_module, "_LEAST_SEGMENT_BYTES", 1)
    made = Store(tmp_path / "log", Sizes(1, 1 << 30, 0), IdentityWindow(1000, 600.0), SystemClock())
    made.open()
    made.commit([batch(0)])
    made.maintain()
    made.commit([batch(1)])
    assert len(list((tmp_path / "log").glob("*.db"))) == 2
    yield made
    made.close()


def test_the_budget_holds_where_every_commit_fills_a_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under load there is one piece of upkeep after each commit: it has to do for both."""
    monkeypatch.setattr(store_module, "_LEAST_SEGMENT_BYTES", 1)
    made = Store(tmp_path / "log", Sizes(1, 100_000, 0), IdentityWindow(1000, 600.0), SystemClock())
    made.open()
    for number in range(20):
        made.commit([batch(number)])
        made.maintain()
    sizes = [path.stat().st_size for path in (tmp_path / "log").glob("*.db")]
    assert sum(sizes) <= 100_000 + 2 * max(sizes)
    made.close()


def test_a_commit_while_somebody_reads_hides_nothing_from_it(store: Store) -> None:
    """The segment that is written is read with its write-ahead log, however often it changed meanwhile."""
    head = store.view().bounds.head
    with store._segments.reading():
        chunks = store._segments.chunks(BEGINNING, head)
        found = [event.offset for chunk in islice(chunks, 1) for event in chunk.events]
        store.commit([batch(2)])
        found += [event.offset for chunk in chunks for event in chunk.events]
    assert found == list(range(1, head + 1))
    assert len(store.read(BEGINNING, 100, None, store.view().bounds.head).events) == 9


def test_a_roll_while_somebody_reads_hides_nothing_from_it(store: Store) -> None:
    """The new segment takes the place of the old one when nobody reads."""
    store._segments._guard = guard = Announced()
    head = store.view().bounds.head
    rolling = threading.Thread(target=store.maintain)
    with store._segments.reading():
        guard.wanted.clear()
        rolling.start()
        assert guard.wanted.wait(10)
        found = [event.offset for chunk in store._segments.chunks(BEGINNING, head) for event in chunk.events]
    rolling.join(10)
    assert found == list(range(1, head + 1))
    assert len(list(store.directory.glob("*.db"))) == 3


def test_one_connection_writes_and_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Releases of SQLite before 3.51.3 damage a file when a checkpoint on one connection meets a commit on another."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *place, **how: opened.append(connect(*place, **how)) or opened[-1])
    monkeypatch.setattr(store_module, "_LEAST_SEGMENT_BYTES", 20_000)
    made = Store(tmp_path / "log", Sizes(1, 1 << 30, 0), IdentityWindow(1000, 600.0), SystemClock())
    made.open()
    for number in range(3):
        made.commit([batch(number)])
        made.read(BEGINNING, 100, None, made.view().bounds.head)
        assert sorted(map(_powers, filter(_is_open, opened))) == [(0, 0), (1, 0)]
    made.trim(made.view().bounds.head)
    made.commit([batch(3)])
    assert sorted(map(_powers, filter(_is_open, opened)))[0] == (0, 0)
    assert sum(not _powers(each)[0] for each in filter(_is_open, opened)) == 1
    made.close()
    assert not any(map(_is_open, opened))


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


def _powers(connection: sqlite3.Connection) -> tuple[int, int]:
    """Whether it only reads, and after how many pages it checkpoints by itself."""
    one, other = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("query_only", "wal_autocheckpoint"))
    return one, other


def test_events_whose_note_finds_no_room_are_stored_and_not_stored_again(store: Store, monkeypatch) -> None:
    """Refused they would be sent again, and be in the log twice; then nothing more is taken until there is room."""
    whole, now = os.pwrite, [1000.0]
    monkeypatch.setattr(store._clock, "monotonic", lambda: now[0], raising=False)

    def full(handle: int, data: bytes, place: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    committed = store.commit([batch(2)])
    assert [answer.duplicate for answer in committed.answers[0]] == [False] * 3
    assert [event.offset for event in committed.chunks[0].events] == [7, 8, 9]
    assert "No space left" in committed.view.full
    for _ in range(2):
        with pytest.raises(LogFull):
            store.commit([batch(3)])
        now[0] += 2.0
    monkeypatch.setattr(os, "pwrite", whole)
    assert [answer.offset for answer in store.commit([batch(2)]).answers[0]] == [7, 8, 9]
    assert [answer.offset for answer in store.commit([batch(3)]).answers[0]] == [10, 11, 12]
    store.close()
    assert store.open().doubt == ""


def test_a_note_of_which_half_is_written_counts_as_no_room(store: Store, monkeypatch) -> None:
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, data, place: whole(handle, data[:60], place))
    assert store.commit([batch(2)]).view.full
    monkeypatch.setattr(os, "pwrite", whole)
    monkeypatch.setattr(store, "_space_checked", float("-inf"))
    store.commit([batch(3)])
    store.close()
    assert store.open().doubt == ""
