"""When a source is asked next, by a clock that a test moves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.sources.pollers.breaker import LONGEST_PAUSE, Breaker


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def new_id(self) -> str:
        raise AssertionError("no ids are needed")


@pytest.fixture
def time() -> Time:
    return Time()


def breaker(time: Time, interval: float = 10.0, failures: int = 3) -> Breaker:
    return Breaker(interval, failures, clock=time, jitter=lambda: 1.0)


def ask(breaker: Breaker, time: Time, well: bool) -> bool:
    """The source is asked when it is due."""
    time.now = max(time.now, breaker.due)
    return breaker.succeeded() if well else breaker.failed("no")


def test_a_source_that_is_well_is_asked_at_its_interval(time: Time) -> None:
    it = breaker(time)
    assert it.due == 100.0
    times = []
    for _ in range(3):
        ask(it, time, True)
        times.append(it.due)
    assert times == [110.0, 120.0, 130.0]
    assert [change.state for change in it.history] == ["starting", "ok"]


def test_questions_that_a_slow_answer_made_us_miss_are_left_out(time: Time) -> None:
    it = breaker(time)
    time.now = 145.0
    it.succeeded()
    assert it.due == 145.0
    it.succeeded()
    assert it.due == 155.0


def test_pauses_double_up_to_three_seconds_and_it_counts_as_away_once(time: Time) -> None:
    it = breaker(time)
    ask(it, time, True)
    away, pauses = [], []
    for _ in range(7):
        away.append(ask(it, time, False))
        pauses.append(it.due - time.now)
    assert pauses == [0.25, 0.5, 1.0, 2.0, 3.0, 3.0, 3.0]
    assert away == [False, False, True, False, False, False, False]
    assert it.state == "away"
    assert ask(it, time, True)
    assert [change.state for change in it.history] == ["starting", "ok", "failing", "away", "ok"]
    assert it.due == time.now + 10.0
    ask(it, time, False)
    assert it.due == time.now + 0.25


def test_a_retry_is_due_at_once(time: Time) -> None:
    it = breaker(time)
    ask(it, time, True)
    it.hurry()
    assert it.due == time.now
    assert it.state == "ok"


def test_the_newest_reason_stands(time: Time) -> None:
    it = breaker(time, failures=1)
    it.failed("refused")
    it.failed("timed out")
    assert it.reason == "timed out"
    assert [change.reason for change in it.history] == ["", "timed out"]


@given(st.lists(st.booleans(), max_size=80), st.floats(0.1, 60), st.integers(1, 5))
def test_recovery_is_noticed_within_the_longest_pause(outcomes: list[bool], interval: float, failures: int) -> None:
    time = Time()
    it = breaker(time, interval, failures)
    for well in outcomes:
        ask(it, time, well)
        assert it.due >= time.now
        assert it.due - time.now <= (interval if well else LONGEST_PAUSE) + 1e-6
        assert len(it.history) <= 20
        assert (it.state == "ok") is well


def test_one_that_is_switched_off_is_not_asked_until_it_is_switched_on(time: Time) -> None:
    it = breaker(time)
    ask(it, time, well=True)
    it.apply(it.settings._replace(live=False), "switched off")
    assert (it.state, it.reason, it.due) == ("off", "switched off", math.inf)
    it.hurry()
    assert (it.state, it.due) == ("off", math.inf)
    time.now += 60
    it.apply(it.settings._replace(live=True), "")
    assert (it.state, it.due) == ("starting", time.now)


def test_tries_that_are_used_up_end_it_and_a_try_by_hand_begins_anew(time: Time) -> None:
    it = breaker(time)
    it.apply(it.settings._replace(tries=4), "")
    assert [ask(it, time, well=False) for _ in range(4)] == [False, False, True, True]
    assert (it.state, it.reason, it.due) == ("off", "given up after 4 tries: no", math.inf)
    it.hurry()
    assert (it.state, it.due) == ("starting", time.now)
    assert [ask(it, time, well=False) for _ in range(4)] == [False, False, True, True]


def test_pauses_are_those_that_are_set_and_hold_at_once(time: Time) -> None:
    it = breaker(time)
    it.apply(it.settings._replace(first_pause=2.0, longest_pause=5.0, failures=1), "")
    pauses = []
    for _ in range(4):
        assert ask(it, time, well=False) == (not pauses)
        pauses.append(it.due - time.now)
    assert pauses == [2.0, 4.0, 5.0, 5.0]
    it.apply(it.settings._replace(longest_pause=2.0), "")
    assert it.due - time.now == 2.0
