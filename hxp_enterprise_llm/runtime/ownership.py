"""Exclusive ownership of files for the life of a process, by flock: it ends with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from hxp_enterprise_llm.runtime.files import leave_to_owner


class Owned(Exception):
    """Another process has it. `owner` is who, such as `process 4711`."""

    def __init__(self, path: Path, owner: str) -> None:
        super().__init__(path, owner)
        self.path, self.owner = path, owner

    def __str__(self) -> str:
        return f"{self.path} is held by {self.owner}"


class FileLock:
    """Ownership, told by a file that names the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self) -> None:
        """Raises Owned, OSError."""
        handle = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            os.close(handle)
            raise Owned(self._path, f"process {owner or '(unknown)'}") from None
        self._handle = handle
        # The name is for people: on a disk without room for it the lock holds all the same.
        with suppress(OSError):
            # Else a lock of root's, who looks at the files of somebody else, would keep him out afterwards.
            leave_to_owner(self._path)
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others have it. Idempotent."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
