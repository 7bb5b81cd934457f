"""How the snapshot says which names mean a model: clauses such as `{"or": [{"equals": "a"}, {"starts_with": "b"}]}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Clause = Mapping[str, Any]

_DATED = re.compile(r"(?<!\d)(\d{4})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)")

_JUDGES: dict[str, Callable[[str, str], bool]] = {
    "equals": lambda text, wanted: text == wanted,
    "starts_with": lambda text, wanted: text.startswith(wanted),
    "ends_with": lambda text, wanted: text.endswith(wanted),
    "contains": lambda text, wanted: wanted in text,
}


def matches(clause: Clause, text: str) -> bool:
    """Whether a clause chooses a name, which is in lower case. Raises ValueError for a clause of another kind."""
    ((kind, wanted),) = clause.items()
    if kind == "or":
        return any(matches(each, text) for each in wanted)
    if kind == "and":
        return all(matches(each, text) for each in wanted)
    if kind == "regex":
        return re.search(wanted, text) is not None
    if kind not in _JUDGES:
        raise ValueError(f"{kind!r} is no clause of a price snapshot")
    return _JUDGES[kind](text, wanted.lower())


def dashed(model: str) -> str:
    """The same name with its date in the other form: `gpt-5.2-20251211` is `gpt-5.2-2025-12-11`."""
    return _DATED.sub(r"\1-\2-\3", model)
