"""Calls of models and tools, and runs of agents, as events."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from hxp_enterprise_llm.event.sources.genai import names
from hxp_enterprise_llm.event.sources.genai.generic import agent_of, failure_of, generic, service_of, whose
from hxp_enterprise_llm.event.sources.genai.model import Draft, Reading, Role, Span, Usage
from hxp_enterprise_llm.event.sources.genai.usage import figures, usage_of
from hxp_enterprise_llm.event.sources.genai.values import TEXT_LIMIT, amount, first_of, given, parsed, text
from hxp_enterprise_llm.telemetry.text import clean

UNKNOWN_MODEL = "unknown"
_DELEGATING = {"delegate_work_to_coworker": "delegate", "ask_question_to_coworker": "ask"}
"""Tools by which one agent of a crew turns to another."""


def model_of(span: Span) -> str:
    """The model that answered, or else the one that was asked."""
    return text(span.attributes, names.MODEL)


def provider_of(span: Span) -> str:
    """Who serves the model, as the newer conventions write it."""
    found = text(span.attributes, names.PROVIDER)
    return names.PROVIDERS.get(found, found)


def inference(span: Span) -> Reading:
    """One call of a model."""
    usage = usage_of(span.attributes)
    main = _failed_request(span, usage) if span.failed else _request(span, usage)
    counts = bool(usage) and not span.failed
    if not counts:
        return Reading(span=span, main=main)
    instead = partial(reported, span, "inference", usage)
    return Reading(span=span, main=main, role="inference", usage=usage, instead=instead)


def reported(span: Span, role: Role, usage: Usage) -> Draft:
    """The span as one whose tokens are kept, but do not count."""
    plain = generic(span)
    data = {**plain.data, "role": role, "usage": figures(usage)} | given(model=model_of(span))
    return msgspec.structs.replace(plain, data=data)


def _asked(span: Span) -> dict[str, Any]:
    return {"model": model_of(span) or UNKNOWN_MODEL, "latency_ms": span.duration_ms} | given(
        provider=provider_of(span),
        agent=agent_of(span),
        tool=text(span.attributes, ("hxp.tool",)),
        **whose(span),
    )


def _request(span: Span, usage: Usage) -> Draft:
    found = span.attributes
    first = amount(found, names.FIRST_TOKEN_SECONDS)
    reasons = next((found[name] for name in names.FINISH if name in found), "")
    data = _asked(span) | given(
        time_to_first_token_ms=None if first is None else first * 1000,
        finish_reason=first_of(reasons),
        cost_usd=amount(found, names.COST),
    )
    return Draft("llm.request.completed", data | (figures(usage) if usage else {}), "", span.end_ns)


def _failed_request(span: Span, usage: Usage) -> Draft:
    error, kind = failure_of(span)
    data = _asked(span) | {"error": error} | given(error_class=kind, input_tokens=usage.input_tokens or None)
    return Draft("llm.request.failed", data, "", span.end_ns)


def agent(span: Span) -> Reading:
    """A run of an agent. Its usage counts only when nothing beneath it says more exactly."""
    name = agent_of(span) or text(span.attributes, ("traceloop.entity.name",)) or service_of(span) or "unknown"
    reading = _run(span, name, "agent")
    reading.agent, reading.previous = name, text(span.attributes, ("graph.node.parent_id",))
    reading.main.data.update(given(previous_agent=reading.previous))
    return reading


def workflow(span: Span) -> Reading:
    """A run of a whole crew or application: an agent without edges to others."""
    name = text(span.attributes, names.WORKFLOW) or text(span.attributes, ("traceloop.entity.name",))
    return _run(span, name or agent_of(span) or service_of(span) or clean(span.name) or "unknown", "workflow")


def _run(span: Span, name: str, kind: str) -> Reading:
    usage, common = usage_of(span.attributes), {"agent": name, "run": span.span.hex(), "kind": kind, **whose(span)}
    task = text(span.attributes, ("crewai.task.description", "task_description"), TEXT_LIMIT)
    started = Draft("agent.started", common | given(task=task), "-started", span.start_ns)
    data = {**common, "duration_ms": span.duration_ms}
    if span.failed:
        data["error"], error_class = failure_of(span)
        data |= given(error_class=error_class)
    if usage:
        data |= {"role": "aggregate", "usage": figures(usage)} | given(
            model=model_of(span), provider=provider_of(span), cost_usd=amount(span.attributes, names.COST)
        )
    main = Draft("agent.failed" if span.failed else "agent.completed", data, "", span.end_ns)
    return Reading(span=span, main=main, more=[started], role="aggregate" if usage else "", usage=usage)


def new_agent(span: Span) -> Reading:
    """An agent that was made."""
    name = agent_of(span) or service_of(span) or "unknown"
    data = {"agent": name, "capabilities": [], **whose(span)}
    data |= given(version=text(span.attributes, ("gen_ai.agent.version",)), framework=provider_of(span))
    return Reading(span=span, main=Draft("agent.registered", data, "", span.end_ns))


def step(span: Span) -> Reading:
    """A part of a workflow. It may sum up tokens, as an agent does."""
    usage = usage_of(span.attributes)
    if not usage:
        return Reading(span=span, main=generic(span))
    return Reading(span=span, main=reported(span, "aggregate", usage), role="aggregate", usage=usage)


def tool(span: Span) -> Reading:
    """A call of a tool; when it turns to another agent, the edge to that one as well."""
    name = text(span.attributes, names.TOOL) or clean(span.name) or "unknown"
    reading = Reading(span=span, main=_call(span, name), tool=name, instead=partial(generic, span))
    if handoff := _handoff(span, name):
        reading.more, reading.hands_to = [handoff], handoff.data["to"]
        reading.main.data["hands_to"] = reading.hands_to
    return reading


def mcp(span: Span) -> Reading:
    """A call of a tool by MCP."""
    return tool(span)


def _call(span: Span, name: str) -> Draft:
    data = {"tool": name, "success": not span.failed, "duration_ms": span.duration_ms}
    data |= given(agent=agent_of(span)) | whose(span)
    if not span.failed:
        return Draft("tool.call.completed", data, "", span.end_ns)
    data["error"], kind = failure_of(span)
    return Draft("tool.call.failed", data | given(error_class=kind), "", span.end_ns)


def _handoff(span: Span, name: str) -> Draft | None:
    kind = _DELEGATING.get(name.lower().replace(" ", "_"))
    if kind is None:
        return None
    values = (parsed(span.attributes.get(each)) for each in names.TOOL_ARGUMENTS)
    asked = next((value for value in values if isinstance(value, dict)), {})
    to = text(asked, ("coworker", "co_worker"))
    if not to:
        return None
    data = {"from": agent_of(span), "to": to, "kind": kind, "outcome": "failure" if span.failed else "success"}
    data |= given(task=text(asked, ("task", "question"), TEXT_LIMIT)) | whose(span)
    return Draft("agent.handoff", data, "-handoff", span.end_ns)
