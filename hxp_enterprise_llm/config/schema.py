"""JSON Schema (draft 2020-12) of a configuration, out of its types: for editors, and for our own validation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from hxp_enterprise_llm.config.fields import fields
from hxp_enterprise_llm.config.paths import KeyPath, dotted
from hxp_enterprise_llm.config.types import Section


def json_schema(config: type[Section]) -> dict[str, Any]:
    """The document. Each key has its description, default and `x-reload`: `live`, or `restart` when it takes one.

    Keys inside the items of a list or map have no mark of their own: the list's counts.
    """
    document = msgspec.json.schema(config)
    for section, fixed in _sections(config):
        _complete(document["$defs"][section.__name__], section, fixed)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}


def subschema(document: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    """The schema of the value at `path`; raises KeyError when the configuration has no such key."""
    schema = _resolved(document, document)
    for step in path:
        inner = schema["items"] if isinstance(step, int) else _property(schema, step)
        schema = _resolved(document, inner)
    return schema


def key_places(document: dict[str, Any]) -> dict[str, str]:
    """Where a key of a name belongs: its dotted path, for names with one place above all others of that name."""
    found: dict[str, list[KeyPath]] = {}
    for path in sorted(_keys(document, _resolved(document, document), ()), key=len):
        found.setdefault(str(path[-1]), []).append(path)
    return {
        key: dotted(places[0]) for key, places in found.items() if len(places) == 1 or len(places[0]) < len(places[1])
    }


def _keys(document: dict[str, Any], schema: dict[str, Any], path: KeyPath) -> Iterator[KeyPath]:
    for key, inner in schema.get("properties", {}).items():
        yield (*path, key)
        yield from _keys(document, _resolved(document, inner), (*path, key))


def _property(schema: dict[str, Any], key: str) -> dict[str, Any]:
    properties: dict[str, dict[str, Any]] = schema.get("properties", {})
    if key in properties:
        return properties[key]
    rest = schema.get("additionalProperties")
    if isinstance(rest, dict):
        return rest
    raise KeyError(key)


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return document["$defs"][reference.rsplit("/", 1)[1]] if reference else schema


def _sections(config: type[Section], fixed: bool = True) -> Iterator[tuple[type[Section], bool]]:
    """The section and all inside it; `fixed`: not an item of a list or map, so that its keys have their own reload."""
    yield config, fixed
    for field in fields(config):
        inner = field.section or field.items
        if inner is not None:
            yield from _sections(inner, fixed and field.section is not None)


def _complete(schema: dict[str, Any], section: type[Section], fixed: bool) -> None:
    """Add what msgspec leaves out: defaults that are made by a function, and the reload mark."""
    infos = {info.encode_name: info for info in msgspec.structs.fields(section)}
    for field in fields(section):
        if field.section is not None:
            continue
        key = str(field.path[-1])
        target, factory = schema["properties"][key], infos[key].default_factory
        if fixed:
            target["x-reload"] = "live" if field.live else "restart"
        if factory is not msgspec.NODEFAULT:
            target["default"] = msgspec.to_builtins(factory())
