"""Agents, models, memory tiers, knowledge, collaboration, hypotheses, business figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hxp_enterprise_llm.config.platform import BusinessConfig, PlatformConfig
from hxp_enterprise_llm.event.log.model import Stored

from ..events import NOW, stored
from .support import DAY, HOUR, PRICES, events, platform, requests, views

MOONCAKE = Path(__file__).parents[3] / "data" / "traces" / "mooncake_conversation_300.jsonl"


CAPABILITIES = ["hypothesis_formation", "biometric_analysis"]


# agents


def test_active_agents_answer_in_the_seeds_form() -> None:
    found = views([
        stored(1, "agent.registered", NOW - 60, agent="neuroscientist", capabilities=CAPABILITIES),
        *[stored(n, "agent.started", NOW - 30, agent="neuroscientist", run=f"r-{n}") for n in (2, 3, 4)],
        stored(5, "agent.started", NOW - 301, agent="idle"),
    ]).active_agents()  # fmt: skip
    assert found["active_count"] == 1
    (agent,) = found["agents"]
    assert {key: agent[key] for key in ("id", "status", "last_activity", "current_load", "capabilities")} == {
        "id": "neuroscientist",
        "status": "active",
        "last_activity": "2027-01-15T07:59:30.000Z",
        "current_load": 3,
        "capabilities": ["biometric_analysis", "hypothesis_formation"],
    }


def test_workflows_are_no_agents() -> None:
    """Nor does it make one of it that tokens bear its name; who also runs as an agent is one."""
    crew, both = {"agent": "crew", "kind": "workflow"}, {"agent": "both", "kind": "workflow"}
    history = [
        stored(1, "agent.started", **crew, run="1"),
        *requests(2, agent="crew"),
        stored(4, "agent.completed", **both),
        stored(5, "agent.completed", agent="both", kind="agent"),
        stored(6, "agent.completed", agent="plain"),
    ]
    for events_of in (history, history[::-1]):
        found = views(events_of)
        assert {each["id"] for each in found.agents()["agents"]} == {"both", "plain"}
        assert {each["id"] for each in found.active_agents()["agents"]} == {"both", "plain"}
        assert found.active_count() == 2
        (workflow,) = found.agents()["workflows"]
        assert (workflow["id"], workflow["current_load"], workflow["tasks"]["started"]) == ("crew", 1, 1)


def test_whatever_an_agent_does_is_activity() -> None:
    deeds: dict[str, dict[str, Any]] = {
        "llm.request.completed": {"model": "m"},
        "llm.request.failed": {"model": "m", "error": "timeout"},
        "tool.call.completed": {"tool": "t"},
        "tool.call.failed": {"tool": "t", "error": "x"},
        "cost.recorded": {"amount_usd": 1},
        "agent.registered": {"capabilities": []},
        "agent.completed": {},
        "agent.failed": {"error": "x"},
        "memory.tier.access": {"tier": "redis", "hit": True},
        "knowledge.access": {"item": "i"},
        "knowledge.miss": {"query": "q"},
        "hypothesis.formed": {"hypothesis": "h"},
    }
    found = views([stored(n, type, agent=type, **data) for n, (type, data) in enumerate(deeds.items(), 1)])
    assert {agent["id"] for agent in found.active_agents()["agents"]} == set(deeds)
    handed = views([stored(1, "agent.handoff", **{"from": "a", "to": "b", "kind": "ask"})]).active_agents()
    assert {agent["id"] for agent in handed["agents"]} == {"a", "b"}


def load(*deeds: Stored) -> int:
    return int(views(deeds).agents()["agents"][0]["current_load"])


def test_open_tasks_are_those_that_began_and_did_not_end() -> None:
    started, ended = stored(1, "agent.started", agent="a", run="r"), stored(2, "agent.completed", agent="a", run="r")
    assert load(started) == 1
    assert load(started, ended) == load(ended, started) == 0
    assert load(ended) == 0
    unnamed, failed = stored(3, "agent.started", agent="a"), stored(4, "agent.failed", agent="a", error="x")
    assert load(unnamed, unnamed, failed) == load(failed, unnamed, unnamed) == 1


def test_a_task_without_an_end_is_given_up_after_its_time() -> None:
    assert load(stored(1, "agent.started", NOW - 3601, agent="a", run="r")) == 0
    assert load(stored(1, "agent.started", NOW - 3599, agent="a", run="r")) == 1


def test_the_latest_registration_holds_in_whatever_order_they_come() -> None:
    old = stored(1, "agent.registered", NOW - 9, agent="a", capabilities=["x"], version="1")
    new = stored(2, "agent.registered", NOW, agent="a", capabilities=["y"], version="2", capacity=4)
    for order in ((old, new), (new, old)):
        agent = views(order).agents()["agents"][0]
        assert (agent["capabilities"], agent["version"], agent["capacity"]) == (["y"], "2", 4)


def test_who_never_registers_can_do_what_it_was_seen_to_do() -> None:
    deeds = [
        stored(1, "tool.call.completed", agent="a", tool="rare"),
        *[stored(n, "tool.call.completed", agent="a", tool="search") for n in (2, 3)],
        stored(4, "tool.call.failed", agent="a", tool="broken", error="x"),
        stored(5, "tool.call.completed", agent="a", tool="refused", success=False),
        stored(6, "hypothesis.formed", agent="a", hypothesis="h"),
        stored(7, "hypothesis.refuted", agent="b", hypothesis="h"),
        stored(8, "agent.registered", agent="said", capabilities=["x"]),
        stored(9, "tool.call.completed", agent="said", tool="search"),
        stored(10, "agent.registered", agent="empty", capabilities=[]),
        stored(11, "tool.call.completed", agent="empty", tool="search"),
    ]
    for order in (deeds, deeds[::-1]):
        found = {each["id"]: each for each in views(order).active_agents()["agents"]}
        assert {name: (each["capabilities"], each["capabilities_from"]) for name, each in found.items()} == {
            "a": (["search", "hypothesis_formation", "rare"], "observed"),
            "b": ([], None),
            "said": (["x"], "registered"),
            "empty": (["search"], "observed"),
        }
        assert found["a"]["events"] == 6


def test_what_was_observed_is_bounded() -> None:
    calls = [stored(n, "tool.call.completed", agent="a", tool=f"t{n}") for n in range(60)]
    (agent,) = views([*calls, stored(60, "tool.call.completed", agent="a", tool="t7")]).active_agents()["agents"]
    assert (len(agent["capabilities"]), agent["capabilities"][0]) == (50, "t7")


# models


def test_models_by_latency_speed_errors_and_ends() -> None:
    good = requests(99, latency_ms=1100, time_to_first_token_ms=100, output_tokens=50, finish_reason="stop")
    bad = [stored(200, "llm.request.failed", model="m", error="no answer", error_class="timeout", latency_ms=30_000)]
    (found,) = views([*good, *bad]).models()["models"]
    assert (found["requests"], found["failed_requests"], found["error_ratio"]) == (99, 1, 0.01)
    assert found["latency_ms"]["p50"] == pytest.approx(1100, rel=0.01)
    assert found["time_to_first_token_ms"]["p95"] == pytest.approx(100, rel=0.01)
    assert found["tokens_per_second"]["p50"] == pytest.approx(50, rel=0.01)
    assert (found["finish_reasons"], found["errors"]) == ({"stop": 99}, {"timeout": 1})


def test_one_slow_request_of_two_is_seen() -> None:
    slow = stored(2, "llm.request.completed", model="m", latency_ms=8000)
    (found,) = views([*requests(1, latency_ms=840), slow]).models()["models"]
    assert found["latency_ms"]["p50"] == pytest.approx(840, rel=0.01)
    assert found["latency_ms"]["p95"] == found["latency_ms"]["p99"] == pytest.approx(8000, rel=0.01)


def test_what_a_model_cost_elsewhere_is_no_request_to_it() -> None:
    bill = stored(1, "cost.recorded", amount_usd=5.0, model="m", agent="a")
    taken = stored(2, "llm.usage.corrected", model="n", input_tokens=-5)
    assert views([bill, taken]).models()["models"] == []


def test_figures_are_the_same_whether_counted_at_once_or_in_many_batches() -> None:
    events = [event for n in range(300) for event in requests(1, NOW - n / 10, latency_ms=n + 1, finish_reason="stop")]
    whole, cut = platform(), platform()
    whole.take(events)
    for event in events:
        cut.take([event])
        cut.state  # noqa: B018 - takes in what waits
    assert whole.views(NOW).models() == cut.views(NOW).models()
    assert whole.views(NOW).models()["models"][0]["latency_ms"]["p50"] == pytest.approx(150, rel=0.01)


def test_models_forget_what_is_older_than_a_day() -> None:
    (found,) = views([*requests(1, NOW - 28 * HOUR, latency_ms=9000), *requests(1, latency_ms=10)]).models()["models"]
    assert (found["requests"], found["latency_ms"]["p99"]) == (1, 10)


# memory tiers


def access(number: int, tier: str, hit: bool, at: float = NOW, **data: Any) -> Stored:
    return stored(number, "memory.tier.access", at, tier=tier, hit=hit, **data)


def looked_up(count: int, tier: str) -> list[Stored]:
    """Queries that this tier answers, each asked in the tiers before it as well."""
    order = ("redis", "postgres", "chroma")
    latency = {"redis": 5, "postgres": 25, "chroma": 150}
    asked = order[: order.index(tier) + 1]
    return [access(n, name, name == tier, latency_ms=latency[name]) for n in range(count) for name in asked]


def test_tier_stats_answer_in_the_seeds_form() -> None:
    config = PlatformConfig(memory_costs={"redis": 0.001, "postgresql": 0.01, "chromadb": 0.1})
    found = views([*looked_up(45, "redis"), *looked_up(40, "postgres"), *looked_up(15, "chroma")], config).tier_stats()
    assert found["tier_hit_rates"] == {"redis": 0.45, "postgresql": 0.40, "chromadb": 0.15}
    assert found["average_latencies_ms"] == {"redis": 5, "postgresql": 25, "chromadb": 150}
    assert found["cost_by_tier"] == {"redis": 0.1, "postgresql": 0.55, "chromadb": 1.5}
    assert list(found)[:3] == ["tier_hit_rates", "average_latencies_ms", "cost_by_tier"]


def test_the_flow_of_queries_through_the_tiers() -> None:
    lost = [access(n, name, False) for n in range(2) for name in ("redis", "postgres", "chroma")]
    found = views([*looked_up(45, "redis"), *looked_up(40, "postgres"), *looked_up(15, "chroma"), *lost]).tier_stats()
    assert [tuple(step.values()) for step in found["flow"]] == [
        ("query", "redis", 102),
        ("redis", "answered", 45),
        ("redis", "postgresql", 57),
        ("postgresql", "answered", 40),
        ("postgresql", "chromadb", 17),
        ("chromadb", "answered", 15),
        ("chromadb", "nothing", 2),
    ]


def test_a_tier_that_nobody_has_is_passed_over() -> None:
    found = views([access(1, "redis", False), access(2, "chroma", True)]).tier_stats()
    assert [tuple(step.values()) for step in found["flow"]] == [
        ("query", "redis", 1),
        ("redis", "chromadb", 1),
        ("chromadb", "answered", 1),
    ]


def whole(number: int, tier: str, items: int | None = 1, **latencies: float) -> Stored:
    """A look-up told by one event, in the seed's words."""
    data = {"tier_accessed": tier, "query": "q", "latency_by_tier": latencies, "items_retrieved": items}
    return stored(number, "memory.tier.access", NOW, **{key: value for key, value in data.items() if value is not None})


