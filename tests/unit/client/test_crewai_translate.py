"""CrewAI's events put into ours, event by event; `tests/integration/test_crewai.py` has the real ones."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hxp_enterprise_llm.client.crewai.lineage import Begun, Lineage
from hxp_enterprise_llm.client.crewai.translate import Translator
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CATALOGUE = SchemaCatalogue.load()


class Script:
    """Makes events as CrewAI does, each a second after the one before."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def __call__(self, type: str, **fields: Any) -> SimpleNamespace:
        number = next(self._numbers)
        event_id = f"00000000-0000-0000-0000-{number:012}"
        timestamp = BEGAN + timedelta(seconds=number)
        return SimpleNamespace(type=type, event_id=event_id, timestamp=timestamp, **fields)

    def ended(self, type: str, began: Any, **fields: Any) -> SimpleNamespace:
        parent = getattr(began, "parent_event_id", None)
        return self(type, started_event_id=began.event_id, parent_event_id=parent, **fields)


@pytest.fixture
def script() -> Script:
    return Script()


def made(events: list[Any], translator: Translator | None = None) -> list[dict[str, Any]]:
    translator = translator or Translator("1.15.30")
    found = [each for event in events for each in translator.take(event)]
    for each in found:
        assert CATALOGUE.check(each["type"], each["data"]) == ()
    return found


def run_of(script: Script, role: str = "Researcher", parent: str | None = None) -> SimpleNamespace:
    agent = SimpleNamespace(role=role, tools=[SimpleNamespace(name="web_search")])
    task = SimpleNamespace(description="find out " + "x" * 600)
    return script("agent_execution_started", agent=agent, task=task, task_name=None, parent_event_id=parent)


def test_a_call_of_a_model_belongs_to_the_run_and_the_crew_around_it(script: Script) -> None:
    crew = script("crew_kickoff_started")
    run = run_of(script, parent=crew.event_id)
    flow = script("flow_started", parent_event_id=run.event_id)
    call = script("llm_call_started", parent_event_id=flow.event_id, agent_role="Researcher", call_id="c")
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "cached_prompt_tokens": 60}
    chunks = [script("llm_stream_chunk", call_id="c", parent_event_id=flow.event_id) for _ in range(2)]
    end = script.ended("llm_call_completed", call, model="gpt-4o-mini", call_id="c", usage=usage, finish_reason="stop")
    *_, told = made([crew, run, flow, call, *chunks, end])
    assert told == {
        "type": "llm.request.completed",
        "id": end.event_id,
        "time": "2026-01-02T03:04:11.000Z",
        "data": {
            "agent": "Researcher",
            "run": run.event_id,
            "session": crew.event_id,
            "trace_id": crew.event_id.replace("-", ""),
            "span_id": call.event_id.replace("-", "")[:16],
            "model": "gpt-4o-mini",
            "latency_ms": 3000.0,
            "time_to_first_token_ms": 1000.0,
            "finish_reason": "stop",
            "input_tokens": 100,
            "output_tokens": 20,
            "cached_input_tokens": 60,
            "total_tokens": 120,
        },
    }


def test_totals_of_crews_and_tasks_are_counted_nowhere(script: Script) -> None:
    crew = script("crew_kickoff_started")
    run = run_of(script, parent=crew.event_id)
    found = made(
        [
            crew,
            run,
            script.ended("agent_execution_completed", run, agent=run.agent, output="o"),
            script.ended("crew_kickoff_completed", crew, total_tokens=980),
        ]
    )
    assert [each["type"] for each in found] == ["agent.registered", "agent.started", "agent.completed"]
    assert not [name for each in found for name in each["data"] if "tokens" in name]
    assert len(found[1]["data"]["task"]) == 500


def test_an_end_that_comes_first_waits_for_its_beginning(script: Script) -> None:
    run = run_of(script)
    tool = script("tool_usage_started", parent_event_id=run.event_id)
    end = script.ended("tool_usage_finished", tool, tool_name="web_search", agent_role="Researcher", tool_args={})
    translator = Translator()
    assert made([run, end], translator)[-1]["type"] == "agent.started"
    (told,) = made([tool], translator)
    assert (told["type"], told["data"]["duration_ms"]) == ("tool.call.completed", 1000.0)
    assert translator.rest() == []


def test_an_end_whose_beginning_never_comes_is_told_at_last(script: Script) -> None:
    tool = script("tool_usage_started")
    translator = Translator()
    assert made([script.ended("tool_usage_finished", tool, tool_name="t", tool_args=None)], translator) == []
    (told,) = translator.rest()
    assert told["data"] == {
        "tool": "t",
        "success": True,
        "session": tool.event_id,
        "trace_id": "0" * 32,
        "span_id": "0" * 16,
    }


@pytest.mark.parametrize("seed", range(20))
def test_the_order_in_which_threads_tell_does_not_matter(script: Script, seed: int) -> None:
    crew = script("crew_kickoff_started")
    run = run_of(script, parent=crew.event_id)
    events = [crew, run]
    for number in range(10):
        call = script("llm_call_started", parent_event_id=run.event_id, agent_role="Researcher", call_id=str(number))
        usage = {"prompt_tokens": number, "completion_tokens": 1}
        events += [call, script.ended("llm_call_completed", call, model="m", usage=usage, agent_role="Researcher")]
    whole = made(events)
    rest = events[2:]
    random.Random(seed).shuffle(rest)
    shuffled = made([*events[:2], *rest])
    assert sorted(map(repr, shuffled)) == sorted(map(repr, whole))


