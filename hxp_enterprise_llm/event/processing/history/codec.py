"""Memories as bytes and back, nothing lost: MessagePack, compressed where it pays."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping
from typing import Any

import msgspec

from hxp_enterprise_llm.event.processing.aggregates import Aggregate
from hxp_enterprise_llm.event.processing.history.memories import Figures, Labelled, empty
from hxp_enterprise_llm.event.processing.metrics import Accumulator
from hxp_enterprise_llm.event.processing.plain import memory_of, restored, values_of

_PLAIN, _PACKED = b"\x00", b"\x01"
_WORTH_PACKING = 200
_LEVEL = 1
"""Of zlib: a write packs some hundred kilobytes each few seconds. ISA-L would save two milliseconds, and leave the
processor in a state in which this thread runs a tenth slower from then on: see docs/decisions.md."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[int, Any]).decode


def pack(slots: Mapping[int, Aggregate]) -> bytes:
    """Memories by their place in a block."""
    text = _encode({place: _state(memory) for place, memory in slots.items()})
    if len(text) < _WORTH_PACKING:
        return _PLAIN + text
    return _PACKED + zlib.compress(text, _LEVEL)


def unpack(accumulator: Accumulator, data: bytes) -> dict[int, Aggregate]:
    """What `pack` made. Raises sqlite3.DatabaseError, as for any damage, when it is something else."""
    kind, text = data[:1], data[1:]
    try:
        found = _decode(zlib.decompress(text) if kind == _PACKED else text)
        return {place: _memory(accumulator, state) for place, state in found.items()}
    except (msgspec.DecodeError, zlib.error, TypeError, ValueError, IndexError) as error:
        raise sqlite3.DatabaseError(f"a part of {accumulator.family} cannot be read: {error}") from error


def _state(memory: Any) -> Any:
    if isinstance(memory, Labelled):
        other = None if memory.other is None else _state(memory.other)
        return [other, [[*key, _state(each)] for key, each in memory.kept.items()]]
    values = values_of(memory)
    return [*values, memory.at] if isinstance(memory, Figures) else values


def _memory(accumulator: Accumulator, state: Any) -> Aggregate:
    if not accumulator.by:
        return _plain(accumulator, state)
    made = empty(accumulator)
    assert isinstance(made, Labelled)
    made.other = None if state[0] is None else _plain(accumulator, state[0])
    made.kept = {tuple(row[:-1]): _plain(accumulator, row[-1]) for row in state[1]}
    return made


def _plain(accumulator: Accumulator, state: Any) -> Aggregate:
    return restored(Figures(state[5]), state[:5]) if accumulator.family == "numbers" else memory_of(accumulator, state)
