"""The language of `?filter=`: a small part of CEL, read into a tree. Nothing in it can loop, allocate or fail later.

data.latency_ms > 500 && (type == "llm.request.failed" || data.model in ["a", "b"])
!source.startsWith("agent/") || data.cached == true
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, NoReturn, TypeAlias

MAX_CHARACTERS = 256
MAX_TERMS = 16
MAX_DEPTH = 16

LANGUAGE = (
    'A filter compares type, source, subject and data.… by == != < <= > >=, in ["a", "b"] and '
    '.startsWith("x"), joined by && || ! and parentheses.'
)

Kind = Literal["null", "bool", "number", "string"]
Value: TypeAlias = "bool | int | float | str | None"


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal. The kind is part of it: true and 1 are not equal."""

    kind: Kind
    value: Value


@dataclass(frozen=True, slots=True)
class Field:
    path: tuple[str, ...]


Operand: TypeAlias = "Constant | Field"


@dataclass(frozen=True, slots=True)
class Compare:
    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Within:
    operand: Operand
    items: tuple[Constant, ...]


@dataclass(frozen=True, slots=True)
class StartsWith:
    operand: Operand
    prefix: str


@dataclass(frozen=True, slots=True)
class Truth:
    """A field or a literal that stands alone: true only when it is the boolean true."""

    operand: Operand


@dataclass(frozen=True, slots=True)
class Not:
    operand: Node


@dataclass(frozen=True, slots=True)
class All:
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Any:
    operands: tuple[Node, ...]


Node: TypeAlias = "Compare | Within | StartsWith | Truth | Not | All | Any"


class FilterError(Exception):
    """A filter that cannot be read: where, why, and what was probably meant."""

    def __init__(self, column: int, reason: str, meant: str = "") -> None:
        super().__init__(column, reason, meant)
        self.column, self.reason, self.meant = column, reason, meant

    def __str__(self) -> str:
        suggestion = f" Did you mean {self.meant}?" if self.meant else ""
        return f"Column {self.column}: {self.reason}.{suggestion}"


class Token(NamedTuple):
    kind: Literal["name", "number", "string", "operator", "end"]
    text: str
    column: int


_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r'|(?P<string>"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\')'
    r"|(?P<operator>&&|\|\||==|!=|<=|>=|[!<>()\[\],.])"
)
_MEANT = {"=": "==", "&": "&&", "|": "||", "and": "&&", "or": "||", "not": "!", "True": "true", "False": "false"}
_ESCAPES = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "t": "\t", "r": "\r"}
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_ROOTS = ("type", "source", "subject", "data")
_WORDS = ("true", "false", "null", "in")


def tokenize(text: str) -> list[Token]:
    """Split a filter. Raises FilterError."""
    tokens, place = [], 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            _refuse_character(text, place)
        if match.lastgroup != "space":
            tokens.append(Token(match.lastgroup, match.group(), place + 1))  # type: ignore[arg-type]
        place = match.end()
    tokens.append(Token("end", "", len(text) + 1))
    return tokens


def _refuse_character(text: str, place: int) -> NoReturn:
    character = text[place]
    if character in "\"'":
        raise FilterError(place + 1, "the string is not closed")
    raise FilterError(place + 1, f"{character!r} is not part of filters", _MEANT.get(character, ""))


def parse(text: str) -> Node:
    """Read a filter into its tree. Raises FilterError with the column."""
    if len(text) > MAX_CHARACTERS:
        raise FilterError(MAX_CHARACTERS + 1, f"a filter has at most {MAX_CHARACTERS} characters, this one {len(text)}")
    return _Parser(tokenize(text)).whole()


