"""The effective configuration as YAML: each value with its origin beside it, secrets hidden."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import yaml

from hxp_enterprise_llm.config.faults import masked
from hxp_enterprise_llm.config.loader import Loaded, T
from hxp_enterprise_llm.config.paths import KeyPath, dotted

HIDDEN = "***"

_SECRET = re.compile(r"(password|passwd|token|secret|api_key|apikey|private_key|webhook_url)$", re.IGNORECASE)
_WIDEST = 72


class _Line(NamedTuple):
    text: str
    origin: str


def render_effective(loaded: Loaded[T]) -> str:
    """YAML that loads to the same configuration, but for secrets and credentials in URLs, which read `***`."""
    lines = list(_lines(msgspec.to_builtins(loaded.config), (), 0, loaded.origins))
    column = min(max(len(line.text) for line in lines if line.origin), _WIDEST)
    return "".join(f"{_with_origin(line, column)}\n" for line in lines)


def _with_origin(line: _Line, column: int) -> str:
    return f"{line.text:<{column}}  # {line.origin}" if line.origin else line.text


def _lines(values: Any, path: KeyPath, depth: int, origins: dict[str, str]) -> Iterator[_Line]:
    """The lines of a map or a list that is not empty."""
    indent = "  " * depth
    inner: Any = values.items() if isinstance(values, dict) else enumerate(values)
    for step, value in inner:
        deeper = [*_lines(value, (*path, step), depth + 1, origins)] if isinstance(value, dict | list) else []
        if not deeper:
            head = "-" if isinstance(step, int) else f"{_scalar(step)}:"
            yield _Line(f"{indent}{head} {_scalar(_safe(step, value))}", origins[dotted((*path, step))])
        elif isinstance(step, int):
            first, *rest = deeper
            yield first._replace(text=f"{indent}- {first.text.lstrip()}")
            yield from rest
        else:
            yield _Line(f"{indent}{_scalar(step)}:", "")
            yield from deeper


def _safe(step: str | int, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return HIDDEN if value and _SECRET.search(str(step)) else masked(value)


def _scalar(value: Any) -> str:
    """One line of YAML for a scalar or an empty collection."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if isinstance(value, str) and not (value.isprintable() and value):
        return _dump(value, '"')
    return _dump(value, None)


def _dump(value: Any, style: str | None) -> str:
    text: str = yaml.safe_dump(value, default_style=style, width=2**31, allow_unicode=True)
    return text.removesuffix("...\n").rstrip("\n")
