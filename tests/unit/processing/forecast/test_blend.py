"""The forecast's cores: they learn, they say how sure they are, and they know what they do not know."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.processing.forecast.blend import COLD_HOURS, Blend
from hxp_enterprise_llm.event.processing.forecast.members import HoltWinters, Last, Profile, Seasonal, Smoothed
from hxp_enterprise_llm.event.processing.forecast.outlook import HOUR, exhaustion, outlook


def daily(hour: int, chance: random.Random | None = None) -> float:
    """A load with a day in it."""
    noise = chance.gauss(0, 50) if chance else 0.0
    return 1000 + 800 * math.sin(hour / 24 * 2 * math.pi) + noise


def taught(hours: int, chance: random.Random | None = None) -> Blend:
    blend = Blend()
    for hour in range(hours):
        blend.learn(daily(hour, chance))
    return blend


def test_nothing_is_known_of_nothing() -> None:
    blend = Blend()
    assert blend.forecast() is None
    assert blend.cold
    assert blend.ahead(3) == []
    assert blend.cover == (None, 0)


def test_a_cold_start_is_a_weighted_mean_without_a_band_at_first() -> None:
    blend = Blend()
    blend.learn(100)
    blend.learn(200)
    said = blend.forecast()
    assert said is not None
    assert said.value == pytest.approx(130)
    assert (said.lower, said.upper) == (None, None)
    for _ in range(20):
        blend.learn(150)
    assert blend.cold
    assert blend.forecast().upper is not None
    for _ in range(COLD_HOURS):
        blend.learn(150)
    assert not blend.cold


def test_a_day_is_learnt() -> None:
    blend = taught(10 * 24)
    ahead = blend.ahead(24)
    for number, each in enumerate(ahead):
        assert each.value == pytest.approx(daily(240 + number), rel=0.05, abs=20)


def test_the_band_holds_nine_hours_in_ten() -> None:
    chance = random.Random(5)
    blend = taught(168, chance)
    held = []
    for hour in range(168, 168 + 1500):
        said, value = blend.forecast(), daily(hour, chance)
        held.append(said.lower <= value <= said.upper)
        blend.learn(value)
    assert sum(held) / len(held) == pytest.approx(0.9, abs=0.02)
    measured, hours = blend.cover
    assert measured == pytest.approx(sum(held[-168:]) / 168)
    assert hours == 168


def test_an_hour_that_nobody_knows_is_no_error_and_keeps_step() -> None:
    blend = taught(10 * 24)
    for _ in range(7):
        blend.learn(None)
    assert blend.forecast().value == pytest.approx(daily(247), rel=0.05)
    assert blend.cover[1] == 168


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1e12)), max_size=300))
def test_whatever_comes_the_forecast_is_a_number_within_its_band(values: list[float | None]) -> None:
    blend = Blend()
    for value in values:
        blend.learn(value)
        said = blend.forecast()
        if said is not None:
            assert math.isfinite(said.value)
            assert said.value >= 0
            if said.upper is not None:
                assert 0 <= said.lower <= said.value <= said.upper


@pytest.mark.parametrize("member", [Last(), Seasonal(24), Smoothed(0.3), HoltWinters(), Profile()])
def test_each_member_learns_a_constant(member: Last) -> None:
    for _ in range(100):
        member.learn(42.0)
    assert member.forecast() == pytest.approx(42.0)


def test_holt_winters_and_the_profile_know_the_hour_of_the_day() -> None:
    for member in (HoltWinters(), Profile()):
        for hour in range(240):
            member.learn(daily(hour))
        assert member.forecast() == pytest.approx(daily(240), rel=0.15)


def test_the_part_of_the_hour_that_has_passed_is_certain() -> None:
    blend = taught(10 * 24)
    begun = outlook(blend, 0.0, 0.0, 1)
    half = outlook(blend, daily(240) / 2, 0.5, 1)
    done = outlook(blend, daily(240), 1.0, 1)
    assert begun.next_hour.value == pytest.approx(daily(240), rel=0.05)
    assert half.next_hour.value == pytest.approx((daily(240) + daily(241)) / 2, rel=0.05)
    assert done.next_hour.value == pytest.approx(daily(241), rel=0.05)
    assert done.this_hour == (daily(240), daily(240), daily(240))
    assert half.this_hour.lower >= daily(240) / 2


def test_an_hour_that_goes_faster_than_said_moves_the_forecast() -> None:
    blend = taught(10 * 24)
    usual, double = (outlook(blend, factor * daily(240) / 2, 0.5, 1) for factor in (1, 2))
    assert double.rest > 1.5 * usual.rest
    assert double.next_hour.value > usual.next_hour.value


def test_without_a_whole_hour_the_rate_goes_on() -> None:
    assert outlook(Blend(), 10.0, 0.001, 1).next_hour is None
    found = outlook(Blend(), 600.0, 0.5, 1)
    assert found.next_hour == (1200.0, None, None)


def test_time_to_a_budget() -> None:
    blend = Blend()
    for _ in range(200):
        blend.learn(1000.0)
    found = outlook(blend, 500.0, 0.5, 168)
    assert exhaustion(found, 0.5, 0).expected == 0
    assert exhaustion(found, 0.5, 500).expected == pytest.approx(HOUR / 2, rel=0.01)
    assert exhaustion(found, 0.5, 3000).expected == pytest.approx(3 * HOUR, rel=0.01)
    assert exhaustion(found, 0.5, 1e9).expected is None


def test_the_earliest_time_is_never_after_the_expected_one() -> None:
    blend = taught(240, random.Random(1))
    for tokens in (10, 1000, 5000, 50_000):
        found = exhaustion(outlook(blend, 400.0, 0.3, 168), 0.3, tokens)
        assert found.earliest <= found.expected
