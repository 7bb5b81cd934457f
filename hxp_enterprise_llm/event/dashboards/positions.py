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


class NoNumber(ValueError):
    """A word such as NaN where a number should be."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word

    def __str__(self) -> str:
        return f"{self.word} is no JSON number"


def parse(text: str) -> Any:
    """Decode JSON. Raises json.JSONDecodeError, and DuplicateKey for a repeated key, NoNumber for NaN and the like."""
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise DuplicateKey(key)
        members[key] = value
    return members


def _no_constant(name: str) -> None:
    raise NoNumber(name)


Tokens = Iterator[tuple[str, int]]
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def positions(text: str) -> dict[KeyPath, Position]:
    """Place of every value of a valid JSON text; `()` is the root."""
    found: dict[KeyPath, Position] = {}
    _walk(_tokens(text), (), found, _line_starts(text))
    return found


def place_of_fault(text: str, error: Exception) -> Position:
    """Where a text has what `parse` refused with another error than JSONDecodeError; 1:1 when it is everywhere."""
    try:
        if isinstance(error, DuplicateKey):
            _walk(_tokens(text), (), _Once(), _line_starts(text))
    except _Repeated as repeated:
        return repeated.at
    if isinstance(error, NoNumber):
        at = next((start for token, start in _tokens(text) if token == error.word), 0)
        return _position(_line_starts(text), at)
    return Position(1, 1)


class _Repeated(Exception):
    def __init__(self, at: Position) -> None:
        super().__init__(at)
        self.at = at


class _Once(dict[KeyPath, Position]):
    def __setitem__(self, path: KeyPath, at: Position) -> None:
        if path in self:
            raise _Repeated(at)
        super().__setitem__(path, at)


def _tokens(text: str) -> Tokens:
    return ((match.group(), match.start()) for match in _TOKEN.finditer(text))


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