@pytest.mark.parametrize("tool", ["Delegate work to coworker", "delegate_work_to_coworker", "Ask question to coworker"])
@pytest.mark.parametrize("fails", [False, True])
def test_tools_that_hand_over(script: Script, tool: str, fails: bool) -> None:
    began = script("tool_usage_started")
    arguments = {"coworker": " Writer ", "task": "write it", "question": "what?"}
    fields = {"tool_name": tool, "tool_args": arguments, "agent_role": "Editor"}
    end = script.ended(
        "tool_usage_error" if fails else "tool_usage_finished", began, **fields, error="no" if fails else None
    )
    call, handed = made([began, end])
    assert call["type"] == ("tool.call.failed" if fails else "tool.call.completed")
    assert handed["type"] == "agent.handoff"
    assert handed["id"] == f"{end.event_id}:handoff"
    data = handed["data"]
    assert (data["from"], data["to"], data["task"]) == ("Editor", "Writer", "write it")
    assert data["kind"] == ("question" if "uestion" in tool else "delegation")
    assert data["outcome"] == ("failure" if fails else "success")


def test_a_failure_that_a_tool_itself_reports(script: Script) -> None:
    began = script("tool_usage_started")
    (told,) = made([began, script.ended("tool_usage_finished", began, tool_name="t", failure="quota", error=None)])
    assert (told["type"], told["data"]["error"]) == ("tool.call.failed", "quota")


def test_memory_and_knowledge(script: Script) -> None:
    query = script("memory_query_started")
    save = script("memory_save_started")
    search = script("knowledge_search_query_started")
    found = made(
        [
            query,
            script.ended("memory_query_completed", query, query="q", results=["a", "b"], query_time_ms=12.5),
            script.ended("memory_query_completed", query, query="q", results=[], query_time_ms=3),
            save,
            script.ended("memory_save_completed", save, value="v", save_time_ms=7),
            search,
            script.ended(
                "knowledge_search_query_completed", search, query="k", retrieved_knowledge="A fact\n of use" * 20
            ),
            script.ended("knowledge_search_query_completed", search, query="k", retrieved_knowledge=" "),
        ]
    )
    hit, miss, written, known, gap = [each["data"] for each in found]
    assert (hit["tier"], hit["hit"], hit["items_retrieved"], hit["latency_ms"]) == ("chroma", True, 2, 12.5)
    assert (miss["hit"], miss["operation"]) == (False, "read")
    assert (written["operation"], written["key"]) == ("write", "v")
    assert known["item"].startswith("A fact of use")
    assert len(known["item"]) <= 80
    assert (found[4]["type"], gap["query"]) == ("knowledge.miss", "k")


@pytest.mark.parametrize(("end", "verdict"), [("completed", "validated"), ("error", "refuted")])
def test_a_plan_is_a_hypothesis_and_its_run_the_verdict(script: Script, end: str, verdict: str) -> None:
    run = run_of(script)
    began = script("agent_reasoning_started", parent_event_id=run.event_id)
    found = made(
        [
            run,
            began,
            script.ended("agent_reasoning_completed", began, plan="first look, then leap", ready=True),
            script.ended(f"agent_execution_{end}", run, agent=run.agent, error="too far"),
        ]
    )
    formed = next(each["data"] for each in found if each["type"] == "hypothesis.formed")
    judged = next(each["data"] for each in found if each["type"] == f"hypothesis.{verdict}")
    for data in (formed, judged):
        assert (data["hypothesis"], data["agent"], data["domain"]) == ("first look, then leap", "Researcher", "plan")


def test_a_run_whose_end_is_paired_with_something_else_ends(script: Script) -> None:
    """As CrewAI does after an answer that it cannot read, which it tells of twice."""
    task = script("task_started", task_id="t")
    run = run_of(script, parent=task.event_id)
    run.task_id = "t"
    reasoning = script("agent_reasoning_started", parent_event_id=run.event_id)
    call = script("llm_call_started", parent_event_id=run.event_id, call_id="c")
    failure = {"model": "m", "call_id": "c", "error": "no JSON"}
    found = made(
        [
            task,
            run,
            reasoning,
            script.ended("agent_reasoning_completed", reasoning, plan="first look", ready=True),
            call,
            script.ended("llm_call_failed", call, **failure),
            script.ended("llm_call_failed", run, **failure),
            script.ended("agent_execution_completed", task, agent=run.agent, task_id="t"),
        ]
    )
    assert [each["type"] for each in found].count("llm.request.failed") == 1
    end, verdict = found[-2:]
    assert (end["type"], end["data"]["run"], end["data"]["duration_ms"]) == ("agent.completed", run.event_id, 6000)
    assert (verdict["type"], verdict["data"]["hypothesis"]) == ("hypothesis.validated", "first look")


def test_agents_without_a_crew(script: Script) -> None:
    began = script("lite_agent_execution_started", agent_info={"role": "Solo"}, tools=[])
    found = made([began, script.ended("lite_agent_execution_error", began, agent_info={"role": "Solo"}, error=None)])
    assert [each["type"] for each in found] == ["agent.registered", "agent.started", "agent.failed"]
    assert found[2]["data"]["agent"] == "Solo"
    assert found[2]["data"]["error"] == "it failed"


def test_what_nobody_knows_is_nothing(script: Script) -> None:
    assert made([script("checkpoint_started"), script("llm_thinking_chunk", call_id=None)]) == []


def test_lineage_is_bounded_and_does_not_go_in_circles() -> None:
    lineage = Lineage(most=3)
    for number in range(10):
        lineage.add(Begun(str(number), str(number - 1), 0.0))
    assert len(lineage) == 3
    assert lineage.root("9") == "7"
    lineage.add(Begun("a", "b", 0.0))
    lineage.add(Begun("b", "a", 0.0))
    assert lineage.run_around("a") is None
    assert lineage.root("a") in {"a", "b"}
