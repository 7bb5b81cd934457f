"""Paths of configuration values: tuples inside, `service.port` and `rules[0].name` for people."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

KeyPath = tuple[str | int, ...]
"""Keys of maps are text, places in lists are integers that begin at 0."""

_STEP = re.compile(r"\[([0-9]+)\]|([^.\[\]]+)")


def dotted(path: KeyPath) -> str:
    """The path as people read it, e.g. `notification_rules[0].name`; empty for the whole document."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def split(text: str) -> KeyPath:
    """The path that `dotted` wrote."""
    return tuple(int(index) if index else key for index, key in _STEP.findall(text))


def suggestion(word: str, known: Iterable[str]) -> str:
    """` (did you mean …?)` with the nearest of `known`; empty when nothing is near."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""