def test_one_event_may_tell_a_whole_look_up() -> None:
    one = [
        *(whole(n, "redis_immediate", redis=0.001) for n in range(45)),
        *(whole(n, "postgresql_structured", redis=0.001, postgresql=0.02) for n in range(40)),
        *(whole(n, "chromadb_semantic", redis=0.001, postgresql=0.02, chromadb=0.15) for n in range(15)),
        *(whole(n, "chromadb_semantic", 0, redis=0.001, postgresql=0.02, chromadb=0.15) for n in range(5)),
    ]
    latency = {"redis": 1.0, "postgresql": 20.0, "chromadb": 150.0}
    each = [*looked_up(45, "redis"), *looked_up(40, "postgres"), *looked_up(15, "chroma")]
    lost = [access(n, name, False) for n in range(5) for name in ("redis", "postgres", "chroma")]
    found, expected = views(one).tier_stats(), views([*each, *lost]).tier_stats()
    assert found["tier_hit_rates"] == {"redis": 0.45, "postgresql": 0.40, "chromadb": 0.15}
    assert found["average_latencies_ms"] == pytest.approx(latency)
    assert found["flow"] == expected["flow"]


def test_a_look_up_without_latencies_is_one_read_of_the_tier_that_answered() -> None:
    found = views([whole(1, "postgresql", None), whole(2, "disk")])
    assert {name: tier["reads"] for name, tier in found.tier_stats()["tiers"].items()} == {
        "redis": 0,
        "postgresql": 1,
        "chromadb": 0,
    }


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        *(("redis", "redis"), ("redis_immediate", "redis")),
        *((name, "postgresql") for name in ("postgres", "postgresql", "postgresql_structured")),
        *((name, "chromadb") for name in ("chroma", "chromadb", "chromadb_semantic")),
    ],
)
def test_a_tier_is_one_by_whichever_name(name: str, tier: str) -> None:
    assert views([access(1, name, True)]).tier_stats()["tiers"][tier]["hits"] == 1


