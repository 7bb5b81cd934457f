"""Events of the log and answers to appends by column, so that none of them is an object of its own.

A log holds the newest hundred thousand events in memory and takes in as many a second. As tuples they would
be most of its work, and of what the garbage collector walks through.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, compress, repeat
from typing import TypeVar, overload

from hxp_enterprise_llm.event.log.model import Appended, Stored
from hxp_enterprise_llm.event.model import Offset, TypePatterns

T = TypeVar("T")

# A named tuple's own constructor is a Python call for each.
_stored = partial(tuple.__new__, Stored)
_appended = partial(tuple.__new__, Appended)


class StoredColumns(Sequence[Stored]):
    """Events in the order of the log. The columns are equally long."""

    __slots__ = ("offsets", "raws", "types")

    def __init__(self, offsets: Sequence[Offset], types: Sequence[str], raws: Sequence[bytes]) -> None:
        self.offsets, self.types, self.raws = offsets, types, raws

    @classmethod
    def of(cls, events: Sequence[Stored]) -> StoredColumns:
        """The columns of events."""
        return events if isinstance(events, cls) else cls(*(zip(*events, strict=True) if events else ((), (), ())))

    @classmethod
    def joined(cls, parts: Sequence[StoredColumns]) -> StoredColumns:
        """All of the parts, one behind the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            _chained(part.offsets for part in parts),
            _chained(part.types for part in parts),
            _chained(part.raws for part in parts),
        )

    def beyond(self, cursor: Offset) -> StoredColumns:
        """Those with a greater offset."""
        if self.offsets[0] > cursor:
            return self
        return self[bisect_right(self.offsets, cursor) :]

    def of_types(self, types: TypePatterns) -> StoredColumns:
        """Those whose type is chosen."""
        chosen = list(map(types.matches, self.types))
        if all(chosen):
            return self
        return StoredColumns(
            list(compress(self.offsets, chosen)), list(compress(self.types, chosen)), list(compress(self.raws, chosen))
        )

    def __len__(self) -> int:
        return len(self.raws)

    def __iter__(self) -> Iterator[Stored]:
        return map(_stored, zip(self.offsets, self.types, self.raws, strict=True))

    @overload
    def __getitem__(self, at: int) -> Stored: ...

    @overload
    def __getitem__(self, at: slice) -> StoredColumns: ...

    def __getitem__(self, at: int | slice) -> Stored | StoredColumns:
        if isinstance(at, slice):
            return StoredColumns(self.offsets[at], self.types[at], self.raws[at])
        return Stored(self.offsets[at], self.types[at], self.raws[at])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"StoredColumns({list(self)})"


class AllNew(Sequence[Appended]):
    """Answers to an append without repeats."""

    __slots__ = ("offsets",)

    def __init__(self, offsets: Sequence[Offset]) -> None:
        self.offsets = offsets

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[Appended]:
        return map(_appended, zip(self.offsets, repeat(False)))

    @overload
    def __getitem__(self, at: int) -> Appended: ...

    @overload
    def __getitem__(self, at: slice) -> AllNew: ...

    def __getitem__(self, at: int | slice) -> Appended | AllNew:
        return AllNew(self.offsets[at]) if isinstance(at, slice) else Appended(self.offsets[at], False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]


def _chained(columns: Iterable[Sequence[T]]) -> list[T]:
    return list(chain.from_iterable(columns))
