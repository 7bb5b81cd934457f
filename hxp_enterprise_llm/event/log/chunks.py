"""Stretches of the log in memory, and the one scan that every backend answers a read with."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.log.model import Batch
from hxp_enterprise_llm.event.model import Offset, TypePatterns

SCAN_BYTES = 1024 * 1024
"""A read ends after the chunk in which it passed so many bytes."""

_EVENT_OVERHEAD_BYTES = 56
"""What an event costs in memory beside its text: the bytes object, and a place in two columns."""
_CHUNK_OVERHEAD_BYTES = 400
"""The columns, and what holds them."""


class Chunk(NamedTuple):
    """Neighbouring events of the log, ascending, at least one."""

    last: Offset
    events: StoredColumns
    size: int
    """Bytes of the events' text."""


def chunk_of(events: StoredColumns) -> Chunk:
    """A chunk of these events."""
    return Chunk(events.offsets[-1], events, sum(map(len, events.raws)))


def scan(chunks: Iterable[Chunk], after: Offset, head: Offset, limit: int, types: TypePatterns | None) -> Batch:
    """Answer a read from the chunks that follow `after`, which reach up to `head`."""
    chosen: list[StoredColumns] = []
    scanned, room = 0, limit
    for chunk in chunks:
        events = chunk.events.beyond(after)
        if types is not None:
            events = events.of_types(types)
        if len(events) > room:
            chosen.append(events[:room])
            return Batch(StoredColumns.joined(chosen), events.offsets[room - 1], head)
        chosen.append(events)
        room -= len(events)
        scanned += chunk.size
        if scanned >= SCAN_BYTES or not room:
            return Batch(StoredColumns.joined(chosen), chunk.last, head)
    return Batch(StoredColumns.joined(chosen), head, head)


class Chunks:
    """The newest chunks of a log, kept up to about `max_bytes` of memory (None: all of them).

    `floor` is the cursor from which on reads can be answered here.
    """

    def __init__(self, floor: Offset, max_bytes: int | None = None) -> None:
        self.floor = floor
        self.bytes = 0
        self._max_bytes = max_bytes
        self._chunks: list[Chunk] = []
        self._lasts: list[int] = []

    def __len__(self) -> int:
        return len(self._chunks)

    def append(self, chunk: Chunk) -> None:
        """Add the newest chunk; the oldest go when there are too many."""
        self._chunks.append(chunk)
        self._lasts.append(chunk.last)
        self.bytes += _footprint(chunk)
        # An eighth of slack, so that the lists are not shifted with every append.
        if self._max_bytes is not None and self.bytes > self._max_bytes * 9 // 8:
            self._shrink(self._max_bytes)

    def after(self, cursor: Offset) -> Iterator[Chunk]:
        """Chunks with events beyond the cursor, which must not lie below `floor`."""
        for index in range(bisect_right(self._lasts, cursor), len(self._chunks)):
            yield self._chunks[index]

    def drop(self, up_to: Offset) -> None:
        """Let go of the chunks that end at or below an offset."""
        self._drop(bisect_right(self._lasts, up_to))

    def clear(self, floor: Offset) -> None:
        """Let go of everything and begin anew at a cursor."""
        self._drop(len(self._chunks))
        self.floor = floor

    def _shrink(self, max_bytes: int) -> None:
        count, size = 0, self.bytes
        while size > max_bytes:
            size -= _footprint(self._chunks[count])
            count += 1
        self._drop(count)

    def _drop(self, count: int) -> None:
        if not count:
            return
        self.floor = self._chunks[count - 1].last
        self.bytes -= sum(_footprint(chunk) for chunk in self._chunks[:count])
        del self._chunks[:count], self._lasts[:count]


def _footprint(chunk: Chunk) -> int:
    return chunk.size + _EVENT_OVERHEAD_BYTES * len(chunk.events) + _CHUNK_OVERHEAD_BYTES