def test_the_window_of_tier_stats_is_in_whole_hours() -> None:
    old = [access(1, "redis", True, NOW - 25 * HOUR), access(2, "redis", False)]
    found = views(old)
    assert found.tier_stats(24)["tiers"]["redis"]["reads"] == 1
    assert found.tier_stats(25)["tiers"]["redis"]["lookup_hit_rate"] == 0.5


def test_writes_are_no_lookups_and_given_costs_go_before_the_configured() -> None:
    config = PlatformConfig(memory_costs={"redis": 1.0})
    found = views([access(1, "redis", True, operation="write", cost_usd=0.25), access(2, "redis", True)], config)
    stats = found.tier_stats()
    assert (stats["tiers"]["redis"]["reads"], stats["tiers"]["redis"]["writes"]) == (1, 1)
    assert stats["cost_by_tier"]["redis"] == 1.25


def test_a_tier_whose_price_nobody_knows_has_none() -> None:
    found = views([access(1, "redis", True)]).tier_stats()
    assert found["cost_by_tier"] == {"redis": None, "postgresql": 0, "chromadb": 0}
    assert views().tier_stats()["tier_hit_rates"] == {"redis": None, "postgresql": None, "chromadb": None}


def test_a_real_trace_has_its_known_hit_rate() -> None:
    seen: set[int] = set()
    trace: list[Stored] = []
    for line in MOONCAKE.read_text().splitlines():
        for block in json.loads(line)["hash_ids"]:
            hit = block in seen
            trace.append(access(len(trace) + 1, "redis", hit))
            if not hit:
                trace.append(access(len(trace) + 1, "chroma", True))
            seen.add(block)
    found = views(trace).tier_stats()
    assert found["tiers"]["redis"]["reads"] == found["answered"] == 8490
    assert found["tiers"]["redis"]["lookup_hit_rate"] == found["tier_hit_rates"]["redis"] == 676 / 8490
    assert found["tiers"]["chromadb"]["hits"] == 7814


