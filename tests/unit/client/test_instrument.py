"""The helpers: what they report, how work nests, failures, and that they never get in the way."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from hxp_enterprise_llm.client import Instrument
from hxp_enterprise_llm.client.instrument.context import current
from hxp_enterprise_llm.client.instrument.usage import tokens_of
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue

CATALOGUE = SchemaCatalogue.load()


class Events:
    """Keeps what is emitted, and checks it against the schemas."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def emit(self, event: dict[str, Any]) -> bool:
        assert CATALOGUE.check(event["type"], event["data"]) == ()
        self.all.append(json.loads(json.dumps(event)))
        return True

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.all]

    def data(self, type: str) -> dict[str, Any]:
        (found,) = [event["data"] for event in self.all if event["type"] == type]
        return found


class Time:
    """A clock that goes on by 10 ms with each look at it."""

    def __init__(self) -> None:
        self.now, self.ids = 0.0, 0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        self.now += 0.01
        return self.now

    def new_id(self) -> str:
        self.ids += 1
        return f"run-{self.ids}"


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def watch(events: Events) -> Instrument:
    return Instrument(events, clock=Time())


def test_work_inside_other_work_knows_agent_run_session_user_and_trace(watch: Instrument, events: Events) -> None:
    with (
        watch.agent("researcher", task="summarise", session="s-1", user="u-1", query="why?"),
        watch.tool("web_search"),
        watch.llm("gpt-4o-mini", provider="openai", tool="web_search") as call,
    ):
        call.tokens(412, 96, cached=100, reasoning=12)
        call.first_token()
        call.first_token()
        call.finished("stop", cost_usd=0.001)
    assert events.types == ["agent.started", "llm.request.completed", "tool.call.completed", "agent.completed"]
    around = {"agent": "researcher", "run": "run-1", "session": "s-1", "user": "u-1", "query": "why?"}
    for event in events.all:
        assert around.items() <= event["data"].items()
    assert len({event["data"]["trace_id"] for event in events.all}) == 1
    assert len({event["data"]["span_id"] for event in events.all}) == 3
    request = events.data("llm.request.completed")
    assert (
        request
        | {
            "model": "gpt-4o-mini",
            "provider": "openai",
            "tool": "web_search",
            "input_tokens": 412,
            "output_tokens": 96,
            "total_tokens": 508,
            "cached_input_tokens": 100,
            "reasoning_tokens": 12,
            "time_to_first_token_ms": 10.0,
            "finish_reason": "stop",
            "cost_usd": 0.001,
            "latency_ms": 30.0,
        }
        == request
    )
    assert current() is None


def test_an_exception_makes_failed_events_and_goes_on_its_way(watch: Instrument, events: Events) -> None:
    with pytest.raises(TimeoutError), watch.agent("researcher"), watch.tool("web"), watch.llm("m"):
        raise TimeoutError("no answer in 30 s")
    assert events.types == ["agent.started", "llm.request.failed", "tool.call.failed", "agent.failed"]
    for type in events.types[1:]:
        assert {"error": "no answer in 30 s", "error_class": "TimeoutError"}.items() <= events.data(type).items()


def test_an_exception_without_words_is_named(watch: Instrument, events: Events) -> None:
    with pytest.raises(KeyboardInterrupt), watch.agent("a"):
        raise KeyboardInterrupt
    assert events.data("agent.failed")["error"] == "KeyboardInterrupt"


@pytest.mark.parametrize(("fails", "outcome"), [(False, "success"), (True, "failure")])
def test_an_agent_inside_another_is_a_hand_over(watch: Instrument, events: Events, fails: bool, outcome: str) -> None:
    def inner() -> None:
        with watch.agent("writer", task="write it down"):
            if fails:
                raise ValueError("no")

    with watch.agent("editor"):
        if fails:
            with pytest.raises(ValueError):
                inner()
        else:
            inner()
    handed = events.data("agent.handoff")
    expected = {"from": "editor", "to": "writer", "kind": "delegation", "task": "write it down", "outcome": outcome}
    assert expected.items() <= handed.items()


def test_an_agent_that_calls_itself_hands_nothing_over(watch: Instrument, events: Events) -> None:
    with watch.agent("editor"), watch.agent("editor"):
        pass
    assert "agent.handoff" not in events.types


