"""Recommendations carry their numbers, and where the evidence is thin there is none."""

from __future__ import annotations

from typing import Any

import pytest

from hxp_enterprise_llm.config.platform import PlatformConfig
from hxp_enterprise_llm.event.log.model import Stored

from ..events import NOW, stored
from .support import DAY, PRICES, requests, views


def of_kind(kind: str, events: list[Stored], config: PlatformConfig | None = None) -> list[dict[str, Any]]:
    found = views(events, config or PlatformConfig(prices=PRICES)).recommendations()["recommendations"]
    assert all(each["text"] for each in found)
    return [each for each in found if each["kind"] == kind]


def searched(item: str, count: int, at: float = NOW) -> list[Stored]:
    """Searches in ChromaDB of 150 ms each that found an item, as both rooms tell of them."""
    return [
        each
        for n in range(count)
        for each in (
            stored(n, "knowledge.access", at, item=item, tier="chroma", latency_ms=150),
            stored(n, "memory.tier.access", at, tier="chroma", hit=True, latency_ms=150),
        )
    ]


def test_items_to_cache_with_what_it_saves() -> None:
    often = [each for n in range(5) for each in searched(f"often-{n}", 20)]
    seldom = [each for n in range(64) for each in searched(f"seldom-{n}", 1)]
    config = PlatformConfig(prices=PRICES, memory_costs={"chromadb": 0.02})
    (found,) = of_kind("cache_items", often + seldom, config)
    assert found["items"] == [f"often-{n}" for n in range(5)]
    assert (found["reads"], found["of_reads"], found["share"]) == (100, 164, 100 / 164)
    assert found["saves_seconds_per_day"] == pytest.approx(95 * 0.15)
    assert found["saves_usd_per_day"] == pytest.approx(95 * 0.02)
    assert found["text"] == "5 items are 61 % of ChromaDB reads: cache them in Redis; saves 14.2 s and $1.90 a day"


def test_no_items_to_cache_without_evidence() -> None:
    assert not of_kind("cache_items", searched("few", 49)), "too few"
    assert not of_kind("cache_items", [e for n in range(400) for e in searched(f"i-{n}", 2)]), "spread"
    assert not of_kind("cache_items", searched("yesterday", 400, NOW - 2 * DAY)), "long ago"
    (found,) = of_kind("cache_items", searched("a", 60))
    assert found["saves_usd_per_day"] is None, "nobody knows what a search costs"
    assert "$" not in found["text"]


def untimed(count: int) -> list[Stored]:
    return [stored(n, "knowledge.access", item="a", tier="chroma") for n in range(count)]


def test_searches_that_do_not_say_how_long_they_took_are_as_long_as_the_reads_of_the_tier() -> None:
    reads = [stored(n, "memory.tier.access", tier="chroma", hit=True, latency_ms=150) for n in range(10)]
    (found,) = of_kind("cache_items", untimed(60) + reads)
    assert found["saves_seconds_per_day"] == pytest.approx(59 * 0.15)
    assert found["text"].endswith("cache them in Redis; saves 8.8 s a day")


def test_what_nobody_knows_is_not_said_to_be_nothing() -> None:
    (found,) = of_kind("cache_items", untimed(60))
    assert (found["saves_seconds_per_day"], found["saves_usd_per_day"]) == (None, None)
    assert found["text"] == "1 items are 100 % of ChromaDB reads: cache them in Redis"


def handed(source: str, target: str, count: int) -> list[Stored]:
    return [stored(n, "agent.handoff", **{"from": source, "to": target, "kind": "ask"}) for n in range(count)]


def test_agents_that_work_together() -> None:
    both_ways = handed("neuroscientist", "sleep", 30) + handed("sleep", "neuroscientist", 10)
    others = handed("neuroscientist", "x", 10) + handed("sleep", "y", 19) + handed("sleep", "z", 19)
    (found,) = of_kind("work_together", both_ways + others)
    assert (found["agents"], found["handoffs"], found["of_handoffs"]) == (["neuroscientist", "sleep"], 40, 50)
    assert found["text"] == "neuroscientist and sleep work together in 80 % of neuroscientist's 50 hand-offs"


def test_one_that_works_with_nobody_else_does_not_hide_who_works_with_it() -> None:
    events = handed("editor", "researcher", 40) + handed("editor", "x", 5) + handed("editor", "y", 5)
    (found,) = of_kind("work_together", events)
    assert found["text"] == "editor and researcher work together in 80 % of editor's 50 hand-offs"


def test_agents_that_know_nobody_else_say_nothing() -> None:
    assert not of_kind("work_together", handed("a", "b", 500))
    assert not of_kind("work_together", handed("a", "b", 10) + handed("a", "c", 1) + handed("b", "c", 1))
    assert not of_kind("work_together", handed("a", "a", 500))


def test_an_expensive_model_for_short_answers() -> None:
    dear = requests(50, model="dear", input_tokens=100, output_tokens=10)
    (found,) = of_kind("cheaper_model", dear + requests(10))
    assert (found["model"], found["cheaper"], found["requests"]) == ("dear", "m", 50)
    assert found["price_ratio"] == pytest.approx(100)
    assert found["saves_usd"] == pytest.approx(50 * 0.012 * 0.99)


def test_no_cheaper_model_without_evidence() -> None:
    dear = requests(50, model="dear", input_tokens=100, output_tokens=10)
    assert not of_kind("cheaper_model", dear), "nothing to compare with"
    assert not of_kind("cheaper_model", dear[:49] + requests(10)), "too few"
    assert not of_kind("cheaper_model", dear + requests(10, model="own")), "of unknown price"
    long = requests(50, model="dear", output_tokens=500)
    assert not of_kind("cheaper_model", long + requests(10)), "long answers"


def test_repeated_queries() -> None:
    (found,) = of_kind("repeated_query", requests(20, query="what is REM sleep?") + requests(19, query="other"))
    assert (found["query"], found["requests"], found["tokens"]) == ("what is REM sleep?", 20, 2200)
    assert found["saves_usd"] == pytest.approx(19 * 120_000 / 1e9)
    assert not of_kind("repeated_query", requests(20, NOW - 3 * DAY, query="long ago"))


def test_gaps_that_are_asked_often() -> None:
    misses = [stored(n, "knowledge.miss", query="how?" if n < 6 else f"q{n}") for n in range(10)]
    (found,) = of_kind("knowledge_gap", misses)
    assert (found["query"], found["count"], found["share"]) == ("how?", 6, 0.6)
    assert not of_kind("knowledge_gap", misses[2:6])


def test_of_nothing_there_is_nothing_to_say() -> None:
    assert views().recommendations() == {"recommendations": []}
