"""Client filters: the tree in its normal form, so that equal filters are one channel, and its evaluation.

Evaluation is total: a field that is missing makes its comparison false, whatever the operator, and nothing raises.
Values of different kinds are unequal and have no order.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any as Anything

from hxp_enterprise_llm.event.streaming.filter_syntax import (
    All,
    Any,
    Compare,
    Constant,
    Field,
    Kind,
    Node,
    Not,
    Operand,
    StartsWith,
    Truth,
    Within,
    parse,
)

Fields = Mapping[str, Anything]

_MISSING = object()
_ORDER: dict[str, Callable[[Anything, Anything], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MIRROR = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Filter:
    """A condition over one event. Equal when the normal forms are equal, whatever the spelling."""

    __slots__ = ("_tree", "text")

    def __init__(self, tree: Node, text: str) -> None:
        self._tree = normalize(tree)
        self.text = text

    @classmethod
    def parse(cls, text: str) -> Filter:
        """Read a filter. Raises FilterError with the column."""
        return cls(parse(text), text)

    def matches(self, fields: Fields) -> bool:
        """Whether the decoded event passes."""
        return evaluate(self._tree, fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and self._tree == other._tree

    def __hash__(self) -> int:
        return hash(self._tree)

    def __repr__(self) -> str:
        return f"Filter({self.text!r})"


def normalize(node: Node) -> Node:
    """One form for all spellings of the same condition. Operands may change places because evaluation is total."""
    match node:
        case Not(Not(inner)):
            return normalize(inner)
        case Not(inner):
            return Not(normalize(inner))
        case All(operands):
            return _group(All, operands)
        case Any(operands):
            return _group(Any, operands)
        case Compare(operator, Constant() as left, Field() as right):
            return Compare(_MIRROR[operator], right, left)
        case Within(operand, items):
            return Within(operand, tuple(sorted(set(items), key=repr)))
    return node


def _group(kind: type[All] | type[Any], operands: tuple[Node, ...]) -> Node:
    flat: dict[Node, None] = {}
    for operand in map(normalize, operands):
        flat.update(dict.fromkeys(operand.operands if isinstance(operand, kind) else (operand,)))
    return kind(tuple(sorted(flat, key=repr))) if len(flat) > 1 else next(iter(flat))


def evaluate(node: Node, fields: Fields) -> bool:
    """Whether the condition holds for a decoded event. Never raises."""
    match node:
        case All(operands):
            return all(evaluate(operand, fields) for operand in operands)
        case Any(operands):
            return any(evaluate(operand, fields) for operand in operands)
        case Not(inner):
            return not evaluate(inner, fields)
        case Compare(operator, left, right):
            return _compare(operator, _value(left, fields), _value(right, fields))
        case Within(operand, items):
            value = _value(operand, fields)
            return any(_equal(value, item.value) for item in items)
        case StartsWith(operand, prefix):
            value = _value(operand, fields)
            return isinstance(value, str) and value.startswith(prefix)
        case Truth(operand):
            return _value(operand, fields) is True


def _value(operand: Operand, fields: Fields) -> Anything:
    if isinstance(operand, Constant):
        return operand.value
    value: Anything = fields
    for name in operand.path:
        value = value.get(name, _MISSING) if isinstance(value, dict) else _MISSING
    return value


def _compare(operator: str, left: Anything, right: Anything) -> bool:
    if left is _MISSING or right is _MISSING:
        return False
    if operator in ("==", "!="):
        return _equal(left, right) is (operator == "==")
    kind = _kind(left)
    return kind in ("number", "string", "bool") and kind == _kind(right) and _ORDER[operator](left, right)


def _equal(left: Anything, right: Anything) -> bool:
    kind = _kind(left)
    return kind is not None and kind == _kind(right) and bool(left == right)


def _kind(value: Anything) -> Kind | None:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else None
