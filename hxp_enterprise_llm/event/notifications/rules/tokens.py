"""The words of a condition: what the guards look at before a compiler sees the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

TokenKind = Literal["name", "number", "open", "close", "operator", "text", "other"]


class Token(NamedTuple):
    """One word of a condition. `column` counts from 1 over the whole text, line feeds included."""

    kind: TokenKind
    text: str
    column: int


_TOKEN = re.compile(
    r"""
      (?P<skip>     [ \t\r\n\f]+ | //[^\n]* )
    | (?P<name>     [A-Za-z_][A-Za-z0-9_]* )
    | (?P<number>   0[xX][0-9a-fA-F]+[uU]? | (?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[uU]? )
    | (?P<open>     [(\[{] )
    | (?P<close>    [)\]}] )
    | (?P<operator> && | \|\| | == | != | <= | >= | [-+*/%<>!?:,.] )
    | (?P<text>     ["'`] )
    | (?P<other>    . )
    """,
    re.VERBOSE | re.DOTALL,
)


def tokens(text: str) -> Iterator[Token]:
    """The words in their order, without white space and comments."""
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind and kind != "skip":
            yield Token(kind, match.group(), match.start() + 1)  # type: ignore[arg-type]  # the groups are the kinds


_INTEGER = re.compile(r"(0[xX][0-9a-fA-F]+|[0-9]+)[uU]?")


def with_float_literals(text: str) -> str:
    """The text with every whole number written as a float: metrics are floats, and CEL does not mix the two."""
    parts, end = [], 0
    for token in tokens(text):
        if token.kind == "number" and (match := _INTEGER.fullmatch(token.text)):
            start = token.column - 1
            parts += [text[end:start], repr(float(int(match.group(1), 0 if "x" in token.text.lower() else 10)))]
            end = start + len(token.text)
    return "".join(parts) + text[end:]
