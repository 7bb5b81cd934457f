"""Where each member of a JSON text stands, so that a fault can name its line and column.

Not by `config/positions`: PyYAML refuses tabs between tokens, which JSON files may have.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

from hxp_enterprise_llm.config.paths import KeyPath


class Position(NamedTuple):
    """Place in a text; both count from 1."""

    line: int
    column: int


class DuplicateKey(ValueError):
    """An object names the same key twice."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"the key {self.key!r} is given twice in one object"


def parse(text: str) -> Any:
    """Decode JSON. Raises json.JSONDecodeError, and DuplicateKey for a repeated key."""
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise DuplicateKey(key)
        members[key] = value
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


Tokens = Iterator[tuple[str, int]]
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def positions(text: str) -> dict[KeyPath, Position]:
    """Place of every value of a valid JSON text; `()` is the root."""
    found: dict[KeyPath, Position] = {}
    tokens = ((match.group(), match.start()) for match in _TOKEN.finditer(text))
    lines = _line_starts(text)
    _walk(iter(tokens), (), found, lines)
    return found


def _line_starts(text: str) -> list[int]:
    return [0] + [match.end() for match in re.finditer(r"\n", text)]


def _position(lines: list[int], index: int) -> Position:
    line = bisect_right(lines, index)
    return Position(line, index - lines[line - 1] + 1)


def _walk(tokens: Tokens, path: KeyPath, found: dict[KeyPath, Position], lines: list[int]) -> bool:
    """Note one value and what is in it. False: the token closed an empty list instead."""
    token, index = next(tokens)
    if token == "]":
        return False
    found[path] = _position(lines, index)
    if token == "{":
        _walk_object(tokens, path, found, lines)
    elif token == "[":
        _walk_list(tokens, path, found, lines)
    return True


def _walk_object(tokens: Tokens, path: KeyPath, found: dict[KeyPath, Position], lines: list[int]) -> None:
    for token, _ in tokens:
        if token == "}":
            return
        if token != ",":
            next(tokens)
            _walk(tokens, (*path, json.loads(token)), found, lines)


def _walk_list(tokens: Tokens, path: KeyPath, found: dict[KeyPath, Position], lines: list[int]) -> None:
    number = 0
    while _walk(tokens, (*path, number), found, lines):
        number += 1
        if next(tokens)[0] == "]":
            return
