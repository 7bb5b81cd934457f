"""A whole copy of an SQLite file that another process may be writing, taken by a connection that only reads."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from hxp_enterprise_llm.runtime.files import sync

_SHARED_FIRST, _SHARED_BYTES = 0x40000002, 510
"""Where SQLite locks a file as long as a connection to it is open in WAL mode."""


def copy_database(source: Path, target: Path) -> None:
    """Copy what is committed now into `target`, a single file that only its owner reads, and see it to the disk.

    The source is neither written nor checkpointed, and its writer does not wait. All pages are taken in one step: in
    several the copy would begin anew with every commit. Raises sqlite3.Error, OSError.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    uri = f"file:{quote(str(source))}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)) as reading,
        closing(sqlite3.connect(target, isolation_level=None)) as writing,
    ):
        reading.execute("PRAGMA query_only=ON")
        reading.backup(writing, pages=-1)
        writing.execute("PRAGMA journal_mode=DELETE").fetchall()
    sync(target)


def damage_of(path: Path) -> str:
    """What SQLite finds wrong with a file that nobody writes; empty when nothing is."""
    uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)
    return "" if found == "ok" else found


def is_open(path: Path) -> bool:
    """Whether another process has the file open as a database. Raises OSError."""
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_BYTES, _SHARED_FIRST)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EAGAIN}:
            raise
        return True
    finally:
        os.close(handle)
    return False
