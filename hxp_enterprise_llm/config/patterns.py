"""Regular expressions that others write, in RE2: matching takes time linear in the text, memory is bounded. Pure."""

from __future__ import annotations

from typing import Any

import re2

MAX_PATTERN = 1024
MAX_MEMORY_BYTES = 128 * 1024
"""Of one pattern. It bounds the program, and so the time a character may take: some 10 µs at the worst."""


class PatternFault(ValueError):
    """A text that is no regular expression, or one that is too large."""


class Pattern:
    """A regular expression that must match a whole text, as those of Alertmanager."""

    __slots__ = ("_compiled",)

    def __init__(self, text: str) -> None:
        """Raises PatternFault."""
        if len(text) > MAX_PATTERN:
            raise PatternFault(f"it has {len(text):,} characters, at most {MAX_PATTERN:,} do")
        self._compiled: Any = _compiled(text)

    def matches(self, text: str) -> bool:
        """Whether the whole text matches."""
        # As bytes: what came as half a surrogate pair raises nothing.
        return self._compiled.fullmatch(text.encode("utf-8", "surrogatepass")) is not None


def _compiled(text: str) -> Any:
    options = re2.Options()
    options.max_mem, options.log_errors = MAX_MEMORY_BYTES, False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise PatternFault(_explained(error.args[0].decode("utf-8", "replace"))) from None
    except UnicodeEncodeError as error:
        raise PatternFault(f"it is no text: {error.reason}") from None


def _explained(reason: str) -> str:
    what, _, where = reason.partition(": ")
    if what == "pattern too large - compile failed":
        return f"it takes more than {MAX_MEMORY_BYTES // 1024} KiB once compiled; repeat less in it"
    shown = f"{what} at {where[:60]!r}" if where else what
    if what == "invalid perl operator":
        return f"{shown}: the syntax is RE2's, without look-ahead, look-behind and atomic groups"
    if what == "invalid escape sequence":
        return f"{shown}: the syntax is RE2's, without backreferences"
    return shown
