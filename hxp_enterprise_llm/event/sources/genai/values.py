"""Attributes read with care: senders put anything anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from hxp_enterprise_llm.telemetry.text import clean

LARGEST = 2**53
NAME_LIMIT = 256
TEXT_LIMIT = 1024


def text(attributes: Mapping[str, Any], names: Iterable[str], limit: int = NAME_LIMIT) -> str:
    """The first of these attributes that has something to say, as one line; empty when none has."""
    for value in map(attributes.get, names):
        if value is None:
            continue
        if type(value) is str:
            if stripped := value.strip():
                # Nearly all are clean and short.
                return stripped if len(stripped) <= limit and stripped.isprintable() else clean(stripped, limit)
        elif type(value) in (int, float):
            return str(value)
    return ""


def number(value: Any) -> float | None:
    """A finite number within 2^53, given as number or text; else None."""
    if type(value) is str:
        try:
            value = float(value)
        except ValueError:
            return None
    if type(value) is not int and type(value) is not float:
        return None
    return value if abs(value) <= LARGEST else None


def amount(attributes: Mapping[str, Any], names: Iterable[str]) -> float | None:
    """The first of these attributes that is a number of at least 0."""
    for value in map(attributes.get, names):
        if value is not None and (found := number(value)) is not None and found >= 0:
            return found
    return None


def whole(attributes: Mapping[str, Any], names: Iterable[str]) -> int | None:
    """The same as a whole number."""
    for value in map(attributes.get, names):
        # What nearly all of them send.
        if type(value) is int and 0 <= value <= LARGEST:
            return value
        if value is not None and (found := number(value)) is not None and found >= 0:
            return int(found)
    return None


def truth(attributes: Mapping[str, Any], names: Iterable[str]) -> bool | None:
    """The first of these attributes that is true or false."""
    for value in map(attributes.get, names):
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
    return None


def first_of(value: Any) -> str:
    """The first text of a list, or the text itself."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return next((clean(each) for each in value if isinstance(each, str)), "")
    return ""


def parsed(value: Any) -> Any:
    """A value that may have been sent as JSON in a text; None when it is no JSON."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError, RecursionError):
        return None


def given(**members: Any) -> dict[str, Any]:
    """The members that have a value: neither None nor an empty text."""
    return {name: value for name, value in members.items() if value is not None and value != ""}
