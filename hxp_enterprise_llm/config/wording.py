"""Faults of JSON Schema validation in plain words: what is expected, what is there, what may have been meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, cast, get_args

from jsonschema.exceptions import ValidationError

from hxp_enterprise_llm.config.faults import shown
from hxp_enterprise_llm.config.paths import KeyPath, suggestion
from hxp_enterprise_llm.config.rules import Label
from hxp_enterprise_llm.config.sources import EventType, Key, KeyOrNone, MetricName, Subject, UrlPath
from hxp_enterprise_llm.config.types import Duration, DurationOrNone, Name, TypePattern, seconds

_TYPES = {
    "object": "a map",
    "array": "a list",
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}

_SIZE = re.compile(r"[0-9.]+ ?[kKMGT]i?B?")
PATTERNS = {
    get_args(Duration)[1].pattern: "a duration such as 30s, 5m, 1h30m or 7d",
    get_args(DurationOrNone)[1].pattern: "a duration such as 30s, 5m, 1h30m or 7d, or empty",
    get_args(Name)[1].pattern: "a name of at most 64 lower-case letters, digits, '_' and '-'",
    get_args(TypePattern)[1].pattern: "an event type such as llm.request.completed, a prefix such as llm.*, or *",
    r"^[a-z][a-z0-9_]{0,63}$": "a name of at most 64 lower-case letters, digits and '_', a letter first",
    get_args(Label)[1].pattern: "a name of at most 64 letters, digits and '_', no digit first",
    get_args(MetricName)[1].pattern: "a name of at most 128 letters, digits, '_' and ':', no digit first",
    get_args(UrlPath)[1].pattern: "a path such as /health, without a query",
    "^/": "an absolute path such as /srv/documents",
    get_args(EventType)[1].pattern: "an event type such as llm.request.completed, or empty",
    get_args(Subject)[1].pattern: "a subject such as egos.llm.logs, egos.*.logs or egos.>",
    get_args(Key)[1].pattern: "1 to 128 characters of ASCII without a space, such as agents:events",
    get_args(KeyOrNone)[1].pattern: "at most 128 characters of ASCII without a space",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$": "a name of at most 64 letters, digits, '_', '.' and '-'",
}
"""What the patterns of the types mean."""


class Violation(NamedTuple):
    """One thing that the types do not allow; `at_key`: the key is wrong, not its value."""

    path: KeyPath
    message: str
    at_key: bool = False


def describe(
    error: ValidationError, elsewhere: Mapping[str, str], neighbours: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Violation]:
    """Each fault in one validation error.

    `elsewhere` maps key names to the path where they belong, for keys that stand in the wrong section; `neighbours`
    maps sections of another service's file to whose they are.
    """
    path: KeyPath = tuple(error.absolute_path)
    expected, value, schema = cast("Any", error.validator_value), cast("Any", error.instance), cast("Any", error.schema)
    if error.validator == "additionalProperties":
        known = schema["properties"]
        for key in value:
            if key not in known:
                owner = neighbours.get(key, "") if not path else ""
                where = f" (it belongs into the file of {owner})" if owner else ""
                near = where or suggestion(key, known) or _moved(key, elsewhere)
                yield Violation((*path, key), f"unknown key{near}", True)
    elif error.validator == "required":
        for key in expected:
            if key not in value:
                yield Violation((*path, key), "is required and missing")
    elif "propertyNames" in error.absolute_schema_path:
        yield Violation((*path, value), f"the key must be {_meaning(expected)}", True)
    else:
        yield Violation(path, _MESSAGES[str(error.validator)](expected, value))


def _kind(value: Any) -> str:
    """What a shown value is, where that is not plain to see."""
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, str):
        return " (text)"
    return " (a number)" if isinstance(value, int | float) else ""


def _type(expected: str, value: Any) -> str:
    return f"expected {_TYPES[expected]}, got {shown(value)}{_kind(value)}{_advice(expected, value)}"


def _advice(expected: str, value: Any) -> str:
    if expected == "string" and isinstance(value, bool | int | float):
        return "; put it in quotes"
    if expected in ("integer", "number") and isinstance(value, str):
        return _number_alone(value)
    if expected == "object" and value is None:
        return "; indent its keys below it, or leave it out"
    return ""


def _number_alone(text: str) -> str:
    """What to write for a number with quotes or a unit around it."""
    if text.isdecimal():
        return "; leave out the quotes"
    if _SIZE.fullmatch(text):
        return "; write the number alone"
    try:
        return f"; if seconds are meant, write {seconds(text):g}"
    except ValueError:
        return ""


def _enum(allowed: list[str], value: Any) -> str:
    near = suggestion(value, allowed) if isinstance(value, str) else ""
    return f"must be one of {', '.join(allowed)}, is {shown(value)}{near}"


def _any_of(choices: list[dict[str, Any]], value: Any) -> str:
    words = (f"{_TYPES[each['type']]}{_items(each)}" for each in choices)
    return f"expected {', or '.join(words)}, got {shown(value)}{_kind(value)}"


def _items(choice: dict[str, Any]) -> str:
    return f" of {_TYPES[choice['items']['type']].rpartition(' ')[2]}" if "items" in choice else ""


def _meaning(pattern: str) -> str:
    return PATTERNS.get(pattern, f"text that matches {pattern}")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _moved(key: str, elsewhere: Mapping[str, str]) -> str:
    return f" (did you mean {elsewhere[key]}?)" if key in elsewhere else ""


_MESSAGES: dict[str, Callable[[Any, Any], str]] = {
    "type": _type,
    "enum": _enum,
    "anyOf": _any_of,
    "minimum": lambda bound, value: f"must be at least {bound}, is {value}",
    "maximum": lambda bound, value: f"must be at most {bound}, is {value}",
    "exclusiveMinimum": lambda bound, value: f"must be greater than {bound}, is {value}",
    "exclusiveMaximum": lambda bound, value: f"must be less than {bound}, is {value}",
    "pattern": lambda pattern, value: f"must be {_meaning(pattern)}, is {shown(value)}",
    "minLength": lambda least, value: f"must have at least {_count(least, 'character')}, has {len(value)}",
    "maxLength": lambda most, value: f"must have at most {_count(most, 'character')}, has {len(value)}",
    "minItems": lambda least, value: f"must have at least {_count(least, 'item')}, has {len(value)}",
}
