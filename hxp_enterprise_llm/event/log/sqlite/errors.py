"""What an error of SQLite or of the file system means for a log."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from hxp_enterprise_llm.event.log.model import LogCorrupt, LogError, LogFull, LogUnavailable
from hxp_enterprise_llm.runtime.files import FULL

_NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE}
_TRANSIENT = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN}
"""Nothing was written then: a file that cannot be opened, for want of descriptors say, is tried again later."""
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PERHAPS_FULL = {sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP}
_PROBE_BYTES = 64 * 1024


def explain(error: sqlite3.Error | OSError, path: Path) -> LogError:
    """The log's error for one that was met while the file at `path` was written."""
    if isinstance(error, OSError):
        where = error.filename or path
        if error.errno in FULL:
            return LogFull(f"{where}: {error.strerror}")
        return LogUnavailable(f"{where}: {error.strerror}", maybe_stored=error.errno not in _NO_DESCRIPTOR)
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    primary = code & 0xFF
    if primary in _CORRUPT:
        return LogCorrupt(str(path), str(error))
    if primary == sqlite3.SQLITE_FULL:
        return LogFull(f"{path}: {os.strerror(errno.ENOSPC)}")
    if (code in _PERHAPS_FULL or primary == sqlite3.SQLITE_CANTOPEN) and (reason := _why_full(path)):
        return LogFull(f"{path}: {reason}")
    name = getattr(error, "sqlite_errorname", "")
    return LogUnavailable(f"{path}: {error} ({name})", maybe_stored=primary not in _TRANSIENT)


def is_fatal(error: LogError) -> bool:
    """Whether the process must end: what the disk holds is no longer known, and only opening the log anew tells."""
    return isinstance(error, LogCorrupt) or (isinstance(error, LogUnavailable) and error.maybe_stored)


def _why_full(path: Path) -> str:
    """Why no file beside `path` can outgrow its write-ahead log; empty when one can.

    SQLite reports a used-up quota and a limit on the size of files as an I/O error, as it does a broken disk.
    """
    wal = path.with_name(path.name + "-wal")
    probe = path.with_name("probe")
    try:
        handle = os.open(probe, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(handle, bytes(_PROBE_BYTES), wal.stat().st_size if wal.exists() else 0)
        finally:
            os.close(handle)
            probe.unlink()
    except OSError as error:
        return os.strerror(error.errno) if error.errno in FULL else ""
    return ""