# knowledge


def test_knowledge_by_item_agent_tier_and_hour_of_day() -> None:
    used = [
        *events("knowledge.access", [{"item": "i", "agent": "a", "tier": "chroma"}] * 3, NOW + 9),
        *events("knowledge.access", [{"item": "i", "agent": "b", "tier": "redis"}], NOW - 5 * DAY + HOUR),
        *events("knowledge.access", [{"item": "j"}], NOW + 9),
    ]
    found = views(used, now=NOW + 10).knowledge()
    first, second = found["items"]
    assert (first["item"], first["count"], first["last_24h"], second["item"]) == ("i", 4, 3, "j")
    assert (first["agents"], first["tiers"]) == ({"a": 3, "b": 1}, {"chroma": 3, "redis": 1})
    assert {hour: n for hour, n in enumerate(found["by_hour_of_day"]) if n} == {8: 4, 9: 1}
    assert found["accesses"] == 5
    assert first["last_hours"] == [*[0] * 23, 3]


def test_gaps_are_questions_whatever_their_letters() -> None:
    asked = [
        {"query": q, "agent": "a", "collection": "runbooks"} for q in ("Rotate the key?", " rotate  THE key? ", "Why")
    ]
    found = views([*events("knowledge.miss", asked), *events("knowledge.access", [{"item": "i"}])]).gaps()
    assert (found["misses"], found["miss_ratio"]) == (3, 0.75)
    first = found["gaps"][0]
    assert (first["query"], first["count"], first["collections"]) == ("rotate the key?", 2, {"runbooks": 2})
    assert (len(first["last_hours"]), sum(first["last_hours"])) == (24, 2)


