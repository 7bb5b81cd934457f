"""Views: structs that decode the wanted paths of an event and pass over everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from hxp_enterprise_llm.event.processing.columns import Reader

Path = tuple[str, ...]
Tree = dict[str, "Tree"]
"""Members by name; what has none itself is wanted whole."""


def compile_view(paths: Iterable[Path]) -> tuple[Callable[[bytes], Any], dict[Path, Reader]]:
    """A decoder of events, and the reader of each of these paths."""
    wanted = tuple(dict.fromkeys(paths))
    tree = _tree(wanted)
    readers: dict[Path, Reader] = {}
    return msgspec.json.Decoder(_struct(tree)).decode, {path: _reader(tree, readers, path) for path in wanted}


def _tree(paths: Iterable[Path]) -> Tree:
    tree: Tree = {}
    for path in sorted(paths, key=len):
        node = tree
        for key in path:
            if node.get(key) == {}:
                # A shorter path wants this whole, and what lies below comes with it.
                break
            node = node.setdefault(key, {})
    return tree


def _struct(tree: Tree) -> type[msgspec.Struct]:
    """Without members to collect: a view lives for one batch and refers to nothing that refers to it."""
    fields: list[tuple[str, Any, Any]] = []
    for index, inner in enumerate(tree.values()):
        if inner:
            kind = _struct(inner)
            fields.append((_name(index), kind | list[Any] | str | int | float | bool | None, kind()))
        else:
            fields.append((_name(index), Any, None))
    names = {_name(index): key for index, key in enumerate(tree)}
    return msgspec.defstruct("View", fields, rename=names, frozen=True, gc=False)


def _name(index: int) -> str:
    """Names of members need not be names of Python's."""
    return f"m{index}"


def _reader(tree: Tree, readers: dict[Path, Reader], path: Path) -> Reader:
    """The reader of a path, and of what it lies in."""
    parent, rest = None, list(path)
    while tree:
        key = rest.pop(0)
        at, name = path[: len(path) - len(rest)], _name(list(tree).index(key))
        tree = tree[key]
        if at not in readers:
            readers[at] = Reader(parent, name)
        parent = readers[at]
    assert parent is not None
    return Reader(parent, "", rest) if rest else parent
