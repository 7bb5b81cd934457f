"""When a tick is due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.processing.ticks import TickSchedule

from .events import NOW


def test_ticks_stand_at_whole_multiples() -> None:
    schedule = TickSchedule(1.0)
    assert [schedule.next(NOW + now) for now in (0.3, 1.0, 2.01)] == [NOW + 1, NOW + 2, NOW + 3]


def test_a_timer_that_fires_early_gives_no_tick_twice() -> None:
    schedule = TickSchedule(1.0)
    assert schedule.next(NOW + 0.3) == NOW + 1
    assert schedule.due(NOW + 0.9999) == NOW + 1
    assert schedule.next(NOW + 0.9999) == NOW + 2


def test_missed_ticks_are_left_out() -> None:
    schedule = TickSchedule(1.0)
    schedule.next(NOW)
    assert schedule.due(NOW + 7.2) == NOW + 7
    assert schedule.next(NOW + 7.2) == NOW + 8


def test_a_clock_set_back_is_followed() -> None:
    schedule = TickSchedule(5.0)
    schedule.next(NOW)
    assert schedule.next(NOW - 3600) == NOW - 3595
    assert schedule.due(NOW - 3595) == NOW - 3595


@given(st.lists(st.floats(0, 3), max_size=30), st.sampled_from([0.25, 1.0, 5.0]))
def test_while_the_clock_goes_forward_each_tick_is_later_than_the_last(delays: list[float], tick: float) -> None:
    schedule, now, last = TickSchedule(tick), NOW, 0.0
    for late in delays:
        # A tick is awaited; the timer fires a little early or some seconds late.
        now = max(now, last - tick / 100) + late
        last = max(last, schedule.due(now)) if last else last
        at = schedule.next(now)
        assert at > last
        assert at % tick == 0
        assert now < at <= now + 1.01 * tick
        last = at


def test_a_clock_that_is_set_back_while_a_tick_is_awaited() -> None:
    schedule = TickSchedule(1.0)
    assert schedule.next(NOW) == NOW + 1
    assert schedule.due(NOW - 3599) == NOW - 3599
    assert schedule.next(NOW - 3599) == NOW - 3598
