"""The file of variables beside an installed configuration, read as systemd's `EnvironmentFile=` reads it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED_IN_QUOTES = re.compile(r'\\(["\\`$])')
_QUOTES = "\"'"


class EnvironmentFile(NamedTuple):
    """The variables of a file, and a warning for each line that systemd does not take."""

    path: Path
    variables: dict[str, str]
    warnings: tuple[str, ...]


def read_environment_file(path: Path) -> EnvironmentFile:
    """A file that is not there has no variables. Raises OSError, UnicodeDecodeError."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return EnvironmentFile(path, {}, ())
    variables: dict[str, str] = {}
    warnings: list[str] = []
    # A line that ends with a backslash goes on in the next one.
    for number, line in _lines(text):
        if not line or line[0] in "#;":
            continue
        name, equals, value = line.partition("=")
        if equals and _NAME.fullmatch(name.rstrip()):
            variables[name.rstrip()] = _value(value.strip())
        else:
            warnings.append(f"{path}:{number}: systemd ignores this line: it must be NAME=value, without `export`")
    return EnvironmentFile(path, variables, tuple(warnings))


def _lines(text: str) -> list[tuple[int, str]]:
    """Each line with the number at which it begins; those that go on are joined."""
    lines: list[tuple[int, str]] = []
    open_line = False
    for number, line in enumerate(text.splitlines(), 1):
        goes_on = line.endswith("\\") and not line.lstrip().startswith(("#", ";"))
        part = line.removesuffix("\\") if goes_on else line
        if open_line:
            lines[-1] = (lines[-1][0], lines[-1][1] + part)
        else:
            lines.append((number, part.lstrip()))
        open_line = goes_on
    return lines


def _value(text: str) -> str:
    """Without the quotes around it; nothing is expanded, and a `#` behind a value is part of it."""
    if len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0]:
        return text[1:-1] if text[0] == "'" else _ESCAPED_IN_QUOTES.sub(r"\1", text[1:-1])
    return _ESCAPED.sub(r"\1", text)
