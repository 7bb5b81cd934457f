"""Matchers over labels in Alertmanager's text form: `severity="critical"`, `team=~"a|b"`, `{a="b",c!="d"}`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from hxp_enterprise_llm.config.patterns import Pattern, PatternFault

Operator = Literal["=", "!=", "=~", "!~"]
MAX_VALUE = 1024

_ONE = re.compile(
    r"""\s*(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*(?P<operator>=~|!~|!=|=)\s*
        (?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^",{}]*))\s*""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SPELLED = {"n": "\n"}


class MatcherFault(ValueError):
    """A text that is no matcher. `text` is what was written, `reason` what is wrong with it."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text, reason)
        self.text, self.reason = text, reason

    def __str__(self) -> str:
        return f"{self.text!r} is no matcher: {self.reason}"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One comparison of a label; a label that is missing counts as empty. Raises MatcherFault."""

    name: str
    operator: Operator
    value: str
    _pattern: Pattern | None = field(init=False, default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.value) > MAX_VALUE:
            raise MatcherFault(self.name, f"its value has {len(self.value):,} characters, at most {MAX_VALUE:,} do")
        if self.operator in ("=~", "!~"):
            try:
                object.__setattr__(self, "_pattern", Pattern(self.value))
            except PatternFault as error:
                raise MatcherFault(str(self), f"the regular expression cannot be read: {error}") from None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels satisfy it; a regular expression must match the whole value."""
        value = labels.get(self.name, "")
        same = value == self.value if self._pattern is None else self._pattern.matches(value)
        return same is (self.operator in ("=", "=~"))

    def __str__(self) -> str:
        return f"{self.name}{self.operator}{quoted(self.value)}"


def quoted(value: str) -> str:
    """The value of a label as Alertmanager writes it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def parse_matcher(text: str) -> Matcher:
    """One matcher. Raises MatcherFault."""
    match = _ONE.fullmatch(text)
    if match is None:
        raise MatcherFault(text, """write label="value", label!="value", label=~"regex" or label!~"regex\"""")
    return _of(match)


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """One or several, separated by commas, with or without braces. Raises MatcherFault."""
    inside = text.strip()
    if inside.startswith("{") != inside.endswith("}"):
        raise MatcherFault(text, "a brace is missing")
    inside = inside.removeprefix("{").removesuffix("}")
    return tuple(_all(text, inside))


def _all(text: str, inside: str) -> Iterator[Matcher]:
    at = 0
    while inside[at:].strip():
        match = _ONE.match(inside, at)
        if match is None or (match.end() < len(inside) and inside[match.end()] != ","):
            raise MatcherFault(text, f"it cannot be read from {inside[at:][:40]!r} on")
        yield _of(match)
        at = match.end() + 1


def _of(match: re.Match[str]) -> Matcher:
    quoted = match["quoted"]
    value = match["bare"].strip() if quoted is None else _ESCAPE.sub(lambda one: _SPELLED.get(one[1], one[1]), quoted)
    return Matcher(match["name"], cast("Operator", match["operator"]), value)


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy every one of them."""
    return all(matcher.matches(labels) for matcher in matchers)
