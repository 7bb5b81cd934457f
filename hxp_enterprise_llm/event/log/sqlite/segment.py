"""A segment of the log: one SQLite file. One connection writes and checkpoints it, another only reads."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from hxp_enterprise_llm.event.log.chunks import Chunk
from hxp_enterprise_llm.event.log.model import LogCorrupt, LogUnavailable
from hxp_enterprise_llm.event.log.packing import Damaged, Record, unpack
from hxp_enterprise_llm.event.log.sqlite.files import fill_ahead
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.runtime.files import leave_to_owner, listed

APPLICATION_ID = 0x48585045
FORMAT = 2
_FORMATS = (1, FORMAT)
"""In the first one no body is compressed. A segment that is written becomes one of the second."""

_TABLES = [
    "CREATE TABLE segment (epoch TEXT NOT NULL, first INTEGER NOT NULL)",
    """CREATE TABLE record (
    last_offset INTEGER PRIMARY KEY,
    n INTEGER NOT NULL,
    at REAL NOT NULL,
    types BLOB NOT NULL,
    identities BLOB NOT NULL,
    body BLOB NOT NULL,
    crc INTEGER NOT NULL
)""",
]
_COLUMNS = "last_offset, n, at, types, identities, body, crc"
_INSERT = f"INSERT INTO record ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"
_PAGE_BYTES, _FRAME_BYTES = 4096, 24
"""Of SQLite as it comes: a page, and what stands before it in the write-ahead log."""

_COLUMN_TYPES = (int, int, float, bytes, bytes, bytes, int)


class DamagedRow(sqlite3.DatabaseError):
    """A row that could not have been written by us."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    sqlite_errorname = "SQLITE_CORRUPT"

    def __str__(self) -> str:
        return "a record's columns have other types than were written"


class Header(NamedTuple):
    """What a segment says about itself."""

    path: Path
    number: int
    epoch: str
    first: Offset
    last: Offset
    """Offset of its last event; first - 1 while it is empty."""
    size: int
    """Bytes on disk."""
    fault: str = ""
    """Why nothing of it is read; then its place is what its neighbours leave it, and its epoch, if empty, not known."""


def segment_paths(directory: Path) -> list[Path]:
    """The segments of a directory, oldest first. Raises OSError."""
    return sorted((p for p in listed(directory, ".db") if p.stem.isdecimal()), key=lambda path: int(path.stem))


def size_on_disk(path: Path) -> int:
    """Bytes of a segment with its write-ahead log; of one that was dropped just now none."""
    return sum(map(_bytes, (path, wal_of(path))))


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def wal_of(path: Path) -> Path:
    """The write-ahead log of a segment."""
    return path.with_name(path.name + "-wal")


