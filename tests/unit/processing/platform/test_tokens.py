"""Tokens and money: whole numbers, nothing twice, what is not known is not 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hxp_enterprise_llm.config.platform import BudgetConfig, PlatformConfig
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.sources.traces import read_trace

from ..events import NOW, stored
from .support import CONFIG, DAY, HOUR, PRICES, platform, requests, views

AZURE = Path(__file__).parents[3] / "data" / "traces" / "azure_conv_500.csv"


def by(answer: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    return next(each for each in answer["by"][kind] if each["name"] == name)


def test_a_real_trace_is_counted_to_the_token() -> None:
    trace = [
        stored(n, "llm.request.completed", NOW + each.at_s, model="m", input_tokens=each.input_tokens,
               output_tokens=each.output_tokens)
        for n, each in enumerate(read_trace(AZURE), 1)
    ]  # fmt: skip
    total = views(trace).tokens()["total"]
    assert (total["requests"], total["input_tokens"], total["output_tokens"]) == (500, 467_684, 132_536)
    assert total["cost_nano_usd"] == 467_684 * 1000 + 132_536 * 2000


def test_a_request_counts_for_each_that_it_names() -> None:
    answer = views(requests(3, agent="a", user="u", tool="t", query="q", cached_input_tokens=40)).tokens()
    for kind, name in (("agents", "a"), ("models", "m"), ("tools", "t"), ("users", "u"), ("queries", "q")):
        found = by(answer, kind, name)
        assert (found["requests"], found["tokens"]) == (3, 330), kind
        assert found["cost_nano_usd"] == 3 * (60 * 1000 + 40 * 100 + 10 * 2000), kind
    assert answer["total"]["cached_input_tokens"] == 120


def test_input_includes_what_was_cached_and_output_the_reasoning() -> None:
    total = views(requests(1, cached_input_tokens=90, reasoning_tokens=9)).tokens()["total"]
    assert (total["tokens"], total["cached_input_tokens"], total["reasoning_tokens"]) == (110, 90, 9)


def test_an_unknown_model_costs_nobody_knows_what_and_is_counted() -> None:
    answer = views(requests(2, model="own")).costs()
    assert answer["total_usd"] is None
    assert answer["today_usd"] is None
    assert answer["projected"] == {"hour": None, "day": None, "month": None}
    assert answer["unpriced"]["models"] == [{"model": "own", "requests": 2, "tokens": 220}]
    assert views(requests(2, model="own")).extras()["cost_usd_today"] is None


def test_known_and_unknown_together_are_what_is_known() -> None:
    answer = views([*requests(1), *requests(1, model="own")]).costs()
    assert answer["total_usd"] == 0.00012
    assert answer["unpriced"]["requests_today"] == 1


def test_what_an_event_says_goes_before_the_price_table() -> None:
    assert views(requests(1, cost_usd=0.5)).costs()["total_usd"] == 0.5
    assert views(requests(1, cost_usd=0, model="own")).costs()["total_usd"] == 0


def test_nothing_at_all_costs_nothing() -> None:
    assert views().costs()["total_usd"] == 0


def test_a_total_without_its_parts_counts_and_has_no_price() -> None:
    only_total = [stored(1, "llm.request.completed", model="m", total_tokens=500)]
    answer = views(only_total).tokens()["total"]
    assert (answer["tokens"], answer["unsplit_tokens"], answer["cost_usd"]) == (500, 500, None)


def test_a_total_beside_its_parts_is_not_added() -> None:
    assert views(requests(1, total_tokens=110)).tokens()["total"]["tokens"] == 110


def test_recorded_costs_of_requests_are_not_added_to_those_of_the_requests() -> None:
    recorded = [
        stored(11, "cost.recorded", amount_usd=7.0, category="inference", model="m"),
        stored(12, "cost.recorded", amount_usd=5.0, model="m"),
        stored(13, "cost.recorded", amount_usd=3.0, category="storage"),
    ]
    both = [*requests(1), *recorded]
    assert views(both).costs()["total_usd"] == pytest.approx(3.00012, abs=1e-12)
    taken = PlatformConfig(prices=PRICES, inference_costs="recorded")
    assert views(both, taken).costs()["total_usd"] == 15.0


def test_tool_calls_and_their_costs() -> None:
    calls = [
        stored(1, "tool.call.completed", tool="search", agent="a", cost_usd=0.01),
        stored(2, "tool.call.completed", tool="search", agent="a", success=False),
        stored(3, "tool.call.failed", tool="search", error="timeout", agent="a"),
    ]
    answer = views(calls).tokens()
    assert (answer["total"]["tool_calls"], answer["total"]["failed_tool_calls"]) == (3, 2)
    assert by(answer, "tools", "search")["cost_usd"] == by(answer, "agents", "a")["cost_usd"] == 0.01


def test_days_and_hours_are_those_of_the_events() -> None:
    found = views([*requests(1, NOW - DAY), *requests(2, NOW)]).tokens()
    assert [(day["day"], day["requests"]) for day in found["by_day"]] == [("2027-01-14", 1), ("2027-01-15", 2)]
    assert [(hour["hour"], hour["requests"]) for hour in found["by_hour"]] == [("2027-01-15T08:00:00Z", 2)]
    assert found["today"]["requests"] == found["last_hour"]["requests"] == 2


def test_old_days_leave_their_tokens_in_the_total() -> None:
    made = views([*requests(1, NOW - 100 * DAY), *requests(1, NOW)])
    assert made.tokens()["total"]["requests"] == 2
    assert [day["day"] for day in made.tokens()["by_day"]] == ["2027-01-15"]


def test_projections_say_what_they_rest_on() -> None:
    # 15 January, 8:00: within the last hour 1 USD, before today 2 USD on each of three days of the month.
    earlier = [each for day in (1, 2, 3) for each in requests(1, NOW - day * DAY, cost_usd=2.0)]
    found = views([*earlier, *requests(1, NOW - 60, cost_usd=1.0)]).costs()
    assert found["last_hour_usd"] == found["projected"]["hour"] == 1.0
    assert found["projected"]["day"] == pytest.approx(1 + 16 * 1.0)
    assert found["projected"]["month"] == pytest.approx(6 + 17 + 16 * 2.0)
    assert found["month_usd"] == 7.0


def test_the_last_hour_is_the_last_sixty_minutes() -> None:
    found = views([*requests(1, NOW - 59 * 60), *requests(1, NOW - 60 * 60 - 1)]).tokens()
    assert found["last_hour"]["requests"] == 1


def test_budgets_say_how_much_of_them_is_used() -> None:
    config = PlatformConfig(
        prices=PRICES,
        budgets=[
            BudgetConfig(name="all", usd=10.0),
            BudgetConfig(name="month", usd=100.0, period="month"),
            BudgetConfig(name="one", usd=4.0, agent="a"),
            BudgetConfig(name="quiet", usd=4.0, agent="nobody"),
        ],
    )
    spent = [*requests(1, agent="a", cost_usd=2.0), *requests(1, NOW - DAY, agent="a", cost_usd=3.0)]
    found = views(spent, config)
    assert {each["budget"]: each["used_ratio"] for each in found.costs()["budgets"]} == {
        "all": 0.2, "month": 0.05, "one": 0.5, "quiet": 0.0,
    }  # fmt: skip
    assert found.extras()["budget_used_ratio"] == 0.5
    assert [(each.labels, each.value) for each in found.extra_groups()["budget_used_ratio"]][2] == (
        {"budget": "one"},
        0.5,
    )
    assert views(spent).extras()["budget_used_ratio"] is None


def test_cost_of_an_agent_by_hour() -> None:
    found = views([*requests(1, NOW, agent="a", cost_usd=1.0), *requests(1, NOW - HOUR, agent="a", cost_usd=2.0)])
    assert found.costs()["agents_by_hour"] == {"a": {"2027-01-15T07:00:00Z": 2.0, "2027-01-15T08:00:00Z": 1.0}}


def test_what_cannot_be_read_is_left_out_and_counted() -> None:
    broken: list[Stored] = [
        stored(1, "llm.request.completed", model=7),
        stored(2, "llm.request.completed", model="m", input_tokens=-4),
        stored(3, "llm.request.completed", model="m", input_tokens=3.0, output_tokens=1),
        stored(4, "memory.tier.access", tier="tape", hit=True),
        Stored(stored(5, "x").offset, "agent.started", b"\xff{"),
    ]
    made = platform(broken)
    assert made.views(NOW).tokens()["total"]["input_tokens"] == 3
    assert (made.state.events, made.state.ignored) == (5, 4)


def test_an_event_without_a_time_is_of_the_newest_known() -> None:
    made = platform(requests(1, NOW))
    made.take([stored(9, "llm.request.completed", None, model="m", input_tokens=1)])
    assert made.views(NOW).tokens()["last_hour"]["requests"] == 2


def test_the_newest_known_may_be_of_another_type_and_come_later() -> None:
    untimed = stored(1, "llm.request.completed", None, model="m", input_tokens=1)
    made = platform([untimed, stored(2, "memory.tier.access", NOW, tier="redis", hit=True)])
    assert made.views(NOW).tokens()["last_hour"]["requests"] == 1


def test_prices_of_a_reload_hold_for_what_comes_after_it() -> None:
    made = platform(requests(1))
    made.configure(PlatformConfig(prices=[PRICES[0].__class__(model="m", input_usd=10.0)]))
    made.take(requests(1))
    assert made.views(NOW).tokens()["total"]["cost_nano_usd"] == 120_000 + 1_000_000
    assert CONFIG.prices == PRICES
