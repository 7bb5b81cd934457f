"""Slots and their merger against a plain model: a list of everything that came."""

from __future__ import annotations

from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hxp_enterprise_llm.event.processing.aggregates import Numbers
from hxp_enterprise_llm.event.processing.windows import SlotSeries, Timeline


def figures(numbers: Numbers | None) -> tuple[float, ...]:
    return (numbers.n, numbers.total, numbers.minimum, numbers.maximum, numbers.last) if numbers else ()


class SlotsAndModel(RuleBasedStateMachine):
    """Adds to any slot of the horizon, asks for any stretch, moves on by small and large steps."""

    HORIZON = 40

    def __init__(self) -> None:
        super().__init__()
        self.series = SlotSeries(Numbers)
        self.now = 1000
        self.came: list[tuple[int, int]] = []

    @rule(back=st.integers(0, HORIZON), value=st.integers(-9, 9))
    def add(self, back: int, value: int) -> None:
        self.series.at(self.now - back).update([value])
        self.came.append((self.now - back, value))

    @rule(steps=st.sampled_from([1, 1, 2, 7, 41]))
    def move(self, steps: int) -> None:
        self.now += steps
        self.series.drop_before(self.now - self.HORIZON)
        self.came = [(slot, value) for slot, value in self.came if slot >= self.now - self.HORIZON]

    @rule(first=st.integers(0, HORIZON), length=st.integers(0, HORIZON))
    def ask(self, first: int, length: int) -> None:
        self.check(self.now - first, min(self.now, self.now - first + length))

    @invariant()
    def whole_horizon(self) -> None:
        self.check(self.now - self.HORIZON, self.now)

    def check(self, first: int, last: int) -> None:
        inside = sorted((c for c in self.came if first <= c[0] <= last), key=lambda c: c[0])
        values = [value for _, value in inside]
        expected = (len(values), sum(values), min(values), max(values), values[-1]) if values else ()
        assert figures(self.series.merged(first, last)) == expected


SlotsAndModel.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_slots_answer_as_the_model = SlotsAndModel.TestCase


@given(st.integers(0, 3), st.integers(0, 300))
def test_a_stretch_may_begin_at_slot_zero(first: int, length: int) -> None:
    series = SlotSeries(Numbers)
    for slot in range(320):
        series.at(slot).update([1])
    merged = series.merged(first, first + length)
    assert merged is not None
    assert merged.n == length + 1


def test_asking_does_not_change_what_is_kept() -> None:
    series = SlotSeries(Numbers)
    series.at(7).update([1])
    series.at(8).update([2])
    assert [figures(series.merged(7, 8)) for _ in range(3)] == [(2, 3, 1, 2, 2)] * 3
    assert figures(series.merged(7, 7)) == (1, 1, 1, 1, 1)


def test_blocks_are_kept_between_questions() -> None:
    made = 0

    class Counted(Numbers):
        __slots__ = ()

        def absorb(self, later: Self, /) -> None:
            nonlocal made
            made += 1
            super().absorb(later)

    series = SlotSeries(Counted)
    for slot in range(256):
        series.at(slot).update([slot])
    series.merged(0, 255)
    first, made = made, 0
    series.at(255).update([1])
    series.merged(0, 255)
    assert first > 250
    assert made < 20


@pytest.mark.parametrize(
    ("windows", "per_second", "slots"),
    [
        ({"10s": 10, "5m": 300}, 1, {"10s": 10, "5m": 300}),
        ({"2s": 2, "1m": 60}, 5, {"2s": 10, "1m": 300}),
        ({"100ms": 0.1}, 20, {"100ms": 2}),
        ({"1ms": 0.001}, 20, {"1ms": 1}),
    ],
)
def test_small_windows_get_small_slots(windows: dict[str, float], per_second: int, slots: dict[str, int]) -> None:
    timeline = Timeline(windows)
    assert (timeline.per_second, timeline.slots) == (per_second, slots)


@given(st.floats(min_value=0, max_value=4e9))
def test_a_moment_lies_in_its_slot(moment: float) -> None:
    timeline = Timeline({"1s": 1})
    slot = timeline.slot(moment)
    assert timeline.start(slot) <= moment < timeline.start(slot + 1)
