"""The segments of a log directory: the one that is written, and the sealed ones before it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from hxp_enterprise_llm.event.log.chunks import Chunk
from hxp_enterprise_llm.event.log.model import Bounds, Gone, LogClosed, LogCorrupt
from hxp_enterprise_llm.event.log.packing import Record
from hxp_enterprise_llm.event.log.sqlite import segment
from hxp_enterprise_llm.event.log.sqlite.examine import Damage, examine, size_of
from hxp_enterprise_llm.event.log.sqlite.files import Witnessed, forget_cached
from hxp_enterprise_llm.event.log.sqlite.headers import lost_with, naming, read_header, read_headers, unreadable
from hxp_enterprise_llm.event.log.sqlite.segment import Header, SegmentReader, SegmentWriter
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.runtime.files import sync

_OPEN_READERS = 4


class Segments:
    """Files `NNNN.db` in a directory. Written by one thread; read by another under `reading`."""

    def __init__(self, directory: Path, ahead: int) -> None:
        """`ahead`: bytes that the write-ahead log of the one that is written has from the beginning."""
        self.directory = directory
        self._ahead = ahead
        self.wal_bytes = 0
        """Bytes of the write-ahead log that are to be moved into the file, about."""
        # Guards the list of segments and the readers: a segment is sealed or unlinked only while nobody reads.
        self._guard = threading.Lock()
        self._sealed: list[Header] = []
        self._active: Header
        self._writer: SegmentWriter
        self._has_writer = False
        self._readers: dict[Path, SegmentReader] = {}
        self._closed = False

    @property
    def epoch(self) -> str:
        """Epoch of the log: that of its newest segment."""
        return self._active.epoch

    @property
    def head(self) -> Offset:
        """Offset of the last event, or the one before the first that there will be."""
        return self._active.last

    @property
    def bounds(self) -> Bounds:
        """Epoch, first and head."""
        oldest = self._sealed[0] if self._sealed else self._active
        return Bounds(self._active.epoch, oldest.first, self._active.last)

    @property
    def active_path(self) -> Path:
        """The file that is written."""
        return self._active.path

    @property
    def active_is_empty(self) -> bool:
        """Whether the segment that is written has no events yet."""
        return self._active.last < self._active.first

    @property
    def active_size(self) -> int:
        """Bytes of the segment that is written, about."""
        return self._active.size

    @property
    def unreadable(self) -> list[Damage]:
        """The segments of which nothing is read."""
        return [lost_with(header) for header in self._sealed if header.fault]

    @property
    def size(self) -> int:
        """Bytes of all segments, about."""
        return self._active.size + sum(header.size for header in self._sealed)

    @property
    def has_sealed(self) -> bool:
        """Whether there is a segment that may be dropped."""
        return bool(self._sealed)

    def open(self, witnessed: Witnessed | None, new_epoch: Callable[[], str]) -> str:
        """Find or create the segments; answers why the epoch is a new one, empty when it is not.

        Raises LogCorrupt, LogFull, LogUnavailable, sqlite3.Error, OSError.
        """
        for leftover in self.directory.glob("*.new*"):
            leftover.unlink()
        paths = _without_unfinished_roll(segment.segment_paths(self.directory))
        if not paths:
            reached = witnessed.head if witnessed else 0
            self._begin(1, new_epoch(), Offset(reached + 1))
            return f"its segments are gone, it had reached offset {reached}" if reached else ""
        for path in paths[:-1]:
            _finish_sealing(path)
        with naming(paths[-1]):
            segment.recover(paths[-1])
        headers = read_headers(paths, lambda path: read_header(path, sealed=path != paths[-1]))
        self._sealed, self._active = headers[:-1], headers[-1]
        if self._active.fault:
            raise unreadable(self._active)
        doubt = _contradiction(headers) or _lost_tail(self._active, witnessed)
        with naming(self._active.path):
            self._write_to(self._active.path)
            if doubt:
                reached = max(self.head, witnessed.head if witnessed else 0)
                self.roll(new_epoch(), Offset(reached + 1))
        return doubt

    def _begin(self, number: int, epoch: str, first: Offset) -> None:
        self._active = self._create(number, epoch, first)
        self._write_to(self._active.path)

    def _create(self, number: int, epoch: str, first: Offset) -> Header:
        path = self.directory / f"{number:04}.db"
        segment.create(path, epoch, first)
        sync(self.directory)
        return Header(path, number, epoch, first, Offset(first - 1), segment.size_on_disk(path))

    def _write_to(self, path: Path) -> None:
        self.wal_bytes = segment.size_on_disk(path) - path.stat().st_size
        self._writer = SegmentWriter(path, ahead=self._ahead)
        self._has_writer = True

    def insert(self, records: Sequence[Record]) -> None:
        """Commit records to the active segment. Raises sqlite3.Error, OSError."""
        self._writer.insert(records)
        size = sum(len(record.body) + len(record.types) + len(record.identities) for record in records)
        self.wal_bytes += segment.wal_bytes(size)
        self._active = self._active._replace(last=Offset(records[-1].last), size=self._active.size + size)

    def require_in_place(self) -> None:
        """Raises OSError when the file that is written was moved away."""
        self._writer.require_in_place()

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file. Raises sqlite3.Error."""
        self._writer.checkpoint()
        self.wal_bytes = 0

    def roll(self, epoch: str, first: Offset) -> None:
        """Seal the active segment and begin the next. Raises sqlite3.Error, OSError: then nothing has changed."""
        old, old_writer = self._active, self._writer
        old_writer.checkpoint()
        new = self._create(old.number + 1, epoch, first)
        try:
            writer = SegmentWriter(new.path, ahead=self._ahead)
        except BaseException:
            segment.remove(new.path)
            raise
        # Who reads finds the old segment as the one that is written, or as a sealed one, and nothing in between.
        with self._guard:
            self._forget_reader(old.path)
            try:
                old_writer.seal()
            except BaseException:
                writer.close()
                segment.remove(new.path)
                raise
            self._sealed.append(old._replace(size=segment.size_on_disk(old.path)))
            self._active, self._writer, self.wal_bytes = new, writer, 0

    def drop_oldest(self, up_to: Offset) -> Header | None:
        """Unlink the oldest sealed segment if it ends at or below an offset. Raises OSError."""
        with self._guard:
            if not self._sealed or self._sealed[0].last > up_to:
                return None
            dropped = self._sealed.pop(0)
            self._forget_reader(dropped.path)
            segment.remove(dropped.path)
        sync(self.directory)
        return dropped

    def _forget_reader(self, path: Path) -> None:
        if reader := self._readers.pop(path, None):
            reader.close()

    def records_newest_first(self) -> Iterator[tuple[Path, Record]]:
        """All records, backwards, with the file that each lies in. Only while nobody else reads."""
        for header in reversed([*self._sealed, self._active]):
            if header.fault:
                raise unreadable(header)
            above = header.last
            with naming(header.path):
                for record in self._reader(header).newest_first():
                    if record.last != above:
                        raise _missing(header.path, record.last + 1, above)
                    yield header.path, record
                    above = Offset(record.last - record.n)
            if above >= header.first:
                raise _missing(header.path, header.first, above)

    def scrub(self, after: Offset, max_bytes: int) -> tuple[Offset, int, list[Damage]]:
        """Look at records beyond a cursor until so many bytes were seen; to be called under `reading`.

        Answers where it ended, the bytes, and what is damaged. At the head it ends where it began.
        """
        if self._closed:
            raise LogClosed
        for header in (*self._sealed, self._active):
            if header.last > after:
                return self._scrub(header, after, max_bytes)
        return after, 0, []

    def _scrub(self, header: Header, after: Offset, max_bytes: int) -> tuple[Offset, int, list[Damage]]:
        if header.fault:
            return header.last, 0, [lost_with(header)]
        if not header.path.exists():
            return header.last, 0, [Damage(header.path, header.first, header.last, header.size, "the file is gone")]
        if after < header.first and header.path != self._active.path:
            # What is in memory says nothing about the disk.
            forget_cached(header.path)
        damages: list[Damage] = []
        size, reached = 0, after
        try:
            for found in examine(self._reader(header), header, after, rescue=False):
                reached = Offset(found.last)
                if isinstance(found, Damage):
                    damages.append(found)
                else:
                    size += size_of(found)
                    if size >= max_bytes:
                        return reached, size, damages
        except sqlite3.Error as error:
            damages.append(Damage(header.path, reached + 1, header.last, 0, str(error)))
        return header.last, size, damages

    def reading(self) -> threading.Lock:
        """To be held around `chunks`."""
        return self._guard

    def chunks(self, after: Offset, up_to: Offset) -> Generator[Chunk, None, None]:
        """Events beyond a cursor. Raises Gone when a trim was quicker, LogClosed, LogCorrupt, sqlite3.Error."""
        if self._closed:
            raise LogClosed
        bounds = self.bounds
        if after < bounds.first - 1:
            raise Gone(bounds, after)
        for header in (*self._sealed, self._active):
            if header.last > after:
                if header.fault:
                    raise unreadable(header)
                with naming(header.path):
                    yield from _unbroken(header, after, up_to, self._reader(header).chunks(after, up_to))

    def _reader(self, header: Header) -> SegmentReader:
        if header.path not in self._readers:
            if len(self._readers) >= _OPEN_READERS:
                self._forget_reader(next(iter(self._readers)))
            # By path: with each commit the segment that is written has another header.
            self._readers[header.path] = SegmentReader(header.path, sealed=header.path != self._active.path)
        return self._readers[header.path]

    def close(self) -> None:
        """Let go of all files, the readers first: the last to close a file checkpoints it."""
        with self._guard:
            self._closed = True
            for path in list(self._readers):
                self._forget_reader(path)
        if self._has_writer:
            self._writer.close()


