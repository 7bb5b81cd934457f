"""Files that come, change and go below some directories."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from hxp_enterprise_llm.config.sources import WatchedConfig
from hxp_enterprise_llm.event.sources.pollers.model import Item, PollError, Reading
from hxp_enterprise_llm.telemetry.text import clean

MOST = 1000
"""Changes that one look tells; the rest waits for the next."""
_MAX_PATH = 1000


class File(NamedTuple):
    """A file as it was seen: its directory by number, and its path below that."""

    directory: int
    path: str


class Stamp(NamedTuple):
    """What changes with a file; nanoseconds, bytes."""

    modified: int
    size: int


Seen = Mapping[File, Stamp]


class Activity:
    """Tells what has changed since the look before. The first look only learns what is there."""

    def __init__(self, directories: Sequence[WatchedConfig], max_files: int) -> None:
        self._directories, self._max_files = directories, max_files
        self._seen: dict[File, Stamp] | None = None

    async def ask(self) -> Reading:
        """Look once. Raises PollError: a directory cannot be read, or there are too many files."""
        found = await asyncio.to_thread(self._look)
        if self._seen is None:
            self._seen = found
        items = []
        for file in changed(self._seen, found)[:MOST]:
            items.append(self._item(file, found.get(file)))
            if file in found:
                self._seen[file] = found[file]
            else:
                del self._seen[file]
        return Reading(items)

    def _look(self) -> dict[File, Stamp]:
        found: dict[File, Stamp] = {}
        for number, watched in enumerate(self._directories):
            for path, stamp in _files(watched.path, watched.include):
                found[File(number, path)] = stamp
                if len(found) > self._max_files:
                    limit = f"more than {self._max_files:,} files are there"
                    raise PollError(f"{limit}: name smaller directories, or raise sources.activity.max_files")
        return found

    def _item(self, file: File, stamp: Stamp | None) -> Item:
        assert self._seen is not None
        watched, path = self._directories[file.directory], clean(file.path, _MAX_PATH)
        change = "removed" if stamp is None else "changed" if file in self._seen else "created"
        data: dict[str, object] = {"path": path, "directory": watched.path, "change": change}
        if stamp is not None:
            data["size_bytes"] = stamp.size
        if watched.topic:
            data["topic"] = watched.topic
        return Item("file.activity", data, path)


def changed(before: Seen, after: Seen) -> list[File]:
    """The files that are not as they were, in order."""
    return sorted(file for file in before.keys() | after.keys() if before.get(file) != after.get(file))


def _files(root: str, include: Sequence[str]) -> Iterator[tuple[str, Stamp]]:
    """The plain files below a directory. Raises PollError."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        for entry in _entries(root, below):
            found = None if entry.name.startswith(".") else _status(entry)
            path = os.path.join(below, entry.name)
            if found is not None and stat.S_ISDIR(found.st_mode):
                waiting.append(path)
            elif found is not None and stat.S_ISREG(found.st_mode) and _counts(entry.name, include):
                yield path, Stamp(found.st_mtime_ns, found.st_size)


def _entries(root: str, below: str) -> list[os.DirEntry[str]]:
    place = os.path.join(root, below) if below else root
    try:
        with os.scandir(place) as entries:
            return list(entries)
    except OSError as error:
        if below and isinstance(error, FileNotFoundError):
            return []
        raise PollError(f"{clean(place, 200)} cannot be read: {error.strerror}") from None


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What is there, no link followed; None when it is gone meanwhile, or not ours to look at."""
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:
        return None


def _counts(name: str, include: Sequence[str]) -> bool:
    return not include or any(fnmatchcase(name, pattern) for pattern in include)
