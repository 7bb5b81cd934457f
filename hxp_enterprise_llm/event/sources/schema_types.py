"""Simple JSON Schemas as msgspec types, so that reading a text and checking it is one call in C.

A type takes less than its schema or the same, never more: a member that the schema does not name is refused, for
instance, and so is an integer beyond 64 bits. A schema that a type cannot say in full has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from operator import or_
from types import GenericAlias
from typing import Annotated, Any, Literal

import msgspec

from hxp_enterprise_llm.event.sources.strict_json import MAX_INTEGER, MIN_INTEGER

MAX_LEVELS = 8
"""So that what is read is far from `strict_json.MAX_DEPTH`. The number of keys is for the reader to check."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NOTES = frozenset({"$comment", "$id", "$schema", "default", "deprecated", "description", "examples", "title"})
_EXACT = 2**53
"""Bounds beyond this are not the same number for integers and for others."""


class Inexpressible(Exception):
    """A schema says something that a type cannot."""


def data_type(schema: Mapping[str, Any]) -> Any | None:
    """A type of objects that agree with the schema; None when there is none that says all of it."""
    if schema.get("$schema", _DIALECT) != _DIALECT or schema.get("type") != "object":
        return None
    try:
        return _type(schema, 1)
    except Inexpressible:
        return None


def _type(schema: Any, level: int) -> Any:
    """Raises Inexpressible."""
    _require(isinstance(schema, dict) and level <= MAX_LEVELS)
    if "enum" in schema:
        return _choice(schema)
    kinds = _kinds(schema)
    known = _NOTES.union({"type"}, *(_KEYWORDS[kind] for kind in kinds))
    _require(schema.keys() <= known)
    return reduce(or_, [_MAKERS[kind](schema, level) for kind in kinds])


def _require(condition: bool) -> None:
    if not condition:
        raise Inexpressible


def _kinds(schema: dict[str, Any]) -> list[str]:
    found = schema.get("type")
    kinds: list[Any] = found if isinstance(found, list) else [found]
    _require(bool(kinds) and all(kind in _MAKERS for kind in kinds))
    # Every integer is a number.
    return [kind for kind in kinds if kind != "integer" or "number" not in kinds]


def _choice(schema: dict[str, Any]) -> Any:
    options = schema["enum"]
    _require(schema.keys() <= _NOTES | {"type", "enum"} and schema.get("type", "string") == "string")
    _require(isinstance(options, list) and bool(options) and all(map(_is_plain, options)))
    return Literal[tuple(options)]


def _object(schema: dict[str, Any], level: int) -> Any:
    if "properties" not in schema:
        _require(schema.keys().isdisjoint({"anyOf", "required"}) and "additionalProperties" in schema)
        return GenericAlias(dict, (str, _type(schema["additionalProperties"], level + 1)))
    return _struct(schema, level)


def _struct(schema: dict[str, Any], level: int) -> Any:
    members, required = schema["properties"], [*schema.get("required", []), *_first_choice(schema)]
    _require(bool(members) and all(map(_is_name, members)) and set(required) <= members.keys())
    _require(isinstance(schema.get("additionalProperties", True), bool))
    fields: list[Any] = []
    for at, (name, inner) in enumerate(members.items()):
        type = _type(inner, level + 1)
        fields.append((f"f{at}", type) if name in required else (f"f{at}", type | msgspec.UnsetType, msgspec.UNSET))
    # The members go by numbers: their names may be none that Python takes, or mean something to it.
    names = {f"f{at}": name for at, name in enumerate(members)}
    return msgspec.defstruct(
        "Data", fields, rename=names, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
    )


def _first_choice(schema: dict[str, Any]) -> list[str]:
    """Members that the first of several choices asks for; who chose another is for other readers."""
    choices = schema.get("anyOf", [{"required": []}])
    _require(isinstance(choices, list) and bool(choices) and all(isinstance(each, dict) for each in choices))
    _require(choices[0].keys() == {"required"})
    return list(choices[0]["required"])


def _is_plain(option: Any) -> bool:
    return isinstance(option, str) and option.isprintable()


def _is_name(name: str) -> bool:
    return name.isprintable() and '"' not in name and "\\" not in name


def _array(schema: dict[str, Any], level: int) -> Any:
    return _limited(GenericAlias(list, (_type(schema.get("items"), level + 1),)), _sizes(schema, "Items"))


def _text(schema: dict[str, Any], level: int) -> Any:
    return _limited(str, _sizes(schema, "Length"))


def _sizes(schema: dict[str, Any], of: str) -> dict[str, Any]:
    found = {f"{end}_length": schema[f"{end}{of}"] for end in ("min", "max") if f"{end}{of}" in schema}
    _require(all(_is_exact(size) and size == int(size) >= 0 for size in found.values()))
    return {name: int(size) for name, size in found.items()}


def _integer(schema: dict[str, Any], level: int) -> Any:
    least, most = MIN_INTEGER, MAX_INTEGER
    for name, bound in _bounds(schema):
        if name in ("ge", "gt"):
            least = max(least, math.ceil(bound) if name == "ge" else math.floor(bound) + 1)
        else:
            most = min(most, math.floor(bound) if name == "le" else math.ceil(bound) - 1)
    return _limited(int, {"ge": least, "le": most})


def _number(schema: dict[str, Any], level: int) -> Any:
    bounds = {name: float(bound) for name, bound in _bounds(schema)}
    _require(not ({"ge", "gt"} <= bounds.keys() or {"le", "lt"} <= bounds.keys()))
    return _integer(schema, level) | _limited(float, bounds)


def _bounds(schema: dict[str, Any]) -> Iterator[tuple[str, int | float]]:
    for keyword, name in _BOUNDS.items():
        if keyword in schema:
            _require(_is_exact(schema[keyword]))
            yield name, schema[keyword]


def _is_exact(bound: Any) -> bool:
    return type(bound) in (int, float) and -_EXACT < bound < _EXACT


def _limited(type: Any, limits: dict[str, Any]) -> Any:
    return Annotated[type, msgspec.Meta(**limits)] if limits else type


_BOUNDS = {"minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt"}
_KEYWORDS: dict[str, frozenset[str]] = {
    "array": frozenset({"items", "minItems", "maxItems"}),
    "boolean": frozenset(),
    "integer": frozenset(_BOUNDS),
    "null": frozenset(),
    "number": frozenset(_BOUNDS),
    "object": frozenset({"anyOf", "properties", "required", "additionalProperties"}),
    "string": frozenset({"minLength", "maxLength"}),
}
_MAKERS: dict[str, Callable[[dict[str, Any], int], Any]] = {
    "array": _array,
    "boolean": lambda schema, level: bool,
    "integer": _integer,
    "null": lambda schema, level: type(None),
    "number": _number,
    "object": _object,
    "string": _text,
}
