"""Prices: against the answers of genai-prices itself, and what the operator says before them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.config.platform import PriceConfig
from hxp_enterprise_llm.event.processing.prices.matching import matches
from hxp_enterprise_llm.event.processing.prices.rates import ModelPrices, make_rate, read_periods
from hxp_enterprise_llm.event.processing.prices.table import PriceTable, shipped

NOW = 1_800_000_000.0
SHIPPED = shipped()
TABLE = PriceTable(snapshot=SHIPPED)
CASES = json.loads((Path(__file__).parents[3] / "data" / "prices" / "oracle.json").read_text())["cases"]


def prices(model: str, provider: str | None = None, table: PriceTable = TABLE) -> ModelPrices:
    found = table.found[provider, model]
    assert found is not None
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['provider']}/{case['model']}")
def test_the_price_is_that_of_genai_prices_to_the_nano_dollar(case: dict[str, object]) -> None:
    rate = prices(str(case["model"]), str(case["provider"])).at(float(str(case["at"])))
    counts = [int(str(case[name])) for name in ("input", "output", "cached", "written", "reasoning")]
    assert abs(rate.cost(*counts) - Decimal(str(case["usd"])) * 10**9) <= 1


def test_cached_tokens_cost_what_cached_tokens_cost() -> None:
    # 900 at 2.50, 100 cached at 1.25, 100 out at 10 USD a million.
    assert prices("gpt-4o").at(NOW).cost(1000, 100, cached=100) == 2_250_000 + 125_000 + 1_000_000


COUNT, PRICE = st.integers(0, 2**53), st.integers(0, 10**15) | st.integers(0, 10**6).map(lambda price: price * 10**6)


@given(st.tuples(*[PRICE] * 5), st.tuples(*[COUNT] * 5), st.integers(0, 10**9))
def test_prices_in_lowest_terms_are_the_same_prices(
    five: tuple[int, ...], tokens: tuple[int, ...], request: int
) -> None:
    rate = make_rate(*(((-1, price),) for price in five), request)
    input, output, cached, written, reasoning = tokens
    counts = max(0, input - cached - written), max(0, output - reasoning), cached, written, reasoning
    kinds = rate.of_size(input)
    total = sum(price * count for price, count in zip(kinds, counts, strict=True))
    assert rate.cost(*tokens) == (2 * total + 10**6) // (2 * 10**6) + request


def test_a_tier_holds_for_all_tokens_of_a_large_request() -> None:
    tiered = read_periods([{"in": [[-1, 1_000_000_000], [200_000, 2_000_000_000]], "out": 0}]).at(NOW)
    assert tiered.cost(200_000, 0) == 200_000_000
    assert tiered.cost(200_001, 0) == 400_002_000


def test_prices_by_day_and_by_hour_of_day() -> None:
    dated = read_periods([{"in": 1}, {"from": "2026-01-01", "in": 2}, {"between": ["16:30:00", "00:30:00"], "in": 3}])
    days = {"2025-12-31T12:00": 1, "2026-01-01T00:30": 2, "2026-01-01T16:29": 2, "2026-01-01T16:30": 3}
    from datetime import datetime

    for text, price in days.items():
        at = datetime.fromisoformat(text + "+00:00").timestamp()
        assert dated.at(at).input == ((-1, price),), text


@pytest.mark.parametrize("name", ["openai/gpt-4o", "gpt-4o", "GPT-4o", " gpt-4o "])
def test_names_are_read_as_people_write_them(name: str) -> None:
    assert prices(name) == prices("gpt-4o", "openai")


def test_a_name_with_another_providers_prefix_under_a_proxy() -> None:
    assert prices("openai/gpt-4o", "our-proxy") == prices("gpt-4o", "openai")


def test_the_date_may_have_dashes_or_none() -> None:
    assert prices("gpt-4o-20240513", "openai") == prices("gpt-4o-2024-05-13", "openai")


@pytest.mark.parametrize("key", [(None, "own-finetune-7b"), ("ollama", "gpt-4o"), ("openai", "own"), (None, "")])
def test_who_is_not_known_has_no_price(key: tuple[str | None, str]) -> None:
    assert TABLE.found[key] is None


def test_a_model_that_is_listed_without_prices_takes_no_others() -> None:
    listed = {"id": "p", "models": [{"id": "a", "match": {"equals": "a"}, "prices": []}]}
    other = {"id": "a", "match": {"starts_with": "a"}, "prices": [{"in": 1, "out": 1}]}
    listed["models"].append(other)  # type: ignore[attr-defined]
    table = PriceTable(snapshot=type(SHIPPED)(SHIPPED.provenance, [listed]))
    assert table.found["p", "a"] is None
    assert table.found["p", "ab"] is not None


def test_the_operators_prices_go_before_the_shipped() -> None:
    own = [
        PriceConfig(model="gpt-4o", provider="azure", input_usd=9.0, output_usd=9.0),
        PriceConfig(model="own-*", input_usd=0.2, output_usd=0.4, cache_read_usd=0.05, request_usd=0.001),
    ]
    table = PriceTable(own, SHIPPED)
    assert prices("gpt-4o", "azure", table).at(NOW).cost(1_000_000, 0) == 9_000_000_000
    assert prices("gpt-4o", "openai", table) == prices("gpt-4o", "openai")
    assert prices("own-finetune-7b", None, table).at(NOW).cost(1_000_000, 0) == 200_000_000 + 1_000_000
    assert prices("own-x", "any", table).at(NOW).cost(1_000_000, 0, cached=1_000_000) == 50_000_000 + 1_000_000


def test_more_cached_than_asked_is_never_negative() -> None:
    assert prices("gpt-4o").at(NOW).cost(10, 0, cached=100) == 100 * 1250


def test_an_unknown_clause_is_said() -> None:
    with pytest.raises(ValueError, match="'sounds_like' is no clause"):
        matches({"sounds_like": "gpt"}, "gpt")


def test_where_the_prices_come_from_is_told() -> None:
    told = SHIPPED.provenance
    assert told.package == "genai-prices"
    assert told.licence.startswith("MIT")
    assert told.version
    assert told.fetched
