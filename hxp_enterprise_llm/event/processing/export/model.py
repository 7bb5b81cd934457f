"""A table: named columns of one kind each, and rows that come in chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, NamedTuple

Kind = Literal["text", "integer", "number", "boolean"]
Row = tuple[Any, ...]
"""Values in the order of the columns, None where there is none."""


class Column(NamedTuple):
    """A column."""

    name: str
    kind: Kind


class Wanted(NamedTuple):
    """What is asked for: from `begin` to before `end`, in wall-clock seconds."""

    begin: float
    end: float
    step: int | None = None
    """Of figures over time, in seconds."""
    after: int = 0
    """Of tables of the log: only what lies beyond this offset."""


class TableAway(Exception):
    """A table cannot be made now; the text says why."""


class Table(NamedTuple):
    """Something that can be exported. `rows` raises LogError, HistoryAway and TableAway."""

    name: str
    description: str
    columns: tuple[Column, ...]
    rows: Callable[[Wanted], AsyncIterator[list[Row]]]
    of_log: bool = False
    """Its first column is the offset, so that a broken download goes on behind it."""