class _Parser:
    """Recursive descent: any := all ('||' all)*, all := not ('&&' not)*, not := '!' not | '(' any ')' | term."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._terms = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._any()
        token = self._next()
        if token.kind != "end":
            raise FilterError(token.column, f"{token.text} is not expected here", _MEANT.get(token.text, ""))
        return node

    def _next(self) -> Token:
        token = self._tokens[self._place]
        if token.kind != "end":
            self._place += 1
        return token

    def _take(self, *texts: str) -> Token | None:
        token = self._tokens[self._place]
        if token.text in texts and token.kind in ("operator", "name"):
            self._place += 1
            return token
        return None

    def _expect(self, text: str) -> None:
        token = self._tokens[self._place]
        if self._take(text) is None:
            found = f"{token.text} is found" if token.text else "the filter ends"
            raise FilterError(token.column, f"{text} is expected, but {found}")

    def _any(self) -> Node:
        operands = [self._all()]
        while self._take("||"):
            operands.append(self._all())
        return operands[0] if len(operands) == 1 else Any(tuple(operands))

    def _all(self) -> Node:
        operands = [self._not()]
        while self._take("&&"):
            operands.append(self._not())
        return operands[0] if len(operands) == 1 else All(tuple(operands))

    def _not(self) -> Node:
        token = self._take("!", "(")
        if token is None:
            return self._term()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError(token.column, f"a filter is nested at most {MAX_DEPTH} deep")
        if token.text == "!":
            node: Node = Not(self._not())
        else:
            node = self._any()
            self._expect(")")
        self._depth -= 1
        return node

    def _term(self) -> Node:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise FilterError(self._tokens[self._place].column, f"a filter has at most {MAX_TERMS} comparisons")
        left, prefix = self._operand()
        if prefix is not None:
            return StartsWith(left, prefix)
        if token := self._take(*_COMPARISONS):
            return Compare(token.text, left, self._plain_operand())
        if self._take("in"):
            return Within(left, self._list())
        return Truth(left)

    def _plain_operand(self) -> Operand:
        column = self._tokens[self._place].column
        operand, prefix = self._operand()
        if prefix is not None:
            raise FilterError(column, "startsWith cannot be compared; it is true or false by itself")
        return operand

    def _operand(self) -> tuple[Operand, str | None]:
        """A literal, a field, or a field and the prefix of its `.startsWith("…")`."""
        token = self._next()
        if token.kind == "name" and token.text not in _WORDS:
            return self._field(token)
        return self._constant(token), None

    def _constant(self, token: Token) -> Constant:
        if token.kind == "number":
            return Constant("number", float(token.text) if set(token.text) & set(".eE") else int(token.text))
        if token.kind == "string":
            return Constant("string", _unescape(token))
        match token.text:
            case "true" | "false":
                return Constant("bool", token.text == "true")
            case "null":
                return Constant("null", None)
            case "":
                raise FilterError(token.column, "the filter ends where a value is expected")
        raise FilterError(token.column, f"{token.text} is found where a value is expected")

    def _field(self, root: Token) -> tuple[Operand, str | None]:
        if root.text not in _ROOTS:
            meant = _MEANT.get(root.text) or _closest(root.text, (*_ROOTS, "true", "false", "null"))
            raise FilterError(root.column, f"{root.text} is not known", meant)
        path = [root.text]
        while self._take("."):
            name = self._next()
            if name.kind != "name":
                raise FilterError(name.column, "a name is expected after the dot")
            if self._take("("):
                return Field(tuple(path)), self._prefix(name)
            path.append(name.text)
            if root.text != "data":
                self._refuse_member(root, name)
        return Field(tuple(path)), None

    def _refuse_member(self, root: Token, name: Token) -> NoReturn:
        meant = _closest(name.text, ("startsWith",))
        raise FilterError(name.column, f"{root.text} is text and has no member {name.text}", meant)

    def _prefix(self, name: Token) -> str:
        if name.text != "startsWith":
            raise FilterError(name.column, f"{name.text} is not known", _closest(name.text, ("startsWith",)))
        token = self._next()
        if token.kind != "string":
            raise FilterError(token.column, 'startsWith takes a string, e.g. startsWith("llm.")')
        self._expect(")")
        return _unescape(token)

    def _list(self) -> tuple[Constant, ...]:
        self._expect("[")
        items = [self._constant(self._next())]
        while self._take(","):
            items.append(self._constant(self._next()))
        self._expect("]")
        return tuple(items)


def _unescape(token: Token) -> str:
    def one(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            column = token.column + 1 + match.start()
            raise FilterError(column, f"{match[0]} is no escape; {' '.join(chr(92) + key for key in _ESCAPES)} are")
        return _ESCAPES[match[1]]

    return re.sub(r"\\(.)", one, token.text[1:-1])


def _closest(word: str, known: tuple[str, ...]) -> str:
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.6)), "")
