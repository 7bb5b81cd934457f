"""What kind of operation a span is. The first vocabulary that says so decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from hxp_enterprise_llm.event.sources.genai import names
from hxp_enterprise_llm.event.sources.genai.model import Span

Kind = Literal[
    "inference",
    "agent",
    "new_agent",
    "workflow",
    "step",
    "tool",
    "mcp",
    "memory",
    "retrieval",
    "rerank",
    "database",
    "",
]
"""step: part of a workflow that is no agent of its own; empty: nothing that we know."""

_OPERATIONS: dict[str, Kind] = {
    **dict.fromkeys(
        ("chat", "text_completion", "generate_content", "embeddings", "completion", "llm_request"), "inference"
    ),
    "invoke_agent": "agent",
    "create_agent": "new_agent",
    "invoke_workflow": "workflow",
    "execute_task": "step",
    "execute_tool": "tool",
    "retrieval": "retrieval",
    "vector_db_retrieve": "retrieval",
    **dict.fromkeys(("search_memory", "create_memory", "update_memory", "upsert_memory", "delete_memory"), "memory"),
}
_OPENINFERENCE: dict[str, Kind] = {
    "LLM": "inference",
    "EMBEDDING": "inference",
    "AGENT": "agent",
    "CHAIN": "step",
    "TOOL": "tool",
    "RETRIEVER": "retrieval",
    "RERANKER": "rerank",
}
_TRACELOOP: dict[str, Kind] = {"agent": "agent", "workflow": "workflow", "task": "step", "tool": "tool"}
_REQUESTS = frozenset({"chat", "completion", "embedding", "rerank"})


def kind_of(span: Span) -> Kind:
    """The kind of a span."""
    found = span.attributes
    if kind := _named(found, "gen_ai.operation.name", _OPERATIONS):
        return _agent_or_part(found, kind)
    if isinstance(kind_name := found.get("openinference.span.kind"), str):
        kind = _OPENINFERENCE.get(kind_name.upper(), "")
        return "workflow" if kind == "step" and not span.parent else kind
    if kind := _named(found, "traceloop.span.kind", _TRACELOOP):
        return kind
    if found.get("llm.request.type") in _REQUESTS:
        return "inference"
    if "gen_ai.operation.name" not in found and _infers(found):
        return "inference"
    if found.get("mcp.method.name") == "tools/call":
        return "mcp"
    return "database" if any(name in found for name in names.DATABASE) else ""


def _named(found: Mapping[str, Any], name: str, kinds: Mapping[str, Kind]) -> Kind:
    value = found.get(name)
    return kinds.get(value, "") if isinstance(value, str) else ""


def _agent_or_part(found: Mapping[str, Any], kind: Kind) -> Kind:
    """OpenLLMetry calls crews and tasks `invoke_agent` as well."""
    if kind != "agent":
        return kind
    if found.get("traceloop.span.kind") in ("task", "workflow"):
        return "step" if found["traceloop.span.kind"] == "task" else "workflow"
    named = any(name in found for name in ("gen_ai.agent.name", "gen_ai.agent.id"))
    return "workflow" if not named and any(name in found for name in names.WORKFLOW) else kind


def _infers(found: Mapping[str, Any]) -> bool:
    """Instrumentations before 1.27 named no operation."""
    return ("gen_ai.system" in found or "gen_ai.provider.name" in found) and (
        "gen_ai.request.model" in found or "gen_ai.response.model" in found
    )