def wal_bytes(content: int) -> int:
    """What a commit of so many bytes takes in the write-ahead log, about: their pages, and those above them."""
    return (content // _PAGE_BYTES + 2) * (_PAGE_BYTES + _FRAME_BYTES)


def journal_of(path: Path) -> Path:
    """The rollback journal of a segment: there while its mode is changed."""
    return path.with_name(path.name + "-journal")


def recover(path: Path) -> None:
    """Undo a change that a killed process left half done: whoever only reads cannot. Raises sqlite3.Error."""
    if journal_of(path).exists():
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        finally:
            connection.close()


def create(path: Path, epoch: str, first: Offset) -> None:
    """Write an empty segment under its name, whole or not at all. Raises sqlite3.Error, OSError."""
    new = path.with_suffix(".new")
    remove(new)
    # SQLite gives its files the mode of an existing empty one.
    os.close(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(new, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        # One transaction: each is five syncs, and whoever appends waits for them.
        connection.execute("BEGIN")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={FORMAT}")
        for table in _TABLES:
            connection.execute(table)
        connection.execute("INSERT INTO segment VALUES (?, ?)", (epoch, first))
        connection.execute("COMMIT")
    finally:
        connection.close()
    leave_to_owner(new)
    new.rename(path)


def remove(path: Path) -> None:
    """Unlink a segment and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


class SegmentWriter:
    """The connection that writes and checkpoints the active segment. Raises sqlite3.Error,
    and LogUnavailable where SQLite cannot keep its promise.

    There is no other checkpointer: releases before 3.51.3 damage the file when a checkpoint on one connection meets
    a commit on another.
    """

    def __init__(self, path: Path, *, ahead: int = 0) -> None:
        """`ahead`: the bytes that the write-ahead log has from the beginning.

        A commit that makes the file longer waits for the journal of the file system as well, several times as long as
        one that writes over what is there.
        """
        self.path = path
        # Not bound to a thread: the calls come one at a time, from whichever thread of the executor is free.
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            self._set("journal_mode", "WAL")
            self._set("synchronous", 2)
            self._set("wal_autocheckpoint", 0)
            self._execute("PRAGMA cell_size_check=ON")
            if not os.access(path, os.W_OK):
                # SQLite would open it for reading alone, and only the first append would tell.
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            self._inode = path.stat().st_ino
            if self._connection.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
                self._set("user_version", FORMAT)
            if ahead:
                # SQLite makes the file when it reads, and takes the first bytes that are no frame for its end.
                self._execute("SELECT count(*) FROM segment")
                fill_ahead(wal_of(path), ahead)
        except BaseException:
            # One that is left to be closed some day would take the write-ahead log of the file's next writer along.
            self.close()
            raise

    def _set(self, name: str, value: str | int) -> None:
        self._execute(f"PRAGMA {name}={value}")
        found = self._connection.execute(f"PRAGMA {name}").fetchone()[0]
        if str(found).upper() != str(value):
            self.close()
            reason = f"{self.path}: SQLite keeps {name}={found} instead of {value}; put the log on a local disk"
            raise LogUnavailable(reason, maybe_stored=False)

    def _execute(self, sql: str) -> None:
        self._connection.execute(sql).fetchall()

    def require_in_place(self) -> None:
        """Raises OSError when the file has another name now, or another file has its name."""
        if self.path.stat().st_ino != self._inode:
            raise FileNotFoundError(2, "it was replaced by another file", str(self.path))

    def insert(self, records: Sequence[Record]) -> None:
        """Commit the records in one transaction: all of them are on disk, or none is in the log."""
        self.require_in_place()
        if len(records) == 1:
            # The usual case: a statement is a transaction by itself, and each further one lets other threads run first.
            self._connection.execute(_INSERT, records[0])
            return
        self._execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(_INSERT, records)
            self._execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
            raise

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file, as far as no reader is in the way; it never waits for one."""
        self._execute("PRAGMA wal_checkpoint(PASSIVE)")

    def seal(self) -> None:
        """Make the segment a single file that nobody writes again. There must be no reader."""
        self._execute("PRAGMA journal_mode=DELETE")
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


class SegmentReader:
    """A connection that only reads. `sealed`: nobody writes the file, so that it takes no locks.

    Raises sqlite3.Error, and LogCorrupt naming file and record.
    """

    def __init__(self, path: Path, *, sealed: bool) -> None:
        self.path = path
        uri = f"file:{quote(str(path))}?mode=ro" + ("&immutable=1" if sealed else "")
        self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)
        self._latest: Chunk | None = None
        try:
            self._connection.execute("PRAGMA query_only=ON")
            self._connection.execute("PRAGMA wal_autocheckpoint=0")
            self._connection.execute("PRAGMA cell_size_check=ON")
        except BaseException:
            self.close()
            raise

    def header(self) -> Header:
        """What the segment says about itself."""
        try:
            application = self._connection.execute("PRAGMA application_id").fetchone()[0]
            form = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if application != APPLICATION_ID:
                raise LogCorrupt(str(self.path), "is no segment of an event log")
            if form not in _FORMATS:
                reason = f"has format {form}, this program reads {' and '.join(map(str, _FORMATS))}"
                raise LogCorrupt(str(self.path), f"{reason}: a newer release wrote it, or it is damaged")
            epoch, first = self._connection.execute("SELECT epoch, first FROM segment").fetchone()
            last = self._connection.execute("SELECT max(last_offset) FROM record").fetchone()[0]
            tables = [row[0] for row in self._connection.execute("SELECT sql FROM sqlite_master ORDER BY rowid")]
        except TypeError as error:
            raise LogCorrupt(str(self.path), "has no header") from error
        except UnicodeDecodeError as error:
            # SQLite quotes a damaged schema in its message.
            raise LogCorrupt(str(self.path), "its header is damaged") from error
        if tables != _TABLES or not isinstance(epoch, str) or not isinstance(first, int):
            raise LogCorrupt(str(self.path), "its header is damaged")
        last = Offset(first - 1 if last is None else last)
        return Header(self.path, int(self.path.stem), epoch, Offset(first), last, size_on_disk(self.path))

    def records(self, after: Offset, up_to: Offset) -> Iterator[Record]:
        """Records with events beyond `after` and at or below `up_to`, oldest first."""
        return self._select("last_offset > ? AND last_offset <= ? ORDER BY last_offset", (after, up_to))

    def newest_first(self) -> Iterator[Record]:
        """All records, backwards."""
        return self._select("TRUE ORDER BY last_offset DESC", ())

    def _select(self, where: str, parameters: tuple[int, ...]) -> Iterator[Record]:
        cursor = self._connection.execute(f"SELECT {_COLUMNS} FROM record WHERE {where}", parameters)
        try:
            for row in cursor:
                if tuple(map(type, row)) != _COLUMN_TYPES:
                    raise DamagedRow
                yield Record._make(row)
        finally:
            # A half-read statement would hold the write-ahead log back from its checkpoint. A connection that was
            # closed meanwhile has ended it already.
            with suppress(sqlite3.ProgrammingError):
                cursor.close()

    def chunks(self, after: Offset, up_to: Offset) -> Iterator[Chunk]:
        """Events of the records beyond `after`, verified."""
        latest = self._latest
        # A page may end inside a record: the next one goes on there without unpacking all of it again.
        if latest is not None and latest.events.offsets[0] <= after + 1 <= latest.last:
            yield latest
            after = latest.last
        for record in self.records(after, up_to):
            try:
                self._latest = unpack(record)
            except Damaged as error:
                raise damage(self.path, record, error) from error
            yield self._latest

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def damage(path: Path, record: Record, error: Damaged) -> LogCorrupt:
    """The error for a damaged record, with its place."""
    return LogCorrupt(f"{path}, record {record.last}", str(error))
