"""YAML to plain data with the line and column of every key and value.

Scalars, lists and maps only: no Python tags, and text is never taken for a date. Anchors and merge keys work.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from hxp_enterprise_llm.config.faults import Fault
from hxp_enterprise_llm.config.paths import KeyPath, dotted
from hxp_enterprise_llm.runtime.yaml_text import SafeLoader

MAX_VALUES = 100_000
"""Most values of a document, aliases counted each time; what is above is no configuration."""
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_TEXT = {_TAG + name for name in ("str", "timestamp", "value")}
_NUMBERS = {_TAG + "int", _TAG + "float"}
_SCALARS = _NUMBERS | {_TAG + "bool", _TAG + "null"}


class Mark(NamedTuple):
    """A place in the text; both begin at 1."""

    line: int
    column: int


class Place(NamedTuple):
    """Where an entry stands. An item of a list has no key: both are the item's place."""

    key: Mark
    value: Mark


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data (None when the text is empty or no YAML), the place of each path, and what is wrong with the text."""

    data: Any
    places: dict[KeyPath, Place]
    faults: tuple[Fault, ...]


def read(text: str, name: str) -> Document:
    """Read one YAML document. `name` is the file's name in the faults; nothing is raised for bad input."""
    try:
        loader = SafeLoader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _mark(mark) if mark else Mark(1, 1)
        return _unreadable(name, place, f"not valid YAML: {_syntax(error)}")
    except yaml.reader.ReaderError as error:
        message = f"not valid YAML: the character U+{error.character:04X} is not allowed"
        return _unreadable(name, place_of(text, error.position), message)
    except RecursionError:
        return _unreadable(name, Mark(1, 1), "not a configuration: nested too deeply")
    if root is None:
        return Document(None, {}, ())
    return _Construction(loader, name).document(root)


def place_of(text: str, index: int) -> Mark:
    """Line and column of a character."""
    before = text[:index]
    return Mark(before.count("\n") + 1, index - before.rfind("\n"))


def _unreadable(name: str, mark: Mark, message: str) -> Document:
    return Document(None, {}, (Fault("file", name, *mark, "", message),))


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "cannot be read"
    text = f"{error.context}, {problem}" if error.context else problem
    return text + " (indent with spaces, not with tabs)" if "'\\t'" in problem else text


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


class _TooMany(Exception):
    """The document has more than MAX_VALUES values."""


class _Construction:
    """One walk over the node tree."""

    def __init__(self, loader: yaml.SafeLoader, name: str) -> None:
        self._loader, self._name = loader, name
        self._places: dict[KeyPath, Place] = {}
        self._faults: dict[tuple[Mark, str], Fault] = {}  # an aliased map is walked twice: its faults are said once
        self._open: set[int] = set()
        self._count = 0

    def document(self, root: yaml.Node) -> Document:
        start = _mark(root.start_mark)
        self._places[()] = Place(start, start)
        try:
            data = self._value(root, ())
        except _TooMany:
            return _unreadable(self._name, start, f"not a configuration: more than {MAX_VALUES} values")
        except RecursionError:
            return _unreadable(self._name, start, "not a configuration: nested too deeply")
        return Document(data, self._places, tuple(self._faults.values()))

    def _fault(self, mark: Mark, path: KeyPath, message: str) -> None:
        self._faults.setdefault((mark, message), Fault("file", self._name, *mark, dotted(path), message))

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise _TooMany
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            return self._fault(_mark(node.start_mark), path, "refers to itself")
        self._open.add(id(node))
        try:
            return self._collection(node, path)
        finally:
            self._open.discard(id(node))

    def _collection(self, node: yaml.Node, path: KeyPath) -> Any:
        if node.tag == _TAG + "map":
            return {key: self._entry(value, (*path, key), at) for key, at, value in self._pairs(node, path)}
        if node.tag == _TAG + "seq":
            return [self._entry(item, (*path, index), item) for index, item in enumerate(node.value)]
        return self._fault(_mark(node.start_mark), path, f"the tag {_tag(node)} is not allowed")

    def _entry(self, node: yaml.Node, path: KeyPath, key: yaml.Node) -> Any:
        self._places[path] = Place(_mark(key.start_mark), _mark(node.start_mark))
        return self._value(node, path)

    def _pairs(self, node: yaml.Node, path: KeyPath) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """Key, its node and the value's node of each entry; own entries win over merged ones."""
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for name, at, inner in self._merge(value, path):
                    merged.setdefault(name, (at, inner))
            elif not isinstance(key, yaml.ScalarNode):
                self._fault(_mark(key.start_mark), path, "a key must be text")
            elif key.value in own:
                self._duplicate(key, own[key.value][0], path)
            else:
                own[key.value] = (key, value)
        for name, (at, inner) in (merged | own).items():
            yield name, at, inner

    def _duplicate(self, key: yaml.ScalarNode, first: yaml.Node, path: KeyPath) -> None:
        line, column = _mark(first.start_mark)
        message = f"duplicate key, given first at line {line}, column {column}; keep one of them"
        self._fault(_mark(key.start_mark), (*path, key.value), message)

    def _merge(self, node: yaml.Node, path: KeyPath) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                self._fault(_mark(source.start_mark), path, "<< takes a map or a list of maps")
            elif id(source) in self._open:
                self._fault(_mark(source.start_mark), path, "refers to itself")
            else:
                self._open.add(id(source))
                yield from list(self._pairs(source, path))
                self._open.discard(id(source))

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        mark = _mark(node.start_mark)
        if node.tag in _TEXT or (node.tag in _NUMBERS and ":" in node.value):  # 12:30 is no number in base 60
            return node.value
        if node.tag not in _SCALARS:
            return self._fault(mark, path, f"the tag {_tag(node)} is not allowed")
        try:
            value = self._loader.construct_object(node)
        except (ValueError, LookupError):
            return self._fault(mark, path, f"{node.value[:60]!r} cannot be read as {_tag(node)}")
        if isinstance(value, float) and not math.isfinite(value):
            return self._fault(mark, path, f"must be a finite number, is {node.value}")
        return value


def _tag(node: yaml.Node) -> str:
    return str(node.tag).replace(_TAG, "!!")
