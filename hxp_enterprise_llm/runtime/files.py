"""Files that are whole after a crash at any moment, and directories that are not taken for empty."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Numbers of the errors of whoever finds no room."""


def put(path: Path, content: bytes) -> None:
    """Put new content in place of the old, durably, for our own user alone.

    Raises OSError, and then the old content is still there.
    """
    making = path.with_name(f"{path.name}.making")
    handle = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            # What an earlier run left may have another mode.
            os.fchmod(file.fileno(), 0o600)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        making.replace(path)
    except OSError:
        making.unlink(missing_ok=True)
        raise
    sync(path.parent)


def listed(directory: Path, suffix: str) -> list[Path]:
    """The files of a directory whose names end so, by name; one that is not there has none. Raises OSError.

    `Path.glob` passes over what goes wrong, all of it since Python 3.13: a directory that cannot be read seems empty.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return [directory / name for name in sorted(names) if name.endswith(suffix)]


def leave_to_owner(path: Path) -> None:
    """Let what root has made belong to the owner of its directory, who could not use it else. Raises OSError."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        # A root without this right, as in a container, works for itself.
        with suppress(PermissionError):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def sync(path: Path) -> None:
    """See a file or a directory to the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
