"""Many events at once: whole columns are checked where `decode_item` looks at one event.

Only what is plainly good passes here. Whatever is unusual in any way is left to `decode_item`, which has the word on
every fault, so that there is one place that says what is wrong. What passes is stored with the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from hxp_enterprise_llm.event.model import EncodedColumns
from hxp_enterprise_llm.event.sources.decode import MAX_ID, MAX_TEXT, Terms, fill, names_pass
from hxp_enterprise_llm.event.sources.strict_json import JsonFault, check_objects
from hxp_enterprise_llm.event.sources.times import times_pass

_REQUIRED = ("specversion", "source", "id", "type", "time", "data")
_SENT = frozenset({"type", "data"})
_GIVEN = frozenset({"specversion", "id", "source", "time"})
_TEXTS = frozenset({"subject", "datacontenttype"})
_TAKEN = _SENT | _GIVEN | _TEXTS

_columns = itemgetter(*_REQUIRED)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

Accepts = Callable[[Sequence[str], Sequence[Any]], bool]
"""Whether each data agrees with the schema of its type."""


def decode_array(body: bytes, most: int, terms: Terms, accepts: Accepts) -> EncodedColumns | None:
    """The events of a JSON array, at most so many; None: they are to be looked at singly."""
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if type(found) is not list or not 0 < len(found) <= most:
        return None
    return _decode_values(found, body, terms, accepts)


def decode_texts(texts: Sequence[bytes], terms: Terms, accepts: Accepts) -> EncodedColumns | None:
    """The events of JSON texts of one each; None: they are to be looked at singly."""
    try:
        # One by one: joined, a text that is none by itself could be made good by its neighbour.
        events = list(map(_decode, texts))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return _decode_values(events, b",".join(texts), terms, accepts)


def _decode_values(events: list[Any], text: bytes, terms: Terms, accepts: Accepts) -> EncodedColumns | None:
    if set(map(type, events)) != {dict}:
        return None
    shapes = set(map(tuple, events))
    names = set().union(*shapes)
    if not names <= _TAKEN:
        return None
    try:
        raws = list(map(_encode, events))
        check_objects(events, raws, text, _least_brackets(events))
        if not all(map(_GIVEN.issubset, shapes)):
            events = [fill(event, terms)[0] for event in events]
            raws = list(map(_encode, events))
        versions, sources, ids, types, times, datas = zip(*map(_columns, events), strict=True)
        kinds, moments = set(zip(sources, types, strict=True)), set(times)
    except (JsonFault, KeyError, TypeError):
        return None
    texts = (_present(name, events) for name in names & _TEXTS)
    if versions.count("1.0") < len(events) or not _are_texts(ids, MAX_ID):
        return None
    if not all(names_pass(*kind, terms) for kind in kinds) or not times_pass(moments, terms):
        return None
    if not all(_are_texts(text, MAX_TEXT) for text in texts):
        return None
    return EncodedColumns(sources, ids, types, raws) if accepts(types, datas) else None


def _least_brackets(events: Sequence[dict[str, Any]]) -> int:
    kinds = [type(event.get("data")) for event in events]
    return len(events) + kinds.count(dict) + kinds.count(list)


def _present(name: str, events: Iterable[dict[str, Any]]) -> list[Any]:
    return [event[name] for event in events if name in event]


def _are_texts(values: Sequence[Any], limit: int) -> bool:
    """Whether all are texts of 1 to `limit` characters without a control character."""
    if set(map(type, values)) != {str}:
        return False
    sizes = set(map(len, values))
    return 0 not in sizes and max(sizes) <= limit and "".join(values).isprintable()
