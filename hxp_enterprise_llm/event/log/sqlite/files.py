"""The plain files beside the segments: the lock, the record of the head, the reserve."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from hxp_enterprise_llm.event.log.model import LogLocked, LogUnavailable
from hxp_enterprise_llm.event.model import Offset

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def prepare_directory(path: Path) -> None:
    """Make the directory and see that it can be written. Raises LogUnavailable with path and reason."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(_open(path / "lock", os.O_CREAT))
    except OSError as error:
        reason = f"cannot use {path} as the log's directory: {error.strerror}"
        raise LogUnavailable(reason, maybe_stored=False) from error


def sync_directory(path: Path) -> None:
    """Make new, renamed and unlinked names of a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def forget_cached(path: Path) -> None:
    """Let the next read of a file that nobody writes come from the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def _open(path: Path, flags: int) -> int:
    return os.open(path, flags | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


class DirectoryLock:
    """Exclusive ownership of a directory for the life of a process, by flock: it ends with the process, however."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self) -> None:
        """Raises LogLocked with the owner's process id."""
        handle = _open(self._path, os.O_CREAT)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            os.close(handle)
            raise LogLocked(str(self._path.parent), f"process {owner or '(unknown)'}") from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def release(self) -> None:
        """Let others own the directory."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


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
            sync_directory(self.path.parent)
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
            sync_directory(self.path.parent)

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
            if error.errno in _FULL:
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
    new.write_text(f"{up_to}\n")
    new.rename(request)
    return request


def trim_request(directory: Path) -> Offset | None:
    """Up to where the owner is asked to trim, if it is. What is no number is no request."""
    try:
        text = (directory / "trim").read_text("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    return Offset(int(text)) if text.isdecimal() else Offset(0)


def trim_done(directory: Path) -> None:
    """Tell who asked."""
    (directory / "trim").unlink(missing_ok=True)
