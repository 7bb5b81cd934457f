"""Filters over the tags of publications, the `tf` of a subscribe request.

Tags of an event are its type, source and subject, and the members of its data that are text, number or truth, as text;
of a publication those of what was published, and the tags it was sent with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import msgspec

from hxp_enterprise_llm.event.streaming.centrifuge.codes import BAD_REQUEST, Refused
from hxp_enterprise_llm.event.streaming.publication import PUBLICATION

Tags = Mapping[str, str]

_MAX_NODES = 256


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """A comparison, or with `op` what joins several."""

    op: Literal["", "and", "or", "not"] = ""
    key: str = ""
    cmp: str = ""
    val: str = ""
    vals: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()


class TagsFilter:
    """A checked filter. Equal filters are one, whatever white space they came with."""

    __slots__ = ("_node",)

    def __init__(self, node: Node) -> None:
        self._node = node

    @classmethod
    def parse(cls, text: bytes) -> TagsFilter:
        """Read a filter. Raises Refused 107."""
        try:
            node = msgspec.json.decode(text, type=Node)
            if _count(node) <= _MAX_NODES:
                return cls(node)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        raise Refused(BAD_REQUEST)

    def matches(self, fields: Mapping[str, Any]) -> bool:
        """Whether the decoded event passes."""
        return _passes(self._node, tags_of(fields))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TagsFilter) and self._node == other._node

    def __hash__(self) -> int:
        return hash(self._node)


def tags_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a decoded event; its own attributes win over members of its data."""
    data = fields.get("data")
    tags = _scalars(data)
    if fields.get("type") == PUBLICATION and isinstance(data, dict):
        tags = _scalars(data.get("data")) | _scalars(data.get("tags"))
    for name in ("type", "source", "subject"):
        if isinstance(fields.get(name), str):
            tags[name] = fields[name]
    return tags


def _scalars(data: Any) -> dict[str, str]:
    if not isinstance(data, dict):
        return {}
    return {name: _text(value) for name, value in data.items() if isinstance(value, str | int | float)}


def _text(value: str | int | float) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _count(node: Node) -> int:
    """How many nodes there are. Raises Refused 107 when one of them is malformed."""
    if node.op == "":
        if not node.key or node.cmp not in _COMPARISONS:
            raise Refused(BAD_REQUEST)
        return 1
    if not node.nodes or (node.op == "not" and len(node.nodes) != 1):
        raise Refused(BAD_REQUEST)
    return 1 + sum(map(_count, node.nodes))


def _passes(node: Node, tags: Tags) -> bool:
    if node.op == "and":
        return all(_passes(child, tags) for child in node.nodes)
    if node.op == "or":
        return any(_passes(child, tags) for child in node.nodes)
    if node.op == "not":
        return not _passes(node.nodes[0], tags)
    tag = tags.get(node.key)
    if tag is None:
        return node.cmp in ("neq", "nin", "nex")
    return _COMPARISONS[node.cmp](tag, node)


def _order(decide: Callable[[Decimal, Decimal], bool]) -> Callable[[str, Node], bool]:
    def compare(tag: str, node: Node) -> bool:
        try:
            left, right = Decimal(tag), Decimal(node.val)
        except InvalidOperation:
            return False
        return left.is_finite() and right.is_finite() and decide(left, right)

    return compare


_COMPARISONS: dict[str, Callable[[str, Node], bool]] = {
    "eq": lambda tag, node: tag == node.val,
    "neq": lambda tag, node: tag != node.val,
    "in": lambda tag, node: tag in node.vals,
    "nin": lambda tag, node: tag not in node.vals,
    "ex": lambda tag, node: True,
    "nex": lambda tag, node: False,
    "sw": lambda tag, node: tag.startswith(node.val),
    "ew": lambda tag, node: tag.endswith(node.val),
    "ct": lambda tag, node: node.val in tag,
    "lt": _order(lambda left, right: left < right),
    "lte": _order(lambda left, right: left <= right),
    "gt": _order(lambda left, right: left > right),
    "gte": _order(lambda left, right: left >= right),
}