def _unbroken(header: Header, after: int, up_to: int, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks of a segment, which has no holes inside. Raises LogCorrupt where one is missing."""
    reached = max(after, header.first - 1)
    for chunk in chunks:
        if chunk.events.offsets[0] > reached + 1:
            raise _missing(header.path, reached + 1, chunk.events.offsets[0] - 1)
        reached = chunk.last
        yield chunk
    if reached < min(up_to, header.last):
        raise _missing(header.path, reached + 1, min(up_to, header.last))


def _missing(path: Path, first: int, last: int) -> LogCorrupt:
    return LogCorrupt(str(path), f"offsets {first} to {last} are missing")


def _without_unfinished_roll(paths: list[Path]) -> list[Path]:
    """Undo a roll that was cut short: its new segment is empty and the one before is not sealed."""
    if len(paths) > 1 and _is_unsealed(paths[-2]):
        with naming(paths[-1]):
            segment.recover(paths[-1])
        header = read_header(paths[-1], sealed=False)
        if header.last < header.first:
            segment.remove(paths[-1])
            return paths[:-1]
    return paths


def _is_unsealed(path: Path) -> bool:
    return segment.wal_of(path).exists() or segment.journal_of(path).exists()


def _finish_sealing(path: Path) -> None:
    # One that is damaged is found to be so by its header.
    with suppress(LogCorrupt), naming(path):
        if _is_unsealed(path):
            SegmentWriter(path).seal()


def _contradiction(headers: Sequence[Header]) -> str:
    """Why the segments are not one unbroken log; empty when they are. Raises LogCorrupt when they overlap."""
    doubt = ""
    for before, header in pairwise(headers):
        if header.first <= before.last:
            reason = f"begins at offset {header.first}, but {before.path.name} reaches to {before.last}"
            raise LogCorrupt(str(header.path), reason)
        # Between two epochs a hole is normal: the new one begins beyond all that the old one may have had.
        if header.first != before.last + 1 and header.epoch == before.epoch == headers[-1].epoch:
            doubt = f"offsets {before.last + 1} to {header.first - 1} are missing: a segment was removed"
    return doubt


def _lost_tail(active: Header, witnessed: Witnessed | None) -> str:
    """Why the log's end cannot be trusted; empty when it can."""
    if witnessed is None:
        return "there is no note of the head that it had reached"
    if not witnessed.same_file:
        return "the directory is a copy of another"
    if witnessed.epoch != active.epoch:
        return f"its newest segment has epoch {active.epoch}, but epoch {witnessed.epoch} had begun"
    if witnessed.head > active.last:
        return f"it ends at offset {active.last}, but had reached {witnessed.head}"
    return ""