def test_decorated_functions_are_work_of_their_own_at_each_call(watch: Instrument, events: Events) -> None:
    @watch.agent("counter")
    def count(upto: int) -> int:
        return upto if upto == 0 else count(upto - 1) + 1

    assert count(2) == 2
    assert count.__name__ == "count"
    assert events.types == ["agent.started"] * 3 + ["agent.completed"] * 3
    assert [event["data"]["run"] for event in events.all] == ["run-1", "run-2", "run-3", "run-3", "run-2", "run-1"]


async def test_tasks_that_run_at_the_same_time_do_not_mix(watch: Instrument, events: Events) -> None:
    met = asyncio.Barrier(8)

    @watch.tool("wait")
    async def wait(name: str) -> str:
        await met.wait()
        work = current()
        assert work is not None
        return work.agent

    async def run(name: str) -> str:
        async with watch.agent(name):
            return await wait(name)

    names = [f"agent-{n}" for n in range(8)]
    assert await asyncio.gather(*map(run, names)) == names
    assert events.types.count("tool.call.completed") == 8
    calls = {event["data"]["agent"] for event in events.all if event["type"] == "tool.call.completed"}
    assert calls == set(names)


def test_threads_do_not_mix(watch: Instrument, events: Events) -> None:
    met = threading.Barrier(4)

    def run(name: str) -> None:
        with watch.agent(name):
            met.wait(10)
            with watch.tool(f"tool of {name}"):
                met.wait(10)

    threads = [threading.Thread(target=run, args=(f"agent-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    calls = [event["data"] for event in events.all if event["type"] == "tool.call.completed"]
    assert sorted((call["agent"], call["tool"]) for call in calls) == [
        (f"agent-{n}", f"tool of agent-{n}") for n in range(4)
    ]


async def test_a_generator_that_is_closed_elsewhere_harms_nobody(watch: Instrument, events: Events) -> None:
    async def stream() -> Any:
        with watch.llm("m"):
            yield 1
            yield 2

    chunks = stream()
    await anext(chunks)
    await asyncio.create_task(chunks.aclose())
    assert events.types == ["llm.request.failed"]
    assert events.data("llm.request.failed")["error_class"] == "GeneratorExit"


def test_tiers_are_asked_in_turn_until_one_has_the_answer(watch: Instrument, events: Events) -> None:
    asked: list[str] = []

    def tier(name: str, result: Any) -> Callable[[], Any]:
        def read() -> Any:
            asked.append(name)
            return result

        return read

    with watch.agent("neuroscientist"):
        tiers = {"redis": tier("redis", None), "postgresql": tier("pg", ["a", "b"]), "chromadb": tier("chroma", ["c"])}
        assert watch.look_up("heart rate", tiers) == ["a", "b"]
    assert asked == ["redis", "pg"]
    first, second = [event["data"] for event in events.all if event["type"] == "memory.tier.access"]
    assert (first["tier"], first["hit"], first["key"], first["agent"]) == (
        "redis",
        False,
        "heart rate",
        "neuroscientist",
    )
    assert (second["tier"], second["hit"], second["operation"]) == ("postgres", True, "read")
    assert second["tier_accessed"] == "postgres"
    assert second["latency_by_tier"] == {"redis": first["latency_ms"] / 1000, "postgres": second["latency_ms"] / 1000}
    assert second["items_retrieved"] == 2
    assert "latency_by_tier" not in first
    assert min(second["latency_by_tier"].values()) > 0


def test_a_look_up_that_nobody_answers(watch: Instrument, events: Events) -> None:
    assert watch.look_up("q", {"redis": lambda: "", "postgres": lambda: None, "chroma": list}) is None
    found = [event["data"] for event in events.all]
    assert [each["tier"] for each in found] == ["redis", "postgres", "chroma"]


def test_a_tier_that_fails_is_a_miss_and_the_failure_is_the_callers(watch: Instrument, events: Events) -> None:
    with watch.memory("q") as lookup:
        with pytest.raises(ConnectionError), lookup.tier("redis"):
            raise ConnectionError
        with lookup.tier("chroma") as tier:
            tier.hit(3)
        assert lookup.ask("postgres", lambda: 1 / 0) is None
    assert [(event["data"]["tier"], event["data"]["hit"]) for event in events.all] == [
        ("redis", False),
        ("chroma", True),
    ]
    assert events.all[1]["data"]["tier_accessed"] == "chroma"


def test_knowledge_found_and_missing(watch: Instrument, events: Events) -> None:
    with watch.knowledge("rotate the key", collection="runbooks") as search:
        search.found("kb-1", 0.9)
        search.found("kb-2")
    with watch.knowledge("what is love") as search:
        search.missed(0.31)
    assert events.types == ["knowledge.access", "knowledge.access", "knowledge.miss"]
    assert events.all[0]["data"]["item"] == "kb-1"
    assert events.all[0]["data"]["score"] == 0.9
    assert "score" not in events.all[1]["data"]
    assert events.data("knowledge.miss")["best_score"] == 0.31


def test_a_hypothesis_is_formed_and_judged_later(watch: Instrument, events: Events) -> None:
    with watch.agent("neuroscientist"):
        first = watch.hypothesis("late coffee costs sleep", domain="sleep", confidence=0.6)
    watch.hypothesis("it is the moon", agent="astrologer").refuted()
    first.validated(0.9)
    assert [event["type"] for event in events.all if event["type"].startswith("hypothesis")] == [
        "hypothesis.formed",
        "hypothesis.formed",
        "hypothesis.refuted",
        "hypothesis.validated",
    ]
    validated = events.data("hypothesis.validated")
    assert validated["agent"] == "neuroscientist"
    assert (validated["hypothesis"], validated["domain"], validated["confidence"]) == (
        "late coffee costs sleep",
        "sleep",
        0.9,
    )


def test_an_agent_is_registered_with_what_it_can_do(watch: Instrument, events: Events) -> None:
    watch.register("neuroscientist", ["hypothesis_formation", "biometric_analysis"], framework="crewai", capacity=3)
    assert events.data("agent.registered") == {
        "agent": "neuroscientist",
        "capabilities": ["hypothesis_formation", "biometric_analysis"],
        "framework": "crewai",
        "capacity": 3,
    }


class Nasty:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no attribute")


def test_what_cannot_be_reported_stays_out_of_the_way(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def emit(self, event: dict[str, Any]) -> bool:
            raise RuntimeError("broken")

    watch = Instrument(Broken())
    with watch.agent("a"), watch.llm("m") as call:
        call.usage(Nasty())
        call.tokens("many", None)  # type: ignore[arg-type]
    nasty = Nasty()
    assert watch.look_up("q", {"redis": lambda: nasty}) is None
    watch.hypothesis("h").validated()
    watch.register("a", ["x"])
    assert "something could not be reported" in caplog.text


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 120,
                "cached_prompt_tokens": 60,
                "reasoning_tokens": 5,
            },
            {"input_tokens": 100, "output_tokens": 20, "cached_input_tokens": 60, "reasoning_tokens": 5},
        ),
        (
            {"input_tokens": 100, "output_tokens": 20, "cached_prompt_tokens": 60, "cache_creation_tokens": 10},
            {"input_tokens": 100, "output_tokens": 20, "cached_input_tokens": 60, "cache_write_tokens": 10},
        ),
        (
            {
                "input_tokens": 30,
                "output_tokens": 20,
                "cache_read_input_tokens": 60,
                "cache_creation_input_tokens": 10,
            },
            {"input_tokens": 100, "output_tokens": 20, "cached_input_tokens": 60, "cache_write_tokens": 10},
        ),
        (
            SimpleNamespace(
                prompt_tokens=100,
                completion_tokens=20,
                prompt_tokens_details=SimpleNamespace(cached_tokens=60),
                completion_tokens_details={"reasoning_tokens": 5},
            ),
            {"input_tokens": 100, "output_tokens": 20, "cached_input_tokens": 60, "reasoning_tokens": 5},
        ),
        (
            {"prompt_token_count": 9, "candidates_token_count": 3, "cached_content_token_count": 0},
            {"input_tokens": 9, "output_tokens": 3, "cached_input_tokens": 0},
        ),
        ({"total_tokens": 0}, {}),
        ({"prompt_tokens": -1, "completion_tokens": 2.5, "cached_tokens": True, "reasoning_tokens": "7"}, {}),
        (None, {}),
    ],
)
def test_usage_in_the_forms_of_providers(usage: Any, tokens: dict[str, int]) -> None:
    assert tokens_of(usage) == tokens
