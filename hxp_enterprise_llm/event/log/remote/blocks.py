"""Stretches of events in the stream of a log, for processes of our own.

= HEAD LF BODY LF              events whose offsets have no holes: HEAD is the JSON of `_Head`, BODY their texts joined
                               by line feeds (an event has none inside)

All else are lines, as in `lines`. What a line costs, the look at the event for its type above all, is paid once for a
whole block; so the events in it are taken as they are, and nobody else is read in this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from hxp_enterprise_llm.event.log.chunks import SCAN_BYTES
from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.log.model import Batch, Stored
from hxp_enterprise_llm.event.log.remote.lines import MAX_OFFSET, ProtocolError, StreamDecoder, event_lines
from hxp_enterprise_llm.event.model import Offset, TypePatterns

_MARK, _END = b"= ", b"\n"
_LEAST_EVENTS = 4
"""Of fewer, lines are the shorter way."""


class _Head(msgspec.Struct):
    first: int
    """Offset of the first event."""
    count: int
    size: int
    """Bytes of the body."""
    types: list[str]
    """The distinct types."""
    of: list[int] = []
    """Which of them each event has; empty: all have the only one."""


_decode_head = msgspec.json.Decoder(_Head).decode


def events_for_ours(events: Sequence[Stored]) -> bytes:
    """The events as one block, or as lines where that is shorter or offsets are missing in between."""
    columns = StoredColumns.of(events)
    first, count = columns.offsets[0], len(columns)
    if count < _LEAST_EVENTS or columns.offsets[-1] - first + 1 != count:
        return event_lines(columns)
    body = _END.join(columns.raws)
    distinct = list(dict.fromkeys(columns.types))
    number = {type: at for at, type in enumerate(distinct)}
    of = [] if len(distinct) == 1 else list(map(number.__getitem__, columns.types))
    head = msgspec.json.encode(_Head(first, count, len(body), distinct, of))
    return b"".join((_MARK, head, _END, body, _END))


class BlockDecoder(StreamDecoder):
    """A `StreamDecoder` that takes blocks as well, from a process of ours."""

    def __init__(self, after: Offset, epoch: str | None, max_event_bytes: int) -> None:
        super().__init__(after, epoch, max_event_bytes)
        self._max_block = 2 * SCAN_BYTES + self.max_line
        self._pieces: list[bytes] = []
        self._got = self._wanted = 0

    def feed(self, data: bytes, types: TypePatterns | None = None) -> Batch | None:
        """As `StreamDecoder.feed`."""
        self._pieces.append(data)
        self._got += len(data)
        # A block comes in many pieces: they are joined once.
        if self._got < self._wanted:
            return None
        found = self._take(b"".join(self._pieces), types)
        if not found:
            return None
        assert self.bounds is not None
        events = StoredColumns.joined([StoredColumns.of(batch.events) for batch in found])
        return Batch(events, self.next, max(self.bounds.head, self.next))

    def _take(self, data: bytes, types: TypePatterns | None) -> list[Batch]:
        """The batches of what is complete; the rest waits."""
        found: list[Batch] = []
        at = self._wanted = 0
        while at < len(data):
            take = self._take_block if data.startswith(_MARK, at) else self._take_lines
            end, batch = take(data, at, types)
            if not end:
                break
            found += [batch] if batch is not None else []
            at = end
        self._pieces, self._got = [data[at:]], len(data) - at
        return found

    def _take_lines(self, data: bytes, at: int, types: TypePatterns | None) -> tuple[int, Batch | None]:
        """Where the lines end that are complete, before the next block, and what they say; 0 when none is."""
        block = data.find(_END + _MARK, at)
        end = (block if block >= 0 else data.rfind(_END, at)) + 1
        if not end and len(data) - at > self.max_line:
            raise ProtocolError(f"a line of more than {self.max_line:,} bytes")
        return end, super().feed(data[at:end], types) if end else None

    def _take_block(self, data: bytes, at: int, types: TypePatterns | None) -> tuple[int, Batch | None]:
        """Where a block ends, and what it holds; 0 when it is not complete."""
        line = data.find(_END, at)
        if line < 0:
            if len(data) - at > self._max_block:
                raise ProtocolError(f"a head of a block of more than {self._max_block:,} bytes")
            return 0, None
        head = _head_of(data[at:line])
        if not 0 <= head.size <= self._max_block:
            raise ProtocolError(f"a block of {head.size:,} bytes")
        end = line + 1 + head.size + 1
        if end > len(data):
            self._wanted = end - at
            return 0, None
        if not data.startswith(_END, end - 1):
            raise ProtocolError(f"a block goes on behind its end, {head}")
        return end, self._block(head, data[line + 1 : end - 1].split(_END), types)

    def _block(self, head: _Head, raws: list[bytes], types: TypePatterns | None) -> Batch:
        last = head.first + head.count - 1
        if self.bounds is None:
            raise ProtocolError(f"the stream begins with {head}")
        if not (len(raws) == head.count and self.next < head.first and last <= MAX_OFFSET):
            raise ProtocolError(f"a block of {len(raws)} events after {self.next}, but its head is {head}")
        offsets: Sequence[Any] = range(head.first, last + 1)
        events = StoredColumns(offsets, _types_of(head), raws)
        self.next, self.progressed = Offset(last), False
        return Batch(events if types is None else events.of_types(types), self.next, self.bounds.head)


def _head_of(line: bytes) -> _Head:
    try:
        return _decode_head(line[len(_MARK) :])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"a block that begins with {line[:80]!r}: {error}") from None


def _types_of(head: _Head) -> list[str]:
    """The type of each event."""
    known, of = head.types, head.of
    if not of and len(known) == 1:
        return known * head.count
    if len(of) != head.count or not 0 <= min(of) <= max(of) < len(known):
        raise ProtocolError(f"a block of {head.count} events, of which {len(of)} have one of {len(known)} types")
    return [known[number] for number in of]
