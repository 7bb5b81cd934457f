"""Events on disk while the service is away: one directory, lines in the order in which they came.

    BASE/NAME/lock            held (flock) by the process that owns the directory
    BASE/NAME/00000001.ndjson a segment: one event a line
    BASE/NAME/cursor          how many bytes of the oldest segment are stored by the service already

What a process leaves behind when it dies is claimed by the next one that begins. A cursor that was lost only means
that events are sent again; the service knows them by source and id.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("hxp.client")

SEGMENT_BYTES = 4 * 1024 * 1024
_LONGEST_LINE = 16 * 1024 * 1024
_TRIES = 100


class SpoolFull(Exception):
    """There is no room for these events: the bound is reached, or the disk is full (`reason`)."""

    def __init__(self, directory: Path, reason: str) -> None:
        super().__init__(directory, reason)
        self.directory, self.reason = directory, reason

    def __str__(self) -> str:
        return f"the spool {self.directory} takes no more events: {self.reason}"


class Spool:
    """Lines on disk, oldest first. Owned by one process, used by one thread of it."""

    def __init__(self, directory: Path, lock: int, max_bytes: int) -> None:
        self.directory, self._max_bytes = directory, max_bytes
        self._lock: int | None = lock
        self._segments = sorted(int(path.stem) for path in directory.glob("*.ndjson"))
        self._mend()
        self._offset = self._read_cursor()
        self.bytes = sum(self._path(number).stat().st_size for number in self._segments) - self._offset
        """Bytes that are not stored by the service yet."""

    @classmethod
    def claim(cls, base: Path, max_bytes: int, new_id: Callable[[], str]) -> list[Spool]:
        """What others left behind, oldest first, and an empty spool of our own at the end. Raises OSError."""
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        left = sorted((path for path in base.iterdir() if path.is_dir()), key=_changed)
        spools = [spool for path in left if (spool := cls._adopt(path, max_bytes)) is not None]
        return [*spools, cls._new(base, max_bytes, new_id)]

    @classmethod
    def _adopt(cls, directory: Path, max_bytes: int) -> Spool | None:
        """What somebody left behind; None when it is somebody's, or cannot be read."""
        try:
            return cls._open(directory, max_bytes)
        except OSError as error:
            log.error("the spool %s is left alone: %s", directory, error)
            return None

    @classmethod
    def _new(cls, base: Path, max_bytes: int, new_id: Callable[[], str]) -> Spool:
        """A spool of our own. Before it is locked, another process may take it for one that was left behind."""
        for _ in range(_TRIES):
            own = base / new_id()
            own.mkdir(mode=0o700)
            spool = cls._open(own, max_bytes)
            if spool is not None:
                return spool
        raise OSError(errno.EAGAIN, "others are faster", str(base))

    @classmethod
    def _open(cls, directory: Path, max_bytes: int) -> Spool | None:
        """The spool there; None when another process owns it or has just done with it. Raises OSError."""
        try:
            lock = os.open(directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it may have removed it between our opening it and our locking it.
            if os.fstat(lock).st_nlink:
                return cls(directory, lock, max_bytes)
        except BlockingIOError:
            pass
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        return None

    @property
    def empty(self) -> bool:
        return self.bytes == 0

    def append(self, lines: Sequence[bytes]) -> None:
        """Add lines and see them to the disk: all or none. Raises SpoolFull."""
        data = b"\n".join(lines) + b"\n"
        if self.bytes + len(data) > self._max_bytes:
            raise SpoolFull(self.directory, f"it may hold {self._max_bytes:,} bytes and holds {self.bytes:,}")
        path = self._path(self._writable())
        size = path.stat().st_size if path.exists() else 0
        try:
            with path.open("ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):  # a torn end is cut off when the spool is opened again
                os.truncate(path, size)
            raise SpoolFull(self.directory, error.strerror or str(error)) from error
        self.bytes += len(data)

    def peek(self, most_events: int, most_bytes: int) -> list[bytes]:
        """The oldest lines, within both bounds; a line that is larger comes alone. Raises OSError."""
        if self.empty:
            return []
        with self._path(self._segments[0]).open("rb") as file:
            file.seek(self._offset)
            text = file.read(most_bytes)
            if b"\n" not in text:
                text += file.readline(_LONGEST_LINE)
        return text[: text.rindex(b"\n")].split(b"\n")[:most_events] if b"\n" in text else []

    def advance(self, lines: Sequence[bytes]) -> None:
        """These lines, the oldest, are done with. Raises OSError."""
        size = sum(map(len, lines)) + len(lines)
        self._offset += size
        self.bytes -= size
        oldest = self._path(self._segments[0])
        if self._offset < oldest.stat().st_size:
            self._write_cursor()
            return
        oldest.unlink()
        del self._segments[0]
        self._offset = 0
        (self.directory / "cursor").unlink(missing_ok=True)

    def release(self) -> None:
        """Give the directory up; one with nothing in it goes."""
        if self.empty:
            shutil.rmtree(self.directory, ignore_errors=True)
        self.forget()

    def forget(self) -> None:
        """Close our copy of the lock: after a fork the parent goes on to own the directory. Idempotent."""
        lock, self._lock = self._lock, None
        # Its number may be that of another file by now.
        if lock is not None:
            os.close(lock)

    def _path(self, number: int) -> Path:
        return self.directory / f"{number:08}.ndjson"

    def _writable(self) -> int:
        """The newest segment, or a new one when it is large or there is none."""
        if not self._segments or self._path(self._segments[-1]).stat().st_size >= SEGMENT_BYTES:
            number = self._segments[-1] + 1 if self._segments else 1
            self._path(number).touch(mode=0o600)
            self._segments.append(number)
        return self._segments[-1]

    def _mend(self) -> None:
        """Cut off what a process that died had written in part, and leave out segments with nothing in them."""
        for number in tuple(self._segments):
            path = self._path(number)
            whole = _whole_bytes(path)
            os.truncate(path, whole)
            if not whole:
                path.unlink()
                self._segments.remove(number)

    def _read_cursor(self) -> int:
        if not self._segments:
            return 0
        try:
            number, offset = map(int, (self.directory / "cursor").read_text("ascii").split())
        except (OSError, ValueError):
            return 0
        fits = number == self._segments[0] and 0 <= offset < self._path(number).stat().st_size
        return offset if fits and self._begins_line(number, offset) else 0

    def _begins_line(self, number: int, offset: int) -> bool:
        with self._path(number).open("rb") as file:
            file.seek(max(0, offset - 1))
            return offset == 0 or file.read(1) == b"\n"

    def _write_cursor(self) -> None:
        written = self.directory / "cursor.new"
        written.touch(mode=0o600)
        written.write_text(f"{self._segments[0]} {self._offset}", "ascii")
        written.replace(self.directory / "cursor")


def _changed(directory: Path) -> float:
    """When a directory was changed last; one that has just been removed comes first."""
    try:
        return directory.stat().st_mtime
    except OSError:
        return 0.0


def _whole_bytes(path: Path) -> int:
    """Bytes up to the last line end."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            begin = max(0, end - 65536)
            file.seek(begin)
            at = file.read(end - begin).rfind(b"\n")
            if at >= 0:
                return begin + at + 1
            end = begin
    return 0
