"""The disk of a simulated host: real files and the real SQLite, in a directory of their own, with faults.

A process that is killed loses what it had in memory; its files stay as they are. A power failure also tears what the
commit under way had written into a write-ahead log, as long as that commit was not answered. Errors are
raised where SQLite and the operating system raise them. Writes that were never synced are lost in
`tests/unit/log`, where the whole disk lies under SQLite; here they are not.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.sim.loop import SimLoop, answer

_WRITES = ("INSERT", "COMMIT")
_MAX_FRAME = 16
"""Where the index of a write-ahead log has the number of its frames, and below how many bytes each of them has."""
_WAL_HEADER_BYTES, _WAL_FRAME_BYTES = 32, 4096 + 24


@dataclass(frozen=True, slots=True)
class Loss:
    """What a power failure does: of so many bytes that an unanswered commit had written, `stays` remain.

    `rotten`: of the whole write-ahead log, as when a bit of it flipped: SQLite drops all behind it in silence.
    """

    stays: Callable[[int], int]
    rotten: bool = False


class SimConnection(sqlite3.Connection):
    """A connection that asks its disk before it writes."""

    disk: Disk

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        self.disk.before_sql(self, sql)
        return super().execute(sql, *args)

    def executemany(self, sql: str, *args: Any) -> sqlite3.Cursor:
        self.disk.before_sql(self, sql)
        return super().executemany(sql, *args)


class Disk:
    """Files below one directory, the handles of the living process on them, and what is wrong now."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        self.full = 0
        """How many causes keep it full."""
        self.failing_syncs = 0
        self.hangs_until = 0.0
        self._connections: dict[int, sqlite3.Connection] = {}
        self._handles: set[int] = set()
        self._wals: set[str] = set()
        """Where write-ahead logs are, if there are any."""
        self._before: dict[str, int] = {}
        self._torn_until = -1.0

    # What a process does

    def job(
        self, loop: SimLoop, end: float, future: Any, func: Callable[..., Any], args: tuple[Any, ...]
    ) -> Callable[[], None]:
        """A blocking call of a process on this host: done at once, answered at `end`."""

        def work() -> None:
            if loop.dead:
                return
            if loop.world.now < self.hangs_until:
                loop.world.at(self.hangs_until, work)
                return
            self._torn_until = end
            self._keep()
            loop.telling = self._keep
            try:
                with self.under():
                    result, error = func(*args), None
            except Exception as raised:  # whatever the job raises is its answer
                result, error = None, raised
            finally:
                loop.telling = None
            loop.world.at(max(end, loop.world.now), lambda: answer(loop, future, result, error))

        return work

    def _keep(self) -> None:
        """What has been written by now is not torn: whoever waited for it is told."""
        self._before = self._wal_ends()

    @contextlib.contextmanager
    def under(self) -> Iterator[None]:
        """What is opened, written and synced in here is on this disk."""
        disk = self

        def connect(*args: Any, **options: Any) -> sqlite3.Connection:
            connection: SimConnection = real[sqlite3, "connect"](*args, **({"factory": SimConnection} | options))
            connection.disk = disk
            disk._connections[id(connection)] = connection
            if not options.get("uri"):  # those only read
                disk._wals.add(f"{args[0]}-wal")
            return connection

        def open_(*args: Any, **options: Any) -> int:
            handle: int = real[os, "open"](*args, **options)
            disk._handles.add(handle)
            return handle

        def close(handle: int) -> None:
            disk._handles.discard(handle)
            real[os, "close"](handle)

        def writing(name: str) -> Callable[..., Any]:
            def call(*args: Any, **options: Any) -> Any:
                if disk.full:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return real[os, name](*args, **options)

            return call

        patches: dict[tuple[Any, str], Any] = {
            (sqlite3, "connect"): connect,
            (sqlite3.dbapi2, "connect"): connect,
            (os, "open"): open_,
            (os, "close"): close,
            (os, "posix_fallocate"): writing("posix_fallocate"),
        }
        real = {(place, name): getattr(place, name) for place, name in patches}
        for (place, name), value in patches.items():
            setattr(place, name, value)
        try:
            yield
        finally:
            for (place, name), value in real.items():
                setattr(place, name, value)

    def before_sql(self, connection: sqlite3.Connection, sql: str) -> None:
        """Raise what SQLite would raise for a statement now."""
        if not sql.startswith(_WRITES):
            return
        if self.full:
            raise _sqlite_error("database or disk is full", sqlite3.SQLITE_FULL)
        commits = sql == "COMMIT" or not connection.in_transaction
        if commits and self.failing_syncs:
            self.failing_syncs -= 1
            connection.rollback()
            raise _sqlite_error("disk I/O error", sqlite3.SQLITE_IOERR_FSYNC)

    # What happens to it

    def make_room(self) -> None:
        """One cause less for which the disk is full."""
        self.full = max(0, self.full - 1)

    def crash(self, now: float, loss: Loss | None) -> None:
        """The process is gone: its handles are closed, and the files are what they were in this moment."""
        found = self._contents()
        if loss is not None:
            unanswered = now < self._torn_until
            found = {path: self._after(path, content, loss, unanswered) for path, content in found.items()}
        self._let_go()
        for path in self._files():
            if path not in found:
                path.unlink()
        for path, content in found.items():
            # In place: the log knows its files by their inodes.
            with path.open("r+b" if path.exists() else "w+b") as file:
                file.write(content)
                file.truncate()

    def _after(self, path: Path, content: bytes, loss: Loss, unanswered: bool) -> bytes:
        """What a power failure leaves of a file."""
        if not path.name.endswith(".db-wal"):
            return content
        end = min(_wal_end(str(path)), len(content))
        before = self._before.get(str(path), end) if unanswered else end
        if before > end or (loss.rotten and path.name != "state.db-wal"):
            # The log was begun anew: what lies behind its end is of the last time round.
            before = 0
        kept = before + loss.stays(end - before)
        return content[:kept] + bytes(len(content) - kept)

    def _wal_ends(self) -> dict[str, int]:
        # Before each job, so it must cost little.
        ends = {}
        for path in self._wals:
            with contextlib.suppress(FileNotFoundError):
                ends[path] = _wal_end(path)
        return ends

    def _files(self) -> list[Path]:
        return [path for path in self.directory.rglob("*") if path.is_file()]

    def _contents(self) -> dict[Path, bytes]:
        # The index of a write-ahead log is in shared memory: it is made anew.
        return {path: path.read_bytes() for path in self._files() if not path.name.endswith("-shm")}

    def _let_go(self) -> None:
        for connection in self._connections.values():
            connection.close()
        for handle in self._handles:
            os.close(handle)
        self._connections.clear()
        self._handles.clear()


def _wal_end(path: str) -> int:
    """Where the frames end that SQLite knows of. Raises FileNotFoundError."""
    size = os.stat(path).st_size
    try:
        with open(path.removesuffix("-wal") + "-shm", "rb", buffering=0) as index:
            index.seek(_MAX_FRAME)
            frames = int.from_bytes(index.read(4), sys.byteorder)
    except FileNotFoundError:
        return size
    return min(size, _WAL_HEADER_BYTES + frames * _WAL_FRAME_BYTES)


def _sqlite_error(text: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode, error.sqlite_errorname = code, "SIMULATED"
    return error
