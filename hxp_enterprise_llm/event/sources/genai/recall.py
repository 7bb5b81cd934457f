"""Events of spans read back from the log, as the ledger knew them when they were stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from hxp_enterprise_llm.event.model import TypePatterns, parse_rfc3339
from hxp_enterprise_llm.event.sources.genai.model import Role
from hxp_enterprise_llm.event.sources.genai.trace import Edge, Node, edge_of
from hxp_enterprise_llm.event.sources.genai.usage import usage_from

SOURCE = "/otlp/"
"""How the source of every event begins that came in this way."""
TYPES = TypePatterns(("llm.*", "agent.*", "tool.*", "memory.*", "knowledge.*", "otel.span"))
WHOSE = ("model", "provider", "agent", "tool", "user", "session", "query", "service", "cost_usd")
"""What is remembered of a span that states tokens."""
_MAIN_ID = 32 + 1 + 16

Part = Literal["main", "usage", "correction", "edge"]


class Recalled(NamedTuple):
    """An event of a span: which of its events it is, and what it says."""

    trace: bytes
    span: bytes
    parent: bytes
    part: Part
    node: Node
    edge: Edge | None


class _Stored(msgspec.Struct):
    id: str
    source: str
    type: str
    time: str
    data: dict[str, Any]


_decode = msgspec.json.Decoder(_Stored).decode


def event_id(trace: bytes, span: bytes, suffix: str) -> str:
    """The id of an event of a span: the same whenever, and however often, the span is sent."""
    return f"{trace.hex()}-{span.hex()}{suffix}"


def recalled(raw: bytes) -> Recalled | None:
    """The event as the ledger takes it; None when it is none of a span, or says nothing to the ledger."""
    try:
        event = _decode(raw)
        if not event.source.startswith(SOURCE) or (part := _part(event.id[_MAIN_ID:])) is None:
            return None
        trace, span = bytes.fromhex(event.id[:32]), bytes.fromhex(event.id[33:_MAIN_ID])
        parent = bytes.fromhex(event.data.get("parent_span_id", ""))
        node = _node(event.type, event.data, _ns(event.time)) if part == "main" else Node()
        return Recalled(trace, span, parent, part, node, _edge(node, event.data, parent))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, TypeError):
        return None


def _part(suffix: str) -> Part | None:
    name = suffix.rstrip("0123456789")
    parts: dict[str, Part] = {"": "main", "-usage": "usage", "-correction": "correction", "-edge": "edge"}
    return parts.get(name)


def _ns(time: str) -> int:
    return round(parse_rfc3339(time) * 1000) * 1_000_000


def _node(type: str, data: Mapping[str, Any], ns: int) -> Node:
    whose = {name: data[name] for name in WHOSE if name in data}
    if type == "llm.request.completed":
        usage = usage_from(data)
        return Node("inference", usage, whose, counted=True, ns=ns) if usage else Node()
    role: Role = data["role"] if data.get("role") in ("inference", "aggregate") else ""
    usage = usage_from(data.get("usage", {}))
    agent = str(data["agent"]) if type.startswith("agent.") and data.get("kind") == "agent" else ""
    tool = str(data["tool"]) if type.startswith("tool.") else ""
    hands_to = str(data.get("hands_to", ""))
    return Node(role, usage, whose if role else {}, ns=ns if role else 0, agent=agent, tool=tool, hands_to=hands_to)


def _edge(node: Node, data: Mapping[str, Any], parent: bytes) -> Edge | None:
    return edge_of(node.agent, str(data.get("previous_agent", "")), data, 0, parent) if node.agent else None
