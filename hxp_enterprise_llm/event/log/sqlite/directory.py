"""A log directory of which no process is the owner: how much there is, and what of it is whole.

Nothing is changed but SQLite's own recovery: what a killed process left in a write-ahead file is there for readers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from hxp_enterprise_llm.event.log.model import LogCorrupt, LogUnavailable
from hxp_enterprise_llm.event.log.packing import Record
from hxp_enterprise_llm.event.log.sqlite.examine import Damage, examine, size_of
from hxp_enterprise_llm.event.log.sqlite.files import DirectoryLock, HeadWitness, Witnessed
from hxp_enterprise_llm.event.log.sqlite.segment import Header, SegmentReader, recover, segment_paths, size_on_disk
from hxp_enterprise_llm.event.model import Offset

Progress = Callable[[int], None]
"""Told how many bytes more were looked at."""

_EVERYTHING = Offset(2**63 - 1)


class Summary(NamedTuple):
    """What a log holds and what of it is not whole."""

    epoch: str
    first: int
    head: int
    segments: int
    records: int
    events: int
    bytes: int
    damages: list[Damage]

    @property
    def is_whole(self) -> bool:
        return not self.damages


class Found(NamedTuple):
    """A segment file: what it says about itself, or what is wrong with that."""

    header: Header
    fault: str
    """Why the header is a guess; empty when the segment could be read."""


@contextmanager
def owned(directory: Path) -> Iterator[None]:
    """Be the owner of a log meanwhile. Raises LogLocked, LogUnavailable when there is no log."""
    if not segment_paths(directory):
        raise LogUnavailable(f"there is no log in {directory}", maybe_stored=False)
    lock = DirectoryLock(directory / "lock")
    try:
        lock.acquire()
    except OSError as error:
        raise LogUnavailable(f"{error.filename}: {error.strerror}", maybe_stored=False) from error
    try:
        yield
    finally:
        lock.release()


def noted(directory: Path) -> Witnessed | None:
    """The note of the head, if there is one that can be read."""
    witness = HeadWitness(directory)
    if not witness.path.exists() and not (directory / "head").exists():
        return None
    try:
        return witness.open()
    finally:
        witness.close()


def segments_of(directory: Path) -> list[Found]:
    """The segments, oldest first."""
    found: list[Found] = []
    for path in segment_paths(directory):
        reached = found[-1].header.last if found else 0
        try:
            recover(path)
            with closing(SegmentReader(path, sealed=False)) as reader:
                found.append(Found(reader.header(), ""))
        except (sqlite3.Error, LogCorrupt, UnicodeDecodeError) as error:
            reason = error.reason if isinstance(error, LogCorrupt) else str(error)
            guess = Header(path, int(path.stem), "", Offset(reached + 1), Offset(reached), size_on_disk(path))
            found.append(Found(guess, reason))
    return found


def first_of(directory: Path) -> Offset:
    """Offset of the first event, as the oldest segment says while another process owns the log."""
    while True:
        path = segment_paths(directory)[0]
        try:
            with closing(SegmentReader(path, sealed=False)) as reader:
                return reader.header().first
        except sqlite3.OperationalError:
            # Its owner dropped it just now; then it is no longer there.
            if path.exists():
                raise


def size_of_all(directory: Path) -> int:
    """Bytes to look at, for a progress bar."""
    return sum(size_on_disk(path) for path in segment_paths(directory))


def records_of(found: Found) -> Iterator[Record | Damage]:
    """Whole records of a segment and the damages between them, ascending."""
    header = found.header
    try:
        with closing(SegmentReader(header.path, sealed=False)) as reader:
            if not found.fault:
                yield from examine(reader, header, 0)
                return
            # Its own word about where it begins and ends cannot be had: what is there is taken.
            reached = header.last
            for part in examine(reader, header._replace(last=_EVERYTHING), 0):
                if isinstance(part, Record):
                    reached = Offset(part.last)
                    yield part
            yield Damage(header.path, reached + 1, reached, header.size, f"its header: {found.fault}")
    except (sqlite3.Error, UnicodeDecodeError) as error:
        yield Damage(header.path, header.first, header.last, header.size, str(error))


def check(directory: Path, progress: Progress = lambda _: None) -> Summary:
    """Look at every record of a log that is `owned`."""
    found, note = segments_of(directory), noted(directory)
    damages: list[Damage] = []
    records = events = 0
    reached: Header | None = None
    for one in found:
        damages += _hole_before(one.header, reached, found[-1].header.epoch)
        seen = 0
        for part in records_of(one):
            if isinstance(part, Damage):
                damages.append(part)
            else:
                records, events, seen = records + 1, events + part.n, seen + size_of(part)
                progress(size_of(part))
        progress(max(0, one.header.size - seen))
        reached = one.header
    newest = found[-1].header
    damages += _lost_end(newest, note)
    size = sum(one.header.size for one in found)
    return Summary(newest.epoch, found[0].header.first, newest.last, len(found), records, events, size, damages)


def _hole_before(header: Header, before: Header | None, epoch: str) -> list[Damage]:
    # Between epochs, and in those that are over, readers were told of the hole when the next epoch began.
    if before is None or not before.epoch == header.epoch == epoch or header.first == before.last + 1:
        return []
    return [Damage(header.path, before.last + 1, header.first - 1, 0, "a segment before it is missing")]


def _lost_end(newest: Header, note: Witnessed | None) -> list[Damage]:
    if note is None or note.epoch != newest.epoch or note.head <= newest.last:
        return []
    reason = f"the log had reached offset {note.head}; its end is missing"
    return [Damage(newest.path, newest.last + 1, note.head, 0, reason)]
