"""What a Redis server answers a consumer, without any I/O: entries of streams, out of lists of bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hxp_enterprise_llm.telemetry.text import clean

_ID = re.compile(rb"\d{1,20}-\d{1,20}")


class ServerSaid(Exception):
    """An error of the server's, in its words."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class ReplyError(Exception):
    """An answer that is none to what was asked."""


class Entry(NamedTuple):
    """An entry of a stream. `fields`: None when it was deleted before it was read, or when it is too large."""

    stream: str
    id: str
    fields: Sequence[tuple[bytes, bytes]] | None
    too_large: bool = False


class Entries(NamedTuple):
    """The entries of an answer in order. `more`: others had no room in it, and are to be asked for again."""

    found: list[Entry]
    more: bool


class Marks(NamedTuple):
    """What stands in an answer for a value that was not kept: since it is too large, or since the answer is."""

    too_large: bytes
    no_room: bytes


def entries_of(reply: Any, streams: Mapping[bytes, str], marks: Marks) -> Entries:
    """Out of an answer to XREADGROUP. Raises ReplyError."""
    found: list[Entry] = []
    more = False
    try:
        for key, listed in reply or ():
            stream = streams[key]
            for id, fields in listed:
                entry = Entry(stream, id_of(id), None if fields is None else _pairs(fields))
                whole = _whole(entry, marks, first=not found)
                if whole is None:
                    more = True
                    break  # those behind it in this stream wait with it
                found.append(whole)
    except (TypeError, ValueError, KeyError) as error:
        raise ReplyError(f"its answer to XREADGROUP is none: {clean(repr(error), 100)}") from error
    return Entries(found, more)


def _whole(entry: Entry, marks: Marks, *, first: bool) -> Entry | None:
    """The entry as it can be used, or None when it had no room; one that has none in an answer of its own never has."""
    values = {value for pair in entry.fields or () for value in pair}
    if marks.too_large in values or (first and marks.no_room in values):
        return entry._replace(fields=None, too_large=True)
    return None if marks.no_room in values else entry


def _pairs(fields: Any) -> list[tuple[bytes, bytes]]:
    if not isinstance(fields, list) or not all(isinstance(each, bytes) for each in fields):
        raise TypeError("fields that are no texts")
    return list(zip(fields[::2], fields[1::2], strict=True))


def id_of(text: Any) -> str:
    """The id of an entry. Raises TypeError, ValueError."""
    if not _ID.fullmatch(text):
        raise ValueError("an id that is none")
    return str(text, "ascii")


def order(id: str) -> tuple[int, int]:
    """Ids in the order of their entries."""
    first, _, second = id.partition("-")
    return int(first), int(second)


def member(reply: Any, name: bytes) -> Any:
    """A member of a list of names and values, as XINFO answers. Raises ReplyError."""
    try:
        return reply[reply.index(name) + 1]
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise ReplyError(f"its answer to XINFO has no {name.decode()}") from error
