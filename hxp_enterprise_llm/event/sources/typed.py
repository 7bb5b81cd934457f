"""Events of types with a simple schema: one call reads a text, its attributes and its data at once.

As in `batch`, only what is plainly good passes here; None says that the other ways are to be asked. What passes is
stored as they store it, but for the order of its members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from operator import attrgetter, or_
from typing import Annotated, Any, Literal

import msgspec

from hxp_enterprise_llm.event.model import Encoded, EncodedColumns
from hxp_enterprise_llm.event.sources.decode import MAX_ID, MAX_TEXT, Terms, source_passes, type_passes
from hxp_enterprise_llm.event.sources.schema_types import data_type
from hxp_enterprise_llm.event.sources.strict_json import MAX_KEYS, may_repeat_keys
from hxp_enterprise_llm.event.sources.times import times_pass

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
_Absent = msgspec.UnsetType
_FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Event(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """The attributes of an event; its type is the tag of its class, `data` a field that the class has besides."""

    specversion: Literal["1.0"] | _Absent = msgspec.UNSET
    id: _Id | _Absent = msgspec.UNSET
    source: _Text | _Absent = msgspec.UNSET
    time: str | _Absent = msgspec.UNSET
    subject: _Text | _Absent = msgspec.UNSET
    datacontenttype: _Text | _Absent = msgspec.UNSET


class _Nothing(_Event, tag_field="type", tag=""):
    """There is always a type to choose from; of this one there is no event."""

    data: Annotated[int, msgspec.Meta(ge=1, le=0)]


_given = attrgetter("specversion", "source", "id", "time")
_id, _source = attrgetter("id"), attrgetter("source")
_others = attrgetter("subject", "datacontenttype")
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


class TypedReader:
    """Reads events of the types whose schema is simple enough. Immutable: other schemas need another one."""

    def __init__(self, schemas: Mapping[str, dict[str, Any]]) -> None:
        self._types = {made: type for type, schema in schemas.items() if (made := _event_type(type, schema))}
        one: Any = reduce(or_, self._types, _Nothing)
        self._one: Callable[[bytes], _Event] = msgspec.json.Decoder(one).decode
        self._array: Callable[[bytes], list[_Event]] = msgspec.json.Decoder(list[one]).decode

    @property
    def types(self) -> frozenset[str]:
        """The types of events that it reads."""
        return frozenset(self._types.values())

    def read_array(self, body: bytes, most: int, terms: Terms) -> EncodedColumns | None:
        """The events of a JSON array, at most so many."""
        try:
            events = self._array(body)
        except _FAULTS:
            return None
        return self._columns(events, body, terms) if 0 < len(events) <= most else None

    def read_texts(self, texts: Sequence[bytes], terms: Terms) -> EncodedColumns | None:
        """The events of JSON texts of one each."""
        try:
            # One by one: joined, a text that is none by itself could be made good by its neighbour.
            events = list(map(self._one, texts))
        except _FAULTS:
            return None
        return self._columns(events, b",".join(texts), terms) if events else None

    def read_one(self, text: bytes, terms: Terms) -> Encoded | None:
        """The event of a text, when it is complete and one like it has passed under these terms."""
        try:
            event = self._one(text)
        except _FAULTS:
            return None
        raw, type, id, source = _encode(event), self._types[event.__class__], event.id, event.source
        if (source, type, event.time) not in terms.passed or _others(event) != (msgspec.UNSET, msgspec.UNSET):
            return None
        if isinstance(source, _Absent) or isinstance(id, _Absent) or event.specversion is msgspec.UNSET:
            return None
        if not id.isprintable() or may_repeat_keys(text, raw) or len(raw) > 2 * MAX_KEYS:
            return None
        return Encoded(source, id, type, raw)

    def _columns(self, events: list[_Event], text: bytes, terms: Terms) -> EncodedColumns | None:
        raws = _texts_of(events)
        if not _are_strict(text, raws, events):
            return None
        versions, sources, ids, times = _columns_of(events)
        moments = set(times)
        if msgspec.UNSET in moments.union(versions, sources) or _Absent in set(map(type, ids)):
            if not source_passes(terms.source, terms):
                return None
            _complete(events, terms)
            raws, (_, sources, ids, times) = _texts_of(events), _columns_of(events)
            moments = set(times)
        return EncodedColumns(sources, ids, self._types_of(events), raws) if times_pass(moments, terms) else None

    def _types_of(self, events: list[_Event]) -> list[str]:
        kinds = set(map(type, events))
        if len(kinds) == 1:
            return [self._types[kind] for kind in kinds] * len(events)
        return list(map(self._types.__getitem__, map(type, events)))


def _event_type(type: str, schema: Mapping[str, Any]) -> Any | None:
    data = data_type(schema)
    if data is None or not type_passes(type):
        return None
    return msgspec.defstruct("Event", [("data", data)], bases=(_Event,), kw_only=True, tag_field="type", tag=type)


def _has_no_controls(text: bytes) -> bool:
    # JSON has those below the space only as escapes, and those beyond ASCII are none of ASCII.
    return text.isascii() and b"\\" not in text and b"\x7f" not in text


def _texts_of(events: list[_Event]) -> list[bytes]:
    texts = _encode_lines(events).split(b"\n")
    del texts[-1]  # what comes behind the last line
    return texts


def _columns_of(events: list[_Event]) -> Iterator[Sequence[Any]]:
    return zip(*map(_given, events), strict=True)


def _are_strict(text: bytes, raws: list[bytes], events: list[_Event]) -> bool:
    """Whether the text that the events came from repeats no key, and none is too wide or has a control character."""
    whole = b",".join(raws)
    if may_repeat_keys(text, whole) or (len(whole) > 2 * MAX_KEYS and max(map(len, raws)) > 2 * MAX_KEYS):
        return False
    return _has_no_controls(whole) or _are_printable(events)


def _complete(events: list[_Event], terms: Terms) -> None:
    for event in events:
        event.specversion = "1.0"
        if event.id is msgspec.UNSET:
            event.id = terms.new_id()
        if event.source is msgspec.UNSET:
            event.source = terms.source
        if event.time is msgspec.UNSET:
            event.time = terms.now_text


def _are_printable(events: list[_Event]) -> bool:
    texts = {*map(_id, events), *map(_source, events)}.union(*map(_others, events))
    return all(text is msgspec.UNSET or text.isprintable() for text in texts)
