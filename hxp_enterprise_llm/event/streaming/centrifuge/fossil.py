"""Fossil deltas between two JSON texts, in UTF-8 on both sides.

Texts are cut behind commas, a byte that stands inside no character of several bytes: so every piece that is copied or
inserted is whole, and the delta itself is text, as the JSON form of the protocol requires.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
_LEAST_COPY = 12
"""Bytes below which naming a place costs as much as the bytes themselves."""


def delta(source: bytes, target: bytes) -> bytes:
    """What makes `target` out of `source`. It may be longer than `target`: the caller compares."""
    pieces = [_number(len(target)), b"\n"]
    done = 0
    for place, begin, end in _runs(source, target):
        if end - begin >= _LEAST_COPY:
            pieces += [_insert(target[done:begin]), b"%b@%b," % (_number(end - begin), _number(place))]
            done = end
    pieces += [_insert(target[done:]), _number(checksum(target)), b";"]
    return b"".join(pieces)


def checksum(text: bytes) -> int:
    """Sum of the big-endian words of 32 bits, the last one filled up with zeros."""
    padded = text + bytes(-len(text) % 4)
    total: int = sum(struct.unpack(f">{len(padded) // 4}I", padded))
    return total & 0xFFFFFFFF


def _runs(source: bytes, target: bytes) -> Iterator[tuple[int, int, int]]:
    """Stretches `target[begin:end]` that stand at `place` in the source, ascending."""
    places = _places(source)
    place, start, end = -1, 0, 0
    for piece in _cut(target):
        begin, end = end, end + len(piece)
        if place >= 0 and source.startswith(piece, place + begin - start):
            continue
        if place >= 0:
            yield place, start, begin
        place, start = places.get(piece, -1), begin
    if place >= 0:
        yield place, start, end


def _places(source: bytes) -> dict[bytes, int]:
    places: dict[bytes, int] = {}
    begin = 0
    for piece in _cut(source):
        places.setdefault(piece, begin)
        begin += len(piece)
    return places


def _cut(text: bytes) -> list[bytes]:
    pieces = [piece + b"," for piece in text.split(b",")]
    pieces[-1] = pieces[-1][:-1]
    return [piece for piece in pieces if piece]


def _insert(text: bytes) -> bytes:
    return b"%b:%b" % (_number(len(text)), text) if text else b""


def _number(value: int) -> bytes:
    digits = bytearray()
    while True:
        value, digit = divmod(value, 64)
        digits.append(_DIGITS[digit])
        if not value:
            return bytes(reversed(digits))