def test_hours_of_knowledge_older_than_a_day_are_forgotten() -> None:
    asked = [
        *events("knowledge.miss", [{"query": "why"}], NOW - 30 * HOUR),
        *events("knowledge.miss", [{"query": "why"}] * 2, NOW - 2 * HOUR),
    ]
    found = views(asked, now=NOW).gaps()["gaps"][0]
    assert (found["count"], sum(found["last_hours"]), sum(found["last_hours"][-4:])) == (3, 2, 2)


# collaboration


def test_hand_offs_by_pair_with_frequency_and_outcome() -> None:
    handed = [
        {"from": "a", "to": "b", "kind": "delegate", "outcome": "success"},
        {"from": "a", "to": "b", "kind": "ask", "outcome": "failure"},
        {"from": "a", "to": "b", "kind": "ask"},
        {"from": "b", "to": "a", "kind": "ask"},
    ]
    found = views(events("agent.handoff", handed)).collaboration()
    first = found["edges"][0]
    assert (first["from"], first["to"], first["count"], first["success_ratio"]) == ("a", "b", 3, 0.5)
    assert (first["kinds"], found["nodes"]) == ({"ask": 2, "delegate": 1}, ["a", "b"])


def test_names_that_run_together_are_different_pairs() -> None:
    handed = [{"from": "ab", "to": "c", "kind": "k"}, {"from": "a", "to": "bc", "kind": "k"}]
    assert len(views(events("agent.handoff", handed)).collaboration()["edges"]) == 2


# hypotheses


def test_hypotheses_and_how_fast_agents_learn() -> None:
    course = [
        stored(1, "hypothesis.formed", NOW - 100, hypothesis="h1", agent="a", domain="sleep"),
        stored(2, "hypothesis.validated", NOW - 40, hypothesis="h1", agent="a", domain="sleep"),
        stored(3, "hypothesis.formed", NOW - 50, hypothesis="h2", agent="a", domain="sleep"),
        stored(4, "hypothesis.refuted", NOW - 30, hypothesis="h2", agent="a"),
        stored(5, "hypothesis.formed", NOW, hypothesis="h3", agent="b"),
    ]
    found = views(course).hypotheses()
    assert (found["formed"], found["validated"], found["refuted"], found["open"]) == (3, 1, 1, 1)
    assert found["validated_ratio"] == 0.5
    assert found["learning_velocity_per_day"] == pytest.approx(1 / (6 + 8 / 24))
    assert found["seconds_to_decision"]["p95"] == pytest.approx(60, rel=0.01)
    assert found["by_domain"] == [
        {"domain": "sleep", "formed": 2, "validated": 1, "refuted": 0, "validated_ratio": 1.0}
    ]


# business


def test_business_metrics_by_their_dimensions() -> None:
    data = [
        {"name": "tickets", "value": v, "unit": "n", "dimensions": {"team": t}}
        for v, t in ((1, "x"), (2, "x"), (5, "y"))
    ]
    (figure,) = views(events("business.metric", data)).business()["figures"]
    x = figure["values"][0]
    assert (figure["name"], figure["unit"], figure["count"]) == ("tickets", "n", 3)
    assert (x["dimensions"], x["sum"], x["mean"], x["min"], x["max"], x["last"]) == ({"team": "x"}, 3, 1.5, 1, 2, 2)


def test_any_number_by_declared_dimensions() -> None:
    config = PlatformConfig(
        prices=PRICES,
        business=[
            BusinessConfig(name="revenue", types=["order.*"], field="data.amount", by=["data.region"], unit="EUR")
        ],
    )
    orders = events(
        "order.paid", [{"amount": 0.1, "region": "eu"}] * 3 + [{"amount": "x", "region": "eu"}, {"amount": True}]
    )
    (figure,) = views(orders, config).business()["figures"]
    assert (figure["name"], figure["unit"], figure["values"][0]["sum"]) == ("revenue", "EUR", 0.3)
    assert figure["count"] == 3
