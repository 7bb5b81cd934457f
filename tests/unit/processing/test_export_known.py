"""Tables of the platform's state, over a real server."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hxp_enterprise_llm.event.processing.export import known
from hxp_enterprise_llm.event.processing.export.api import PATH
from hxp_enterprise_llm.event.processing.platform.engine import PlatformEngine

from .events import NOW, stored
from .platform.support import DAY, platform, requests
from .test_export import asked, rows_of, serving
from .virtual import VirtualClock

EVENTS = [
    *requests(3, NOW - DAY, agent="planner"),
    *requests(2, agent="planner"),
    *requests(1, agent="critic", model="nobody knows"),
    stored(10, "memory.tier.access", NOW - 3601, tier="redis", hit=True, latency_ms=2),
    stored(11, "memory.tier.access", NOW - 1, tier="redis", hit=False, latency_ms=4),
    stored(12, "memory.tier.access", NOW - 1, tier="chroma", hit=True, latency_ms=100, cost_usd=0.5),
    stored(13, "knowledge.access", NOW, item="=sleep", agent="planner", tier="chroma"),
    stored(14, "knowledge.miss", NOW, query="Why?", agent="critic"),
]


def engine(ready: bool = True) -> PlatformEngine:
    made = platform(EVENTS)
    return cast("PlatformEngine", SimpleNamespace(ready=ready, views=lambda: made.views(NOW)))


async def rows(tmp_path: Path, what: str, **query: Any) -> list[dict[str, Any]]:
    clock = VirtualClock()
    async with serving(known.tables(engine()), clock) as client:
        return [json.loads(line) for line in (await asked(client, what, "ndjson", **query)).splitlines()]


async def test_costs_by_day_add_up_in_each_kind(tmp_path: Path) -> None:
    found = await rows(tmp_path, "costs", **{"from": "-3d"})
    days: dict[str, dict[str, int]] = {}
    for row in found:
        days.setdefault(row["day"], {}).setdefault(row["kind"], 0)
        days[row["day"]][row["kind"]] += row["requests"]
    assert [each["total"] for each in days.values()] == [3, 3]
    assert all(each["total"] == each["agents"] == each["models"] for each in days.values())
    of = {(row["day"], row["name"]): row for row in found if row["kind"] in ("agents", "models")}
    today = max(days)
    assert of[today, "planner"]["cost_nano_usd"] == 2 * (100 * 1000 + 10 * 2000)
    assert of[today, "planner"]["cost_usd"] == 0.00024
    assert (of[today, "nobody knows"]["cost_usd"], of[today, "nobody knows"]["unpriced_requests"]) == (None, 1)


async def test_costs_of_the_days_that_are_asked_for(tmp_path: Path) -> None:
    found = await rows(tmp_path, "costs", **{"from": "-1m"})
    assert {row["day"] for row in found} == {"2027-01-15"}


async def test_tiers_by_hour(tmp_path: Path) -> None:
    found = await rows(tmp_path, "tier_hours")
    assert [(row["tier"], row["reads"], row["hits"], row["mean_ms"], row["cost_usd"]) for row in found] == [
        ("redis", 1, 1, 2.0, None),
        ("redis", 1, 0, 4.0, None),
        ("chromadb", 1, 1, 100.0, 0.5),
    ]
    assert found[2]["p95_ms"] == pytest.approx(100, rel=0.01)


async def test_knowledge_and_its_gaps(tmp_path: Path) -> None:
    (item,), (gap,) = await rows(tmp_path, "knowledge_items"), await rows(tmp_path, "knowledge_gaps")
    assert (item["item"], item["count"], item["agents"]) == ("=sleep", 1, '{"planner":1}')
    assert sum(item[f"hour_{hour:02}"] for hour in range(24)) == 1
    assert (gap["query"], gap["count"], gap["agents"]) == ("why?", 1, '{"critic":1}')


async def test_a_spreadsheet_takes_none_of_it_for_a_formula(tmp_path: Path) -> None:
    async with serving(known.tables(engine()), VirtualClock()) as client:
        (row,) = rows_of("csv", await asked(client, "knowledge_items", "csv"))
    assert row["item"] == "'=sleep"


async def test_until_the_state_is_whole_there_is_no_half_of_it(tmp_path: Path) -> None:
    async with serving(known.tables(engine(ready=False)), VirtualClock()) as client:
        answer = await client.get(PATH, params={"what": "costs"})
        assert (answer.status, (await answer.json())["error"]["code"]) == (503, "export_unavailable")
