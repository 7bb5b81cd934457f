"""A log directory of which no process is the owner: how much there is, and what of it is whole.

Nothing is changed but SQLite's own recovery: what a killed process left in a write-ahead file is there for readers.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from hxp_enterprise_llm.event.log.model import LogUnavailable
from hxp_enterprise_llm.event.log.packing import Record
from hxp_enterprise_llm.event.log.sqlite.examine import Damage, examine, size_of
from hxp_enterprise_llm.event.log.sqlite.files import DirectoryLock, HeadWitness, Witnessed
from hxp_enterprise_llm.event.log.sqlite.headers import lost_with, naming, read_header, read_headers
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


@contextmanager
def owned(directory: Path) -> Iterator[None]:
    """Be the owner of a log meanwhile. Raises LogLocked, LogUnavailable when there is no log."""
    paths = segment_paths(directory)
    if not paths:
        raise LogUnavailable(f"there is no log in {directory}", maybe_stored=False)
    _require_access(directory, paths)
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


def _require_access(directory: Path, paths: Sequence[Path]) -> None:
    """What one may not read is not damaged. SQLite writes beside a file even to read what a killed process left."""
    for path, mode in ((directory, os.W_OK | os.X_OK), *((each, os.R_OK) for each in paths)):
        if not os.access(path, mode):
            raise LogUnavailable(f"{path}: no right to use it; be the user that the log belongs to", maybe_stored=False)


def segments_of(directory: Path) -> list[Header]:
    """The segments, oldest first; see `headers`. Raises LogFull, LogUnavailable."""
    headers = read_headers(segment_paths(directory), _recovered)
    newest, note = headers[-1], noted(directory)
    if newest.fault and note is not None and note.head > newest.last:
        headers[-1] = newest._replace(last=Offset(note.head))
    return headers


def _recovered(path: Path) -> Header:
    with naming(path):
        recover(path)
    return read_header(path, sealed=False)


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


def records_of(header: Header) -> Iterator[Record | Damage]:
    """Whole records of a segment and the damages between them, ascending."""
    if header.fault and header.epoch:
        # Of another log: its events are none of ours.
        yield lost_with(header)
        return
    try:
        with closing(SegmentReader(header.path, sealed=False)) as reader:
            yield from _rescued(reader, header) if header.fault else examine(reader, header, 0)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        yield lost_with(header._replace(fault=header.fault or str(error)))


def _rescued(reader: SegmentReader, header: Header) -> Iterator[Record | Damage]:
    """What is there, though the segment's own word about where it begins and ends cannot be had."""
    is_known = header.last >= header.first
    reached, lost = Offset(header.first - 1), 0
    for part in examine(reader, header if is_known else header._replace(last=_EVERYTHING), 0):
        if isinstance(part, Record):
            reached = Offset(part.last)
            yield part
        elif is_known:
            lost += part.events
            yield part if part.bytes else part._replace(reason=header.fault)
    if not lost:
        yield Damage(header.path, reached + 1, reached, header.size, header.fault)


def check(directory: Path, progress: Progress = lambda _: None) -> Summary:
    """Look at every record of a log that is `owned`."""
    headers, note = segments_of(directory), noted(directory)
    damages: list[Damage] = []
    records = events = 0
    newest, reached = headers[-1], None
    for header in headers:
        damages += _hole_before(header, reached, newest.epoch)
        seen = 0
        for part in records_of(header):
            if isinstance(part, Damage):
                damages.append(part)
            else:
                records, events, seen = records + 1, events + part.n, seen + size_of(part)
                progress(size_of(part))
        progress(max(0, header.size - seen))
        reached = header
    damages += _lost_end(newest, note)
    size = sum(header.size for header in headers)
    return Summary(newest.epoch, headers[0].first, newest.last, len(headers), records, events, size, damages)


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
