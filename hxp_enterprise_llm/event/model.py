"""The event (CloudEvents 1.0), its identity, and the patterns that choose types."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple, NewType, overload

import msgspec

Offset = NewType("Offset", int)
"""Place of an event in the log: 1 … 2^53-1, grows strictly in log order, is not dense. 0 is "before the first"."""

BEGINNING = Offset(0)
EARLIEST = Offset(-1)
"""Whatever is still there: the first event that the log holds now."""


class Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="specversion",
    tag="1.0",
):
    """A CloudEvents 1.0 event as our own rooms read and write it.

    Extension attributes of foreign events stay in the encoded form in the log; this view leaves them out.
    """

    id: str
    source: str
    type: str
    time: str | None = None  # RFC 3339, UTC
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: Any = None


class Encoded(NamedTuple):
    """An event ready for the log: its identity, its type, and the JSON text that is never encoded again.

    `raw` is one JSON object in UTF-8 without line feeds, at least one member long.
    """

    source: str
    id: str
    type: str
    raw: bytes


class EncodedColumns(Sequence[Encoded]):
    """Many encoded events, kept by column: what handles all of them at once need not take each one apart.

    The columns are equally long. Each of `raws` came out of the encoder, so that it need not be looked at again.
    """

    __slots__ = ("ids", "raws", "sources", "types")

    def __init__(self, sources: Sequence[str], ids: Sequence[str], types: Sequence[str], raws: Sequence[bytes]) -> None:
        self.sources, self.ids, self.types, self.raws = sources, ids, types, raws

    @classmethod
    def of(cls, events: Sequence[Encoded]) -> EncodedColumns:
        """The columns of events."""
        return events if isinstance(events, cls) else cls(*(zip(*events, strict=True) if events else ((),) * 4))

    @property
    def columns(self) -> tuple[Sequence[str], Sequence[str], Sequence[str], Sequence[bytes]]:
        """Sources, ids, types, raws."""
        return self.sources, self.ids, self.types, self.raws

    def __len__(self) -> int:
        return len(self.raws)

    def __iter__(self) -> Iterator[Encoded]:
        return map(Encoded, self.sources, self.ids, self.types, self.raws)

    @overload
    def __getitem__(self, at: int) -> Encoded: ...

    @overload
    def __getitem__(self, at: slice) -> EncodedColumns: ...

    def __getitem__(self, at: int | slice) -> Encoded | EncodedColumns:
        if isinstance(at, slice):
            return EncodedColumns(self.sources[at], self.ids[at], self.types[at], self.raws[at])
        return Encoded(self.sources[at], self.ids[at], self.types[at], self.raws[at])


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def encode(event: Event) -> Encoded:
    """Encode an event once, for the log and every way out."""
    return Encoded(event.source, event.id, event.type, _encoder.encode(event))


def decode(raw: bytes) -> Event:
    """Read an event out of the log."""
    return _decoder.decode(raw)


def identity(source: str, id: str) -> bytes:
    """The 16 bytes that recognise a repeated event: blake2b-128 of source, NUL, id."""
    return blake2b(f"{source}\0{id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def identities(sources: Iterable[str], ids: Iterable[str]) -> list[bytes]:
    """The identity of each event; a source that repeats is hashed once."""
    begun: dict[str, Callable[[], blake2b]] = {}
    made = []
    for source, id in zip(sources, ids, strict=True):
        copy = begun.get(source)
        if copy is None:
            copy = begun[source] = blake2b(f"{source}\0".encode("utf-8", "surrogatepass"), digest_size=16).copy
        hash = copy()
        hash.update(id.encode("utf-8", "surrogatepass"))
        made.append(hash.digest())
    return made


def rfc3339(unix_seconds: float) -> str:
    """Wall-clock seconds as RFC 3339 in UTC with milliseconds, e.g. `2026-11-20T17:34:31.250Z`."""
    text = datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def parse_rfc3339(text: str) -> float:
    """RFC 3339 text as wall-clock seconds. Raises ValueError when it is no time with a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time without a zone: {text!r}")
    return moment.timestamp()


class TypePatterns:
    """Chooses events by type: exact names (`llm.request.failed`), prefixes (`llm.*`), or `*` for all.

    Applied above the log, so that every backend answers the same.
    """

    __slots__ = ("_everything", "_matches", "_names", "_prefixes", "patterns")

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns: tuple[str, ...] = tuple(dict.fromkeys(patterns))
        self._everything = "*" in self.patterns
        self._names = frozenset(p for p in self.patterns if not p.endswith(".*"))
        self._prefixes = tuple(p[:-1] for p in self.patterns if p.endswith(".*"))
        # Types repeat: the answer for each is worth keeping, for a bounded number of them.
        self._matches = lru_cache(maxsize=4096)(self._look)

    def matches(self, type: str) -> bool:
        """Whether an event of this type is chosen."""
        return self._everything or self._matches(type)

    def _look(self, type: str) -> bool:
        return type in self._names or type.startswith(self._prefixes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypePatterns) and set(self.patterns) == set(other.patterns)

    def __hash__(self) -> int:
        return hash(frozenset(self.patterns))

    def __repr__(self) -> str:
        return f"TypePatterns({', '.join(self.patterns)})"


_PATTERN = re.compile(r"\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?")


def parse_patterns(texts: Sequence[str]) -> TypePatterns:
    """Patterns from configuration or a query. Raises ValueError that names the faulty one."""
    for text in texts:
        if not _PATTERN.fullmatch(text):
            raise ValueError(f"{text!r} is no type pattern: write a type, a prefix such as 'llm.*', or '*'")
    return TypePatterns(texts)
