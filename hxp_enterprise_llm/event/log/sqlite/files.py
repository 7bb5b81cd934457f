"""The plain files beside the segments: the lock, the record of the head, the reserve."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from hxp_enterprise_llm.event.log.model import LogLocked, LogUnavailable
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.runtime.files import FULL, leave_to_owner, sync
from hxp_enterprise_llm.runtime.ownership import FileLock, Owned

_MOST_OFFSET = 2**53 - 1
_FILL_BYTES = 1024 * 1024


def prepare_directory(path: Path) -> None:
    """Make the directory and see that it can be written. Raises LogUnavailable with path and reason."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(_open(path / "lock", os.O_CREAT))
    except OSError as error:
        reason = f"cannot use {path} as the log's directory: {error.strerror}"
        raise LogUnavailable(reason, maybe_stored=False) from error


def forget_cached(path: Path) -> None:
    """Let the next read of a file that nobody writes come from the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def fill_ahead(path: Path, size: int) -> None:
    """Give a file so many bytes, zeros behind what it has, durably; without room it stays as it is. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        there = os.fstat(handle).st_size
        try:
            for start in range(there, size, _FILL_BYTES):
                os.pwrite(handle, bytes(min(_FILL_BYTES, size - start)), start)
        except OSError as error:
            os.ftruncate(handle, there)
            if error.errno not in FULL:
                raise
        os.fsync(handle)
    finally:
        os.close(handle)


def free_bytes(path: Path) -> float:
    """What the service may still write to the file system of a path; NaN when it does not say."""
    try:
        found = os.statvfs(path)
    except OSError:
        return math.nan
    return float(found.f_bavail * found.f_frsize)


def _open(path: Path, flags: int) -> int:
    is_new = not path.exists()
    handle = os.open(path, flags | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if is_new:
        leave_to_owner(path)
    return handle


class DirectoryLock(FileLock):
    """Exclusive ownership of the directory in which the lock's file is."""

    def acquire(self) -> None:
        """Raises LogLocked with the owner's process id."""
        try:
            super().acquire()
        except Owned as owned:
            raise LogLocked(str(owned.path.parent), owned.owner) from None


class Witnessed(NamedTuple):
    """What was noted outside the segments: the log had this epoch and reached this head."""

    epoch: str
    head: int
    same_file: bool
    """False when the note lies in another file than it was written to: the directory is a copy."""


class HeadWitness:
    """The head, noted after each commit in a file outside the log's directory, so that a restored directory shows.

    SQLite drops a damaged end of its write-ahead log in silence; the note shows that the log had been longer.
    It is one line of less than a disk sector, written over in place: `EPOCH HEAD INODE CRC`.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory.with_name(directory.name + ".head")
        self._former = directory / "head"
        self._handle = -1
        self._inode = 0

    def open(self) -> Witnessed | None:
        """What was noted last, or None when there is no readable note. Raises OSError."""
        if self._former.exists() and not self.path.exists():
            # Where the first release had it.
            self._former.rename(self.path)
            sync(self.path.parent)
        self._handle = _open(self.path, os.O_CREAT)
        self._inode = os.fstat(self._handle).st_ino
        return _witnessed(os.pread(self._handle, 256, 0), self._inode)

    @staticmethod
    def peek(directory: Path) -> Witnessed | None:
        """The same without touching anything: the owner may be running. Raises OSError, but not for a missing note."""
        path = directory.with_name(directory.name + ".head")
        if not path.exists():
            path = directory / "head"
        try:
            return _witnessed(path.read_bytes()[:256], path.stat().st_ino)
        except FileNotFoundError:
            return None

    def note(self, epoch: str, head: int) -> None:
        """Write the head down, for the next process; `sync` makes it outlast a power cut. Raises OSError."""
        content = f"{epoch} {head} {self._inode}".encode()
        line = (content + b" " + _crc(content)).ljust(127) + b"\n"
        if os.pwrite(self._handle, line, 0) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def sync(self, *, new: bool = False) -> None:
        """Make the note durable, and the file's name when it may be `new`. Raises OSError."""
        os.fdatasync(self._handle)
        if new:
            sync(self.path.parent)

    def close(self) -> None:
        """Let go of the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _witnessed(line: bytes, inode: int) -> Witnessed | None:
    fields = line.split()
    if len(fields) != 4 or _crc(b" ".join(fields[:3])) != fields[3]:
        return None
    return Witnessed(fields[0].decode(), int(fields[1]), int(fields[2]) == inode)


def _crc(content: bytes) -> bytes:
    return b"%08x" % crc32(content)


class Reserve:
    """A file that holds disk space back. It goes when the disk is full, so that alerts and checkpoints have room."""

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size

    def hold(self) -> bool:
        """Take the space; False when the disk has not so much. Raises OSError for other faults."""
        if not self.size or (self.path.exists() and self.path.stat().st_size == self.size):
            return True
        handle = _open(self.path, os.O_CREAT)
        try:
            os.posix_fallocate(handle, 0, self.size)
        except OSError as error:
            self.release()
            if error.errno in FULL:
                return False
            raise
        finally:
            os.close(handle)
        return True

    def release(self) -> None:
        """Give the space back to the disk."""
        self.path.unlink(missing_ok=True)


def request_trim(directory: Path, up_to: int) -> Path:
    """Ask the owner of a log to trim it, by a file; who may write there, may ask. It goes when the trim is done."""
    request = directory / "trim"
    new = request.with_suffix(".asked")
    new.write_text(f"{min(up_to, _MOST_OFFSET)}\n")
    leave_to_owner(new)
    new.rename(request)
    return request


def trim_request(directory: Path) -> Offset | None:
    """Up to where the owner is asked to trim, if it is. What is no number, or cannot be read, asks for nothing."""
    request = directory / "trim"
    if not request.is_file():
        return None
    try:
        text = request.read_bytes()[:32].decode("ascii", "replace").strip()
    except OSError:
        return Offset(0)
    return Offset(int(text)) if text.isdecimal() and len(text) <= len(str(_MOST_OFFSET)) else Offset(0)


def trim_done(directory: Path) -> None:
    """Tell who asked."""
    (directory / "trim").unlink(missing_ok=True)
