"""A copy of a log that may be in use: whatever was acknowledged before the copy began is in it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hxp_enterprise_llm.event.log.model import LogUnavailable
from hxp_enterprise_llm.event.log.sqlite.segment import remove, segment_paths
from hxp_enterprise_llm.runtime.files import sync
from hxp_enterprise_llm.runtime.sqlite_copy import copy_database


def copy_log(directory: Path, target: Path) -> None:
    """Copy the segments, oldest first, into the new directory `target`. Raises LogUnavailable, sqlite3.Error, OSError.

    The note of the head stays behind: who restores the copy begins a new epoch.
    """
    paths = segment_paths(directory)
    if not paths:
        raise LogUnavailable(f"there is no log in {directory}", maybe_stored=False)
    target.mkdir(mode=0o700)
    for path in paths:
        if not _copied(path, target / path.name) and path != paths[-1]:
            # The owner keeps its budget meanwhile: what is older than a dropped segment was dropped as well.
            # A newest one that is gone was that of a roll that was undone, and never held anything.
            for older in segment_paths(target):
                remove(older)
    sync(target)


def _copied(path: Path, target: Path) -> bool:
    """Copy a segment; False when its owner has dropped it."""
    try:
        copy_database(path, target)
    except sqlite3.OperationalError:
        remove(target)
        if path.exists():
            raise
        return False
    return True
