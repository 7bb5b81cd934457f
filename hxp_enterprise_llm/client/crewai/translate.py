"""CrewAI's events put into ours: plain reading of what its objects say, without CrewAI and without waiting.

Tokens are counted at the calls of models alone. What crews, tasks and agents say of tokens is a sum of those.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from hxp_enterprise_llm.client.crewai.lineage import Begun, Lineage
from hxp_enterprise_llm.client.instrument.scope import short
from hxp_enterprise_llm.client.instrument.usage import tokens_of
from hxp_enterprise_llm.event.model import rfc3339

EventFields = dict[str, Any]

DELEGATION = {"delegate work to coworker": "delegation", "ask question to coworker": "question"}
"""CrewAI's tools by which an agent hands work to another, and the kind of hand-over."""
_SNIPPET = 80
_FOUND = "Additional Information:"
"""What CrewAI puts before all that it has looked up."""
_RUN_STARTS = ("agent_execution_started", "lite_agent_execution_started")
_MOST_WAITING = 1000


class Translator:
    """State of what CrewAI does now. For one thread at a time."""

    def __init__(self, version: str = "") -> None:
        self._version = version
        self._lineage = Lineage()
        self._registered: set[str] = set()
        self._first_chunks: OrderedDict[str, float] = OrderedDict()
        self._early: OrderedDict[str, Any] = OrderedDict()
        self._plans: dict[str, tuple[str, str]] = {}
        self._failed: OrderedDict[str, None] = OrderedDict()
        self._runs: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._readers: dict[str, Callable[[Any], Iterator[EventFields]]] = {
            "agent_execution_started": self._agent_started,
            "lite_agent_execution_started": self._agent_started,
            "agent_execution_completed": self._agent_ended,
            "agent_execution_error": self._agent_ended,
            "lite_agent_execution_completed": self._agent_ended,
            "lite_agent_execution_error": self._agent_ended,
            "llm_stream_chunk": self._chunk,
            "llm_call_completed": self._model_called,
            "llm_call_failed": self._model_called,
            "tool_usage_finished": self._tool_called,
            "tool_usage_error": self._tool_called,
            "memory_query_completed": self._memory_read,
            "memory_save_completed": self._memory_written,
            "knowledge_search_query_completed": self._knowledge,
            "agent_reasoning_completed": self._reasoned,
        }

    def take(self, event: Any) -> list[EventFields]:
        """Our events for one of CrewAI's; most often one or none.

        CrewAI tells of things in threads: an end may come before its beginning, and is then held back until that.
        """
        started = self._started(event)
        if started and self._lineage.get(started) is None and event.type in self._readers:
            self._hold(started, event)
            return []
        if not started:
            self._remember(event)
        made = list(self._read(event))
        early = self._early.pop(_text(event, "event_id"), None)
        return made if early is None else [*made, *self._read(early)]

    def rest(self) -> list[EventFields]:
        """What was held back and whose beginning never came."""
        held = [made for event in self._early.values() for made in self._read(event)]
        self._early.clear()
        return held

    def _hold(self, started: str, event: Any) -> None:
        self._early[started] = event
        if len(self._early) > _MOST_WAITING:
            self._early.popitem(last=False)

    def _remember(self, event: Any) -> None:
        agent = _role(event) if event.type in _RUN_STARTS else ""
        task = _text(event, "task_name") or _text(getattr(event, "task", None), "description")
        begun = Begun(_text(event, "event_id"), _text(event, "parent_event_id"), _seconds(event), agent, short(task))
        if begun.id:
            self._lineage.add(begun)
        if agent:
            self._runs[agent, _text(event, "task_id")] = begun.id
            if len(self._runs) > _MOST_WAITING:
                self._runs.popitem(last=False)

    def _started(self, event: Any) -> str:
        """The event that told of its beginning.

        CrewAI pairs ends with whatever began last in their context; when a call of a model in there fails, the end of
        an agent's run is paired with something else. The run is then the agent's last one with this task.
        """
        started = _text(event, "started_event_id")
        begun = self._lineage.get(started)
        if self._readers.get(event.type) != self._agent_ended or begun is None or begun.agent:
            return started
        return self._runs.get((_role(event), _text(event, "task_id")), started)

    def _read(self, event: Any) -> Iterator[EventFields]:
        reader = self._readers.get(event.type)
        return reader(event) if reader else iter(())

    def _agent_started(self, event: Any) -> Iterator[EventFields]:
        agent = _role(event)
        if agent and agent not in self._registered and len(self._registered) < _MOST_WAITING:
            self._registered.add(agent)
            tools = getattr(event, "tools", None) or getattr(getattr(event, "agent", None), "tools", None) or []
            names = [short(name) for tool in tools if (name := _text(tool, "name"))]
            known = {"capabilities": names[:100], "framework": "crewai", "version": self._version}
            yield self._event("agent.registered", event, ":registered", **known)
        begun = self._lineage.get(_text(event, "event_id"))
        yield self._event("agent.started", event, task=begun.task if begun else "")

    def _agent_ended(self, event: Any) -> Iterator[EventFields]:
        failed = event.type.endswith("_error")
        type = "agent.failed" if failed else "agent.completed"
        yield self._event(type, event, duration_ms=self._duration(event), **(_error(event) if failed else {}))
        plan = self._plans.pop(self._started(event), None)
        if plan is not None:
            verdict = "hypothesis.refuted" if failed else "hypothesis.validated"
            yield self._event(verdict, event, ":plan", hypothesis=plan[1], domain="plan", agent=plan[0])

    def _chunk(self, event: Any) -> Iterator[EventFields]:
        call = _text(event, "call_id")
        if call and call not in self._first_chunks:
            self._first_chunks[call] = _seconds(event)
            if len(self._first_chunks) > _MOST_WAITING:
                self._first_chunks.popitem(last=False)
        return iter(())

    def _model_called(self, event: Any) -> Iterator[EventFields]:
        failed, call = event.type == "llm_call_failed", _text(event, "call_id")
        if failed and call and self._failed_before(call):
            return
        tokens = tokens_of(getattr(event, "usage", None))
        if "input_tokens" in tokens and "output_tokens" in tokens:
            tokens["total_tokens"] = tokens["input_tokens"] + tokens["output_tokens"]
        first = self._first_chunks.pop(call, None)
        begun = self._lineage.get(_text(event, "started_event_id"))
        yield self._event(
            "llm.request.failed" if failed else "llm.request.completed",
            event,
            model=_text(event, "model") or "unknown",
            latency_ms=self._duration(event),
            time_to_first_token_ms=_ms(first - begun.at) if first is not None and begun else None,
            finish_reason=_text(event, "finish_reason"),
            **tokens,
            **(_error(event) if failed else {}),
        )

    def _failed_before(self, call: str) -> bool:
        """CrewAI tells of an answer that it cannot read where it reads it, and again where it called."""
        known = call in self._failed
        self._failed[call] = None
        if len(self._failed) > _MOST_WAITING:
            self._failed.popitem(last=False)
        return known

    def _tool_called(self, event: Any) -> Iterator[EventFields]:
        failure = event.type == "tool_usage_error" or getattr(event, "failure", None) is not None
        tool = _text(event, "tool_name") or "unknown"
        yield self._event(
            "tool.call.failed" if failure else "tool.call.completed",
            event,
            tool=tool,
            duration_ms=self._duration(event),
            **(_error(event, "failure") if failure else {"success": True}),
        )
        given = getattr(event, "tool_args", None)
        arguments: dict[str, Any] = given if isinstance(given, dict) else {}
        kind, giver = DELEGATION.get(tool.lower().replace("_", " ")), _role(event)
        coworker = short(arguments.get("coworker") or "").strip()
        if kind and coworker and giver:
            task = short(arguments.get("task") or arguments.get("question") or "")
            outcome = "failure" if failure else "success"
            hand_over = {"from": giver, "to": coworker, "kind": kind, "task": task, "outcome": outcome}
            yield self._event("agent.handoff", event, ":handoff", **hand_over)

    def _memory_read(self, event: Any) -> Iterator[EventFields]:
        query, results = short(_text(event, "query")), getattr(event, "results", None)
        items = len(results) if isinstance(results, list | tuple) else int(bool(results))
        known = {"hit": items > 0, "items_retrieved": items, "operation": "read", "key": query, "query": query}
        # CrewAI's memory is one vector store and knows no other tier.
        yield self._event(
            "memory.tier.access", event, tier="chroma", latency_ms=_number(event, "query_time_ms"), **known
        )

    def _memory_written(self, event: Any) -> Iterator[EventFields]:
        latency_ms = _number(event, "save_time_ms")
        known = {"tier": "chroma", "hit": True, "operation": "write", "key": short(_text(event, "value"))}
        yield self._event("memory.tier.access", event, latency_ms=latency_ms, **known)

    def _knowledge(self, event: Any) -> Iterator[EventFields]:
        query, found = short(_text(event, "query")), _text(event, "retrieved_knowledge").strip()
        found = found.removeprefix(_FOUND).strip()
        if found:
            # CrewAI gives the text alone, without ids: its beginning is the best name that there is.
            item = " ".join(found.split())[:_SNIPPET]
            yield self._event("knowledge.access", event, item=item, query=query, latency_ms=self._duration(event))
        elif query:
            yield self._event("knowledge.miss", event, query=query)

    def _reasoned(self, event: Any) -> Iterator[EventFields]:
        plan = short(_text(event, "plan"))
        run = self._lineage.run_around(_text(event, "parent_event_id"))
        agent = _role(event) or (run.agent if run else "") or "unknown"
        if not plan:
            return
        if run is not None and len(self._plans) < _MOST_WAITING:
            self._plans[run.id] = (agent, plan)
        yield self._event("hypothesis.formed", event, hypothesis=plan, domain="plan", agent=agent)

    def _duration(self, event: Any) -> float | None:
        begun = self._lineage.get(self._started(event))
        return _ms(_seconds(event) - begun.at) if begun else None

    def _event(self, type: str, event: Any, suffix: str = "", /, **fields: Any) -> EventFields:
        """One of ours, with the identity and time of CrewAI's, so that it is stored once however often it is told."""
        started = self._started(event) or _text(event, "event_id")
        run = self._lineage.run_around(started) or self._lineage.run_around(_text(event, "parent_event_id"))
        root = self._lineage.root(started)
        around = {
            "agent": _role(event) or (run.agent if run else ""),
            "run": run.id if run else "",
            "session": root,
            "trace_id": _hex(root),
            "span_id": _hex(started)[:16],
        }
        data = {name: value for name, value in {**around, **fields}.items() if value is not None and value != ""}
        return {"type": type, "id": _text(event, "event_id") + suffix, "time": rfc3339(_seconds(event)), "data": data}


def _role(event: Any) -> str:
    """The agent's role, which is what people call it."""
    info = getattr(event, "agent_info", None)
    found = _text(event, "agent_role") or _text(getattr(event, "agent", None), "role")
    return short(found or (info.get("role") or "" if isinstance(info, dict) else "")).strip()


def _error(event: Any, *others: str) -> dict[str, str]:
    found = next((value for name in ("error", *others) if (value := getattr(event, name, None)) is not None), None)
    known = {"error": short(found) if found is not None else ""}
    kind = _text(event, "error_type") or (type(found).__name__ if isinstance(found, BaseException) else "")
    return {"error": known["error"] or "it failed", **({"error_class": kind} if kind else {})}


def _text(holder: Any, name: str) -> str:
    value = getattr(holder, name, None)
    return value if isinstance(value, str) else ("" if value is None else str(value))


def _number(event: Any, name: str) -> float | None:
    value = getattr(event, name, None)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _seconds(event: Any) -> float:
    return float(event.timestamp.timestamp())


def _ms(seconds: float) -> float:
    return round(max(0.0, 1000 * seconds), 3)


def _hex(id: str) -> str:
    return id.replace("-", "")[:32]
