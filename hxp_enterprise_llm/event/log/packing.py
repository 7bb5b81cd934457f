"""The form in which events are stored: one record holds a whole stretch of them.

last         offset of the last event; the events of a record are numbered without holes
n            how many there are
at           wall-clock seconds of the commit
types        the distinct types and which of them each event has
identities   16 bytes each, so that the window is rebuilt without reading JSON
body         the events' JSON text, joined by line feeds (an event has none inside), or that as a frame of zstd
             (RFC 8878): its first four bytes begin no text in UTF-8
crc          CRC-32 over all of the above
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from hxp_enterprise_llm.event.log.chunks import Chunk
from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.model import Offset

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_RECORD_EVENTS = 4096
MAX_RECORD_BYTES = 1024 * 1024
IDENTITY_BYTES = 16

_PLAIN_BYTES = 1024
"""Up to so many bytes of text are kept as they are: of a few events compression saves little, and costs most."""
_FRAME = b"\x28\xb5\x2f\xfd"
# Whoever uses it waits for whoever does.
_compressor = zstd.ZstdCompressor(level=1)

_HEADER = struct.Struct("<qqd")


class Record(NamedTuple):
    """One stored record; see above."""

    last: int
    n: int
    at: float
    types: bytes
    identities: bytes
    body: bytes
    crc: int


class Damaged(Exception):
    """A record that is not what was written; the caller knows where it lies."""


def split(raws: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Ranges [start, end) of the events, each small enough for one record, or a single event."""
    if len(raws) <= MAX_RECORD_EVENTS and sum(map(len, raws)) + len(raws) <= MAX_RECORD_BYTES:
        if raws:
            yield 0, len(raws)
        return
    start = size = 0
    for index, raw in enumerate(raws):
        size += len(raw) + 1
        if index > start and (size > MAX_RECORD_BYTES or index - start == MAX_RECORD_EVENTS):
            yield start, index
            start, size = index, len(raw) + 1
    yield start, len(raws)


def pack(events: StoredColumns, identities: Sequence[bytes], at: float) -> Record:
    """A record of events whose offsets follow each other without holes."""
    last, n = events.offsets[-1], len(events)
    types = _pack_types(events.types)
    keys = b"".join(identities)
    body = _compressed(b"\n".join(events.raws))
    return Record(last, n, at, types, keys, body, _checksum(last, n, at, types, keys, body))


def verify(record: Record) -> None:
    """Raises Damaged when the record is not what was written."""
    last, n, at, types, identities, body, crc = record
    if _checksum(last, n, at, types, identities, body) != crc:
        raise Damaged("its checksum does not fit its content")


def unpack(record: Record) -> Chunk:
    """The events of a record. Raises Damaged."""
    verify(record)
    text = _text(record.body)
    raws = text.split(b"\n")
    types = _unpack_types(record.types, record.n)
    if len(raws) != record.n:
        raise Damaged(f"it holds {len(raws)} events instead of {record.n}")
    offsets: Sequence[Any] = range(record.last - record.n + 1, record.last + 1)
    return Chunk(Offset(record.last), StoredColumns(offsets, types, raws), len(text))


def identities_of(record: Record) -> tuple[list[bytes], range]:
    """Identities of a record's events and their offsets. Raises Damaged."""
    verify(record)
    blob = record.identities
    keys = [blob[i : i + IDENTITY_BYTES] for i in range(0, len(blob), IDENTITY_BYTES)]
    return keys, range(record.last - record.n + 1, record.last + 1)


def _compressed(text: bytes) -> bytes:
    if len(text) <= _PLAIN_BYTES:
        return text
    frame = _compressor.compress(text, _compressor.FLUSH_FRAME)
    return frame if len(frame) < len(text) else text


def _text(body: bytes) -> bytes:
    if not body.startswith(_FRAME):
        return body
    try:
        return zstd.decompress(body)
    except zstd.ZstdError as error:
        raise Damaged(f"its body cannot be decompressed: {error}") from error


def _checksum(last: int, n: int, at: float, types: bytes, identities: bytes, body: bytes) -> int:
    return crc32(body, crc32(identities, crc32(types, crc32(_HEADER.pack(last, n, at)))))


def _pack_types(types: Sequence[str]) -> bytes:
    distinct = list(dict.fromkeys(types))
    names = [name.encode("utf-8", "surrogatepass") for name in distinct]
    if len(names) == 1:
        return msgspec.msgpack.encode((names, b""))
    number = {name: index for index, name in enumerate(distinct)}
    return msgspec.msgpack.encode((names, _little_endian(array("H", [number[name] for name in types]))))


def _unpack_types(blob: bytes, n: int) -> list[str]:
    names, indexes = msgspec.msgpack.decode(blob, type=tuple[list[bytes], bytes])
    distinct = [name.decode("utf-8", "surrogatepass") for name in names]
    if len(distinct) == 1:
        return distinct * n
    return [distinct[index] for index in array("H", _little_endian(array("H", indexes)))]


def _little_endian(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()
