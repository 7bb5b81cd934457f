"""The stream of a log over HTTP, decoded without I/O.

OFFSET SP RAW LF               an event
# EPOCH FIRST HEAD NEXT LF     what the log holds and where the scan is; the first line, and a sign of life
! CODE JSON LF                 the end of a cursor: gone, ahead, epoch_changed
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import lt
from typing import NamedTuple

import msgspec

from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.log.model import Ahead, Batch, Bounds, CursorError, EpochChanged, Gone, Stored
from hxp_enterprise_llm.event.model import Offset, TypePatterns, parse_patterns

MAX_OFFSET = 2**53 - 1
_LINE_OVERHEAD_BYTES = 64
_MAX_ASKED_PATTERNS = 100
_MAX_ASKED_CHARACTERS = 2000


class ProtocolError(Exception):
    """The far side does not speak the protocol; the connection is of no more use."""


class Progress(NamedTuple):
    """A progress line."""

    bounds: Bounds
    next: Offset


class _Type(msgspec.Struct):
    type: str


class _Bounds(msgspec.Struct):
    epoch: str
    first: int
    head: int


class _Refusal(msgspec.Struct):
    error: _Bounds


_type_decoder = msgspec.json.Decoder(_Type)


def cursor_error(code: str, details: bytes, after: int, asked: str | None) -> CursorError | None:
    """The error for a code of the API with its JSON details, bare or under `error`; None for another code."""
    if code not in ("gone", "ahead", "epoch_changed"):
        return None
    try:
        found: _Refusal | _Bounds
        try:
            found = msgspec.json.decode(details, type=_Refusal)
        except msgspec.ValidationError:
            found = msgspec.json.decode(details, type=_Bounds)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"{code} without epoch, first and head: {error}") from None
    fields = found.error if isinstance(found, _Refusal) else found
    bounds = Bounds(fields.epoch, Offset(fields.first), Offset(fields.head))
    if code == "epoch_changed":
        return EpochChanged(bounds, after, asked or "")
    return Gone(bounds, after) if code == "gone" else Ahead(bounds, after)


def asked_types(types: TypePatterns | None) -> str:
    """What to ask a far side for; empty when it is to send everything, and the choice is made here.

    Any of several reasons will do: all are wanted, they are too many for an address, or one is no pattern to others.
    """
    if types is None or not 0 < len(types.patterns) <= _MAX_ASKED_PATTERNS or "*" in types.patterns:
        return ""
    try:
        parse_patterns(types.patterns)
    except ValueError:
        return ""
    text = ",".join(types.patterns)
    return text if len(text) <= _MAX_ASKED_CHARACTERS else ""


class StreamDecoder:
    """Turns the bytes of one stream into batches, and keeps the cursor. Nothing the far side says is taken on trust.

    `epoch` None: the first one seen is held on to. `done` is set by the last progress line of a stream with an end.
    """

    def __init__(self, after: Offset, epoch: str | None, max_event_bytes: int) -> None:
        self.next, self.epoch = after, epoch
        self.bounds: Bounds | None = None
        self.progressed = False
        """Whether the last line was a progress line: the cursor is then what the far side says it is."""
        self.max_line = max_event_bytes + _LINE_OVERHEAD_BYTES
        """Bytes."""
        self._rest = b""

    def feed(self, data: bytes, types: TypePatterns | None = None) -> Batch | None:
        """The batch that these bytes complete; None when no line ended.

        Raises ProtocolError, EpochChanged, Gone, Ahead.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > self.max_line:
            raise ProtocolError(f"a line of more than {self.max_line:,} bytes")
        if not lines:
            return None
        events = self._all_events(lines) if len(lines) > 1 else None
        if events is None:
            events = StoredColumns.of([event for event in map(self._line, lines) if event is not None])
        if types is not None:
            events = events.of_types(types)
        assert self.bounds is not None
        return Batch(events, self.next, max(self.bounds.head, self.next))

    def _all_events(self, lines: Sequence[bytes]) -> StoredColumns | None:
        """The usual case at one go: events and nothing else, all of them good. None: look line by line."""
        try:
            numbers, raws = zip(*[line.split(b" ", 1) for line in lines], strict=True)
            offsets = [Offset(int(number)) for number in numbers]
            types = [found.type for found in map(_type_decoder.decode, raws)]
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None
        if self.bounds is None or not _are_offsets(numbers) or not all(map(lt, [self.next, *offsets], offsets)):
            return None
        self.next, self.progressed = offsets[-1], False
        return StoredColumns(offsets, types, raws)

    def _line(self, line: bytes) -> Stored | None:
        if line[:2] == b"# ":
            self._take_progress(line)
            return None
        if line[:2] == b"! ":
            _, code, details = line.split(b" ", 2) if line.count(b" ") > 1 else (b"", line[2:], b"")
            error = cursor_error(code.decode("ascii", "replace"), details, self.next, self.epoch)
            raise error or ProtocolError(f"the stream ended with {line[:200]!r}")
        return self._event(line)

    def _take_progress(self, line: bytes) -> None:
        fields = line.decode("ascii", "replace").split(" ")
        if len(fields) != 5:
            raise ProtocolError(f"a progress line with {len(fields) - 1} fields instead of 4")
        bounds = Bounds(fields[1], _offset(fields[2]), _offset(fields[3]))
        next_offset = _offset(fields[4])
        if self.epoch is not None and bounds.epoch != self.epoch:
            raise EpochChanged(bounds, self.next, self.epoch)
        if next_offset < self.next:
            raise ProtocolError(f"the scan went back from {self.next} to {next_offset}")
        self.bounds, self.epoch, self.next = bounds, bounds.epoch, next_offset
        self.progressed = True

    def _event(self, line: bytes) -> Stored:
        number, _, raw = line.partition(b" ")
        if self.bounds is None:
            raise ProtocolError(f"the stream begins with {line[:80]!r}")
        offset = _offset(number.decode("ascii", "replace"))
        if offset <= self.next:
            raise ProtocolError(f"offset {offset} comes after {self.next}")
        try:
            event = Stored(offset, _type_decoder.decode(raw).type, raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProtocolError(f"event {offset} cannot be read: {error}") from None
        self.next, self.progressed = offset, False
        return event


def event_lines(events: Sequence[Stored]) -> bytes:
    """The events as lines of a stream."""
    columns = StoredColumns.of(events)
    # All lines at one go: a third less than line by line.
    return (b"%d %b\n" * len(columns)) % tuple(chain.from_iterable(zip(columns.offsets, columns.raws, strict=True)))


def _are_offsets(texts: Sequence[bytes]) -> bool:
    return b"".join(texts).isdigit() and max(map(len, texts)) <= 16 and int(texts[-1]) <= MAX_OFFSET


def _offset(text: str) -> Offset:
    # The length first: int() of a million digits takes its time.
    if len(text) > 16 or not (text.isascii() and text.isdigit()) or int(text) > MAX_OFFSET:
        raise ProtocolError(f"{text[:40]!r} is no offset")
    return Offset(int(text))
