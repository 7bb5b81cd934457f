"""What spans of each vocabulary are read as: a table of attributes and events."""

from __future__ import annotations

from typing import Any

import pytest

from hxp_enterprise_llm.event.sources.genai.model import SpanEvent
from hxp_enterprise_llm.event.sources.genai.reading import read_span
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from tests.unit.sources.genai.spans import NOW_NS, made

REQUEST = "llm.request.completed"

REQUESTS = {
    "GenAI up to 1.36": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "az.ai.openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.prompt_tokens": 100,
            "gen_ai.usage.completion_tokens": 20,
        },
        {"model": "gpt-4o", "provider": "azure.ai.openai", "input_tokens": 100, "output_tokens": 20},
    ),
    "GenAI before operations had names": (
        {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4", "gen_ai.usage.prompt_tokens": 7},
        {"model": "gpt-4", "input_tokens": 7, "output_tokens": 0},
    ),
    "GenAI 1.37 to 1.41": (
        {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.provider.name": "gcp.gemini",
            "gen_ai.request.model": "gemini",
            "gen_ai.response.model": "gemini-2",
            "gen_ai.response.finish_reasons": ["stop", "length"],
            "gen_ai.response.time_to_first_chunk": 0.125,
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.cache_read.input_tokens": 60,
            "gen_ai.usage.cache_creation.input_tokens": 10,
            "gen_ai.usage.reasoning.output_tokens": 5,
            "gen_ai.conversation.id": "c-1",
            "user.id": "u-1",
        },
        {
            "model": "gemini-2",
            "finish_reason": "stop",
            "time_to_first_token_ms": 125.0,
            "cached_input_tokens": 60,
            "cache_write_tokens": 10,
            "reasoning_tokens": 5,
            "input_tokens": 100,
            "total_tokens": 120,
            "session": "c-1",
            "user": "u-1",
        },
    ),
    "Anthropic's own figures leave the cache out": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read_input_tokens": 60,
            "gen_ai.usage.cache_creation_input_tokens": 30,
        },
        {"model": "unknown", "input_tokens": 100, "cached_input_tokens": 60, "cache_write_tokens": 30},
    ),
    "embeddings": (
        {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e-3", "gen_ai.usage.input_tokens": 9},
        {"model": "e-3", "input_tokens": 9, "output_tokens": 0},
    ),
    "OpenInference": (
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "claude",
            "llm.provider": "anthropic",
            "llm.token_count.prompt": 100,
            "llm.token_count.completion": 20,
            "llm.token_count.prompt_details.cache_read": 50,
            "llm.token_count.completion_details.reasoning": 4,
            "llm.cost.total": 0.0125,
            "llm.finish_reason": "stop",
            "session.id": "s-1",
        },
        {
            "model": "claude",
            "provider": "anthropic",
            "input_tokens": 100,
            "cached_input_tokens": 50,
            "reasoning_tokens": 4,
            "cost_usd": 0.0125,
            "session": "s-1",
        },
    ),
    "OpenLLMetry": (
        {
            "llm.request.type": "chat",
            "gen_ai.system": "openai",
            "gen_ai.response.model": "gpt-4o-2",
            "gen_ai.usage.prompt_tokens": 100,
            "llm.usage.total_tokens": 120,
            "traceloop.association.properties.user_id": "u-2",
        },
        {"model": "gpt-4o-2", "input_tokens": 100, "output_tokens": 20, "user": "u-2"},
    ),
    "figures as text": (
        {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": "12", "gen_ai.usage.output_tokens": 3.0},
        {"input_tokens": 12, "output_tokens": 3},
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_calls_of_models(name: str) -> None:
    attributes, expected = REQUESTS[name]
    reading = read_span(made(attributes))
    assert reading.main.type == REQUEST
    assert {key: reading.main.data[key] for key in expected} == expected
    assert reading.role == "inference"


@pytest.mark.parametrize("value", [-5, float("nan"), float("inf"), 2**60, "many", None, [1], True])
def test_tokens_that_are_none_are_not_counted(value: Any) -> None:
    reading = read_span(made({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": value}))
    assert (reading.main.type, reading.role) == (REQUEST, "")
    assert "input_tokens" not in reading.main.data


OTHERS = {
    "agent": (
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner", "gen_ai.agent.id": "a-1"},
        "agent.completed",
        {"agent": "planner", "kind": "agent", "duration_ms": 250.0},
    ),
    "agent by its id": (
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.id": "a-1"},
        "agent.completed",
        {"agent": "a-1"},
    ),
    "agent without a name": ({"gen_ai.operation.name": "invoke_agent"}, "agent.completed", {"agent": "shop"}),
    "OpenInference agent": (
        {"openinference.span.kind": "AGENT", "graph.node.id": "Lead"},
        "agent.completed",
        {"agent": "Lead"},
    ),
    "OpenLLMetry agent": (
        {"traceloop.span.kind": "agent", "traceloop.entity.name": "planner"},
        "agent.completed",
        {"agent": "planner"},
    ),
    "new agent": (
        {"gen_ai.operation.name": "create_agent", "gen_ai.agent.name": "planner", "gen_ai.agent.version": "2"},
        "agent.registered",
        {"agent": "planner", "capabilities": [], "version": "2"},
    ),
    "workflow": (
        {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "support"},
        "agent.completed",
        {"agent": "support", "kind": "workflow"},
    ),
    "root chain": ({"openinference.span.kind": "CHAIN"}, "agent.completed", {"agent": "shop", "kind": "workflow"}),
    "task": ({"traceloop.span.kind": "task", "traceloop.entity.name": "t"}, "otel.span", {"name": "span 1"}),
    "tool": (
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search", "gen_ai.agent.name": "planner"},
        "tool.call.completed",
        {"tool": "search", "success": True, "agent": "planner"},
    ),
    "OpenInference tool": ({"openinference.span.kind": "TOOL", "tool.name": "s"}, "tool.call.completed", {"tool": "s"}),
    "MCP tool": (
        {"mcp.method.name": "tools/call", "gen_ai.tool.name": "weather"},
        "tool.call.completed",
        {"tool": "weather"},
    ),
    "memory": (
        {"gen_ai.operation.name": "search_memory", "gen_ai.memory.record.count": 2},
        "memory.tier.access",
        {"tier": "chroma", "hit": True, "operation": "read", "items_retrieved": 2},
    ),
    "memory that is not told whether it hit": ({"gen_ai.operation.name": "search_memory"}, "otel.span", {}),
    "memory written": (
        {"gen_ai.operation.name": "upsert_memory"},
        "memory.tier.access",
        {"operation": "write", "hit": True},
    ),
    "Redis that tells": (
        {"db.system": "redis", "db.operation": "GET", "hxp.memory.hit": False},
        "memory.tier.access",
        {"tier": "redis", "hit": False, "operation": "read", "latency_ms": 250.0},
    ),
    "Redis that does not": ({"db.system": "redis", "db.operation": "GET"}, "otel.span", {}),
    "PostgreSQL": (
        {"db.system.name": "postgresql", "db.operation.name": "SELECT", "db.response.returned_rows": 0},
        "memory.tier.access",
        {"tier": "postgres", "hit": False},
    ),
    "a write": ({"db.system": "redis", "db.operation": "SET"}, "memory.tier.access", {"operation": "write"}),
    "another database": ({"db.system": "cobol"}, "otel.span", {}),
    "retrieval": (
        {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.data_source.id": "runbooks",
            "gen_ai.retrieval.query.text": "how?",
            "gen_ai.retrieval.documents": '[{"id": "d1", "score": 0.9}, {"id": "d2"}]',
        },
        "knowledge.access",
        {"item": "d1", "score": 0.9, "collection": "runbooks", "query": "how?", "agent": "shop"},
    ),
    "retrieval in vain": (
        {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.retrieval.query.text": "how?",
            "gen_ai.retrieval.documents": "[]",
        },
        "knowledge.miss",
        {"query": "how?"},
    ),
    "retrieval that does not tell": ({"gen_ai.operation.name": "retrieval"}, "otel.span", {}),
    "OpenInference retriever": (
        {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "how?",
            "retrieval.documents.0.document.id": "d1",
            "retrieval.documents.0.document.score": 0.5,
            "retrieval.documents.0.document.content": "secret",
        },
        "knowledge.access",
        {"item": "d1", "score": 0.5, "query": "how?"},
    ),
    "a fetched response": (
        {"gen_ai.operation.name": "fetch_response", "gen_ai.usage.input_tokens": 5},
        "otel.span",
        {},
    ),
    "anything else": ({"http.route": "/"}, "otel.span", {"attributes": {"http.route": "/"}}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_everything_else(name: str) -> None:
    attributes, type, expected = OTHERS[name]
    reading = read_span(made(attributes))
    assert reading.main.type == type
    assert {key: reading.main.data.get(key) for key in expected} == expected
    assert not reading.usage


@pytest.mark.parametrize("name", [*REQUESTS, *OTHERS])
def test_what_is_read_is_what_the_schemas_ask_for(name: str) -> None:
    catalogue = SchemaCatalogue.load()
    attributes, *_ = (REQUESTS | OTHERS)[name]
    for failed in (False, True):
        reading = read_span(made(attributes, failed=failed, message="it broke"))
        for draft in (reading.main, *reading.more, *([reading.instead()] if reading.instead else [])):
            assert catalogue.check(draft.type, draft.data) == ()


@pytest.mark.parametrize("score", ["1" + "0" * 400, "1e999", "-0", '"high"', "null", "[[]]", "true"])
def test_whatever_a_score_is_the_item_is_one(score: str) -> None:
    documents = f'[{{"id": "d1", "score": {score}}}, 7, {{"id": ""}}, null]'
    reading = read_span(made({"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": documents}))
    assert reading.main.type in ("knowledge.access", "otel.span")
    assert not isinstance(reading.main.data.get("score", 0), bool)


def test_a_vector_search_has_its_items_beside() -> None:
    results = [
        SpanEvent("db.query.result", NOW_NS, {"db.query.result.id": f"d{n}", "db.query.result.score": 0.5})
        for n in (1, 2)
    ]
    reading = read_span(made({"db.system": "chroma", "db.operation": "query"}, events=results))
    assert (reading.main.type, reading.main.data["hit"]) == ("memory.tier.access", True)
    assert [(draft.type, draft.data["item"], draft.suffix) for draft in reading.more] == [
        ("knowledge.access", "d1", "-item0"),
        ("knowledge.access", "d2", "-item1"),
    ]


def test_a_failed_call_says_what_went_wrong() -> None:
    happened = [SpanEvent("exception", NOW_NS, {"exception.type": "RateLimit", "exception.message": "slow down"})]
    reading = read_span(made({"gen_ai.operation.name": "chat"}, failed=True, events=happened))
    assert reading.main.type == "llm.request.failed"
    assert (reading.main.data["error"], reading.main.data["error_class"]) == ("slow down", "RateLimit")


def test_hypotheses_are_events_of_a_span() -> None:
    happened = [
        SpanEvent(
            "hypothesis.formed", NOW_NS, {"hypothesis": "h-1", "agent": "a", "confidence": 0.5, "domain": "sleep"}
        ),
        SpanEvent(
            "gen_ai.evaluation.result",
            NOW_NS,
            {"gen_ai.evaluation.name": "h-1", "gen_ai.evaluation.score.label": "pass"},
        ),
        SpanEvent("hypothesis.refuted", NOW_NS, {"agent": "of nothing"}),
    ]
    reading = read_span(made({}, events=happened))
    assert [(draft.type, draft.data["hypothesis"], draft.data["agent"]) for draft in reading.more] == [
        ("hypothesis.formed", "h-1", "a"),
        ("hypothesis.validated", "h-1", "shop"),
    ]


def test_prompts_and_answers_are_not_kept() -> None:
    secret = "what the patient said"
    attributes = {
        "gen_ai.operation.name": "unheard of",
        "gen_ai.input.messages": secret,
        "gen_ai.prompt.0.content": secret,
        "llm.input_messages.0.message.content": secret,
        "input.value": secret,
        "kept": "short",
    }
    reading = read_span(made(attributes))
    assert reading.main.data["attributes"] == {"gen_ai.operation.name": "unheard of", "kept": "short"}


def test_an_event_of_a_hostile_span_is_small() -> None:
    attributes: dict[str, Any] = {f"{'k' * 300}{number}": "v" * 4096 for number in range(128)}
    attributes |= {"n": 2**62, "deep": {"a": [1]}, "list": [[1], {"a": 1}, *range(100)]}
    data = read_span(made(attributes, name="x" * 4096 + "\n\x1b")).main.data
    assert len(str(data)) < 40_000
    assert data["name"].isprintable()
