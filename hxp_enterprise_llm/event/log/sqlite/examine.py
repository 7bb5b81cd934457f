"""Looking for damage: every record of a segment against its checksum, and against its neighbours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hxp_enterprise_llm.event.log.packing import Damaged, Record, verify
from hxp_enterprise_llm.event.log.sqlite.segment import Header, SegmentReader
from hxp_enterprise_llm.event.model import Offset


class Damage(NamedTuple):
    """A stretch of the log that cannot be read."""

    path: Path
    first: int
    last: int
    """Offsets of the first and the last event that are lost."""
    bytes: int
    """Size of the damaged records that were found there; 0 when there is nothing of them."""
    reason: str

    @property
    def events(self) -> int:
        """How many events are lost."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        if self.events < 1:
            return f"{self.path.name}: {self.reason}"
        place = f"offset {self.first}" if self.first == self.last else f"offsets {self.first} to {self.last}"
        return f"{self.path.name}: {place}: {self.reason}"


def size_of(record: Record) -> int:
    """Bytes of what a record holds."""
    return len(record.body) + len(record.types) + len(record.identities)


def examine(reader: SegmentReader, header: Header, after: int, *, rescue: bool = True) -> Iterator[Record | Damage]:
    """The whole records of a segment with events beyond `after`, ascending, and what is wrong between them.

    Offsets inside a segment have no holes, so that a record that vanished is seen as well as one that was changed.
    With `rescue` what lies behind a damaged page is looked for from the other end.
    """
    gap = _Gap(header.path, max(after, header.first - 1))
    try:
        for record in reader.records(Offset(gap.reached), header.last):
            if gap.takes(record):
                yield from gap.close(record.last - record.n)
                gap.reached = record.last
                yield record
    except sqlite3.Error as error:
        gap.reason = str(error)
        for record in _backwards(reader, gap) if rescue else ():
            yield from gap.close(record.last - record.n)
            gap.reached = record.last
            yield record
    yield from gap.close(header.last)


def _backwards(reader: SegmentReader, gap: _Gap) -> list[Record]:
    """Whole records from the end of the segment down to a damaged page, ascending."""
    found: list[Record] = []
    try:
        for record in reader.newest_first():
            if record.last <= gap.reached:
                break
            if gap.takes(record):
                found.append(record)
    except sqlite3.Error:
        pass  # It is the damage that was met from the other side.
    return found[::-1]


class _Gap:
    """What lies between the last whole record and the next."""

    def __init__(self, path: Path, reached: int) -> None:
        self.path, self.reached = path, reached
        self.reason = ""
        self._bytes = 0

    def takes(self, record: Record) -> bool:
        """Whether a record is whole and new; else what is wrong with it is kept."""
        try:
            verify(record)
        except Damaged as error:
            self.reason, self._bytes = f"record {record.last}: {error}", self._bytes + size_of(record)
            return False
        return record.last > self.reached

    def close(self, before: int) -> Iterator[Damage]:
        """The damage up to the offset before the next whole record, if there is one."""
        if before > self.reached:
            reason = self.reason or "the record is missing"
            yield Damage(self.path, self.reached + 1, before, self._bytes, reason)
        self.reason, self._bytes = "", 0
