"""The file of the history: SQLite, its settings, its size, and what is done when it is damaged.

It holds nothing that the log has not told it, so that a commit need not reach the disk at once: after a power cut the
file is as it was some commits ago, its cursor too, and the log tells it again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from hxp_enterprise_llm.event.processing.history.model import TIERS, Cursor

T = TypeVar("T")

FORMAT = 1
PAGE_BYTES = 4096
_MOST_WAL_BYTES = 16 * 1024 * 1024
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE series (id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, since INTEGER NOT NULL);
CREATE TABLE parts (
    tier INTEGER NOT NULL,
    block INTEGER NOT NULL,
    series INTEGER NOT NULL,
    part INTEGER NOT NULL,
    folded INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (tier, block, series, part)
) WITHOUT ROWID;
CREATE INDEX unfolded ON parts (tier, block) WHERE folded = 0;
"""


class Budget:
    """How a disk budget is split, in bytes: the write-ahead log, and the pages of the file itself."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.wal = min(_MOST_WAL_BYTES, total // 4)
        self.pages = (total - self.wal) // PAGE_BYTES
        """The file never has more: SQLite refuses, and room is made."""
        self.comfortable = self.pages * 9 // 10
        """Beyond that the oldest detail goes."""


class Database:
    """One connection to the file, for one thread at a time."""

    def __init__(self, path: Path, budget: Budget) -> None:
        self.path, self.budget = path, budget
        self.connection = self._connect()

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Nobody else's, whatever the umask; what SQLite makes beside it is as the file itself.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            self._settle(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _settle(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, FORMAT):
            raise sqlite3.DatabaseError(f"the file has format {version}, this program writes {FORMAT}")
        for setting in (
            f"page_size = {PAGE_BYTES}",
            "auto_vacuum = INCREMENTAL",
            "journal_mode = WAL",
            "synchronous = NORMAL",
            f"wal_autocheckpoint = {self.budget.wal // 4 // PAGE_BYTES}",
            f"journal_size_limit = {self.budget.wal // 2}",
        ):
            connection.execute(f"PRAGMA {setting}")
        if not version:
            connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {FORMAT};COMMIT;")
        self._limit(connection)

    def _limit(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA max_page_count = {self.budget.pages}")

    def resize(self, budget: Budget) -> None:
        """Another budget. A file that is larger shrinks as it is trimmed."""
        self.budget = budget
        self._limit(self.connection)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it, or nothing."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself when the disk is full.
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def pages(self) -> tuple[int, int]:
        """Pages of the file, and how many of them are free."""
        (all_of_them,) = self.connection.execute("PRAGMA page_count").fetchone()
        (free,) = self.connection.execute("PRAGMA freelist_count").fetchone()
        return all_of_them, free

    def size(self) -> int:
        """Bytes on disk, with what stands beside the file."""
        return sum(_size(path) for path in files_of(self.path))

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()


class Meta:
    """What is said of the file as a whole; each change is part of the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, key: str, otherwise: T) -> T:
        """A value, or `otherwise`."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return otherwise if row is None else row[0]

    def put(self, key: str, value: str | int) -> None:
        """Set a value."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def cursor(self) -> Cursor:
        """How far the log is taken in; an empty epoch: not at all."""
        return Cursor(self.get("epoch", ""), self.get("position", 0))

    def floors(self) -> list[int]:
        """By tier: the first second that is still there; what was before it has been dropped."""
        return [self.get(f"floor:{tier.number}", 0) for tier in TIERS]


def files_of(path: Path) -> list[Path]:
    """The file and what SQLite keeps beside it."""
    return [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))]


def set_aside(path: Path) -> Path:
    """Put a damaged file out of the way, over one that was put there before; answers where it is now."""
    aside = path.with_name(path.name + ".damaged")
    for old, new in zip(files_of(path), files_of(aside), strict=True):
        new.unlink(missing_ok=True)
        if old.exists():
            os.replace(old, new)
    return aside


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def is_damage(error: sqlite3.Error | OSError) -> bool:
    """Whether the file itself is at fault, not the disk, a lock or its size."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.OperationalError | sqlite3.IntegrityError | sqlite3.ProgrammingError
    )


def is_full(error: sqlite3.Error | OSError) -> bool:
    """Whether there is no room, in the budget or on the disk."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def retrying(make_room: Callable[[], bool], work: Callable[[], T]) -> T:
    """Do work; as long as there is no room for it and room can be made, do it again. Raises sqlite3.Error."""
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            if not is_full(error) or not make_room():
                raise
