"""The difference between two states of a panel: what to set, to remove and to extend, each named by JSON Pointer.

    {"set": {"/value": 2.31}, "remove": ["/limit"], "extend": {"/series/latency_p95": {"drop": 1, "add": [2.31]}}}

`extend` moves a list on: the first `drop` items leave, `add` follow at the end. Unlike a JSON merge patch, null is
a value like any other. `apply(base, diff(base, new)) == new` for JSON objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

Delta = dict[str, Any]
Change = tuple[str, str, Any]
"""Operation, pointer, and its argument."""


def diff(base: dict[str, Any], new: dict[str, Any]) -> Delta:
    """What makes `new` of `base`; empty when they are the same."""
    delta: Delta = {}
    for operation, pointer, argument in _changes(base, new, ""):
        if operation == "remove":
            delta.setdefault("remove", []).append(pointer)
        else:
            delta.setdefault(operation, {})[pointer] = argument
    return delta


def apply(base: dict[str, Any], delta: Delta) -> dict[str, Any]:
    """The new object; `base` stays as it was. Raises KeyError when the delta was made of another base."""
    result = deepcopy(base)
    for pointer in delta.get("remove", ()):
        owner, key = _find(result, pointer)
        del owner[key]
    for pointer, value in delta.get("set", {}).items():
        owner, key = _find(result, pointer)
        owner[key] = deepcopy(value)
    for pointer, move in delta.get("extend", {}).items():
        owner, key = _find(result, pointer)
        owner[key] = owner[key][move["drop"] :] + deepcopy(move["add"])
    return result


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same JSON; Python takes true for 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def _changes(base: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Change]:
    for key in sorted(base.keys() - new.keys()):
        yield "remove", f"{path}/{_escaped(key)}", None
    for key, value in new.items():
        pointer = f"{path}/{_escaped(key)}"
        if key not in base:
            yield "set", pointer, value
        else:
            yield from _change(base[key], value, pointer)


def _change(old: Any, value: Any, pointer: str) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(value, dict):
        yield from _changes(old, value, pointer)
    elif not same(old, value):
        drop = _shift(old, value) if isinstance(old, list) and isinstance(value, list) else None
        if drop is None:
            yield "set", pointer, value
        else:
            yield "extend", pointer, {"drop": drop, "add": value[len(old) - drop :]}


def _shift(old: list[Any], new: list[Any]) -> int | None:
    """How many items left at the front when the rest of `old` begins `new`; None when nothing was kept."""
    if not new:
        return None
    for drop, item in enumerate(old):
        if same(item, new[0]) and same(old[drop:], new[: len(old) - drop]):
            return drop
    return None


def _find(document: Any, pointer: str) -> tuple[Any, str]:
    *owners, key = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    for name in owners:
        document = document[name]
    return document, key


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
