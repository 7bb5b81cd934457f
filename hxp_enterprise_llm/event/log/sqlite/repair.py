"""Salvage: a new log directory of all that is whole; the old one is kept beside it.

Offsets stay what they were. When something is missing, the repaired log begins a new epoch beyond all that the old one
may have given out, so that readers learn of it and no offset means two events.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from hxp_enterprise_llm.event.log.model import LogError, LogFull, LogUnavailable
from hxp_enterprise_llm.event.log.packing import Record
from hxp_enterprise_llm.event.log.sqlite import directory as log_directory
from hxp_enterprise_llm.event.log.sqlite import segment
from hxp_enterprise_llm.event.log.sqlite.directory import Progress, Summary
from hxp_enterprise_llm.event.log.sqlite.errors import explain
from hxp_enterprise_llm.event.log.sqlite.examine import Damage, size_of
from hxp_enterprise_llm.event.log.sqlite.files import HeadWitness
from hxp_enterprise_llm.event.log.sqlite.segment import Header, SegmentWriter
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.runtime.files import leave_to_owner, sync

_COMMIT_BYTES = 8 * 1024 * 1024


class Repaired(NamedTuple):
    """What a repair did."""

    before: Summary
    kept_events: int
    epoch: str
    original: Path
    """Where the damaged log lies now."""


def repair(
    directory: Path, before: Summary, stamp: str, new_epoch: Callable[[], str], progress: Progress = lambda _: None
) -> Repaired:
    """Put a log of what is whole in the place of a damaged one that is `owned`.

    Raises LogFull, LogUnavailable: then all is as it was.
    """
    new = directory.with_name(f"{directory.name}.new-{stamp}")
    original = directory.with_name(f"{directory.name}.damaged-{stamp}")
    if original.exists():
        raise LogUnavailable(f"{original} is there already", maybe_stored=False)
    new.mkdir(mode=0o700)
    try:
        leave_to_owner(new)
        return _salvaged(directory, new, original, before, new_epoch(), progress)
    except BaseException as error:
        shutil.rmtree(new, ignore_errors=True)
        if not isinstance(error, sqlite3.Error | OSError):
            raise
        raise _explained(error, new, before.bytes) from error


def _explained(error: sqlite3.Error | OSError, new: Path, size: int) -> LogError:
    """What hindered a repair."""
    found = explain(error, new)
    if not isinstance(found, LogFull):
        return found
    return LogFull(f"a repair writes up to {size:,} bytes to {new} before it takes away anything: make room for them")


def _salvaged(directory: Path, new: Path, original: Path, before: Summary, epoch: str, progress: Progress) -> Repaired:
    note = log_directory.noted(directory)
    with closing(_Salvage(new)) as salvage:
        for header in log_directory.segments_of(directory):
            salvage.take(header, progress)
        noted = note.head if note else 0
        reached = max(before.head, salvage.reached, noted, *(damage.last for damage in before.damages))
        salvage.begin(epoch, Offset(reached + 1))
        salvage.finish()
    sync(new)
    directory.rename(original)
    new.rename(directory)
    sync(directory.parent)
    _note(directory, epoch, reached)
    return Repaired(before, salvage.events, epoch, original)


def _note(directory: Path, epoch: str, head: int) -> None:
    witness = HeadWitness(directory)
    try:
        witness.open()
        witness.note(epoch, head)
        witness.sync(new=True)
    finally:
        witness.close()


class _Salvage:
    """Segments of a new directory, filled with whole records."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._number = 0
        self._writer: SegmentWriter | None = None
        self._epoch = "salvaged"
        self.reached = 0
        self.events = 0

    def take(self, header: Header, progress: Progress) -> None:
        """Take over what is whole of a segment; a new one begins behind each hole."""
        if not header.fault:
            self._epoch = header.epoch
        self.finish()
        for group in _groups(log_directory.records_of(header)):
            first = group[0].last - group[0].n + 1
            if self._writer is None or first != self.reached + 1:
                self.begin(self._epoch, Offset(first))
            assert self._writer is not None
            self._writer.insert(group)
            self.reached = group[-1].last
            self.events += sum(record.n for record in group)
            progress(sum(map(size_of, group)))

    def begin(self, epoch: str, first: Offset) -> None:
        """Seal the segment that is written and make the next."""
        self.finish()
        self._number += 1
        path = self._directory / f"{self._number:04}.db"
        segment.create(path, epoch, first)
        self._writer = SegmentWriter(path)

    def finish(self) -> None:
        """Seal the segment that is written."""
        if self._writer is not None:
            self._writer.seal()
            sync(self._writer.path)
            self._writer = None

    def close(self) -> None:
        """Let go of the segment that is written, when it could not be finished."""
        if self._writer is not None:
            self._writer.close()


def _groups(parts: Iterable[Record | Damage]) -> Iterator[list[Record]]:
    """Neighbouring whole records, as many as go into one commit."""
    group: list[Record] = []
    size = 0
    for part in parts:
        follows = isinstance(part, Record) and bool(group) and part.last - part.n == group[-1].last
        if group and (not follows or size >= _COMMIT_BYTES):
            yield group
            group, size = [], 0
        if isinstance(part, Record):
            group.append(part)
            size += size_of(part)
    if group:
        yield group
