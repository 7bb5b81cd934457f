"""Sketch: quantiles within 1 % of the exact ones, whatever the values and however they were merged."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, inf, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.processing.sketch import ACCURACY, LARGEST, SMALLEST, Sketch

SIZES = st.floats(min_value=1e-8, max_value=1e14)
VALUES = st.one_of(SIZES, SIZES.map(lambda size: -size), st.just(0.0), st.integers(-100_000, 100_000))
QUANTILES = st.floats(min_value=0, max_value=1)


def sketch_of(values: list[float]) -> Sketch:
    sketch = Sketch()
    if values:
        sketch.update(values)
    return sketch


def exact(values: list[float], q: float) -> float:
    """The nearest rank, in exact arithmetic."""
    rank = ceil(Fraction(str(q)) * len(values))
    return sorted(values)[max(rank, 1) - 1]


@given(st.lists(VALUES, min_size=1, max_size=300), QUANTILES)
def test_is_within_one_percent_of_the_exact_quantile(values: list[float], q: float) -> None:
    found = sketch_of(values).quantile(q)
    assert found is not None
    assert isclose(found, exact(values, q), rel_tol=ACCURACY * (1 + 1e-9))


@given(st.lists(VALUES, max_size=100), st.lists(VALUES, max_size=100))
def test_merging_gives_the_sketch_of_all_values(some: list[float], others: list[float]) -> None:
    merged = sketch_of(some)
    merged.absorb(sketch_of(others))
    assert merged == sketch_of(some + others) == sketch_of(others + some)


FEW = st.lists(VALUES, min_size=1, max_size=5).flatmap(lambda few: st.lists(st.sampled_from(few), min_size=1))


@given(st.one_of(FEW, st.lists(VALUES, min_size=1)), st.one_of(FEW, st.lists(VALUES, min_size=1, max_size=80)))
def test_values_at_once_give_what_they_give_one_by_one(some: list[float], others: list[float]) -> None:
    one_by_one = Sketch()
    for value in [*some, *others]:
        one_by_one.update([value])
    assert sketch_of([*some, *others]) == one_by_one


@given(st.lists(VALUES, min_size=1, max_size=50))
def test_a_copy_goes_its_own_way(values: list[float]) -> None:
    original = sketch_of(values)
    twin = original.copy()
    twin.update([1.0])
    assert original == sketch_of(values)
    assert twin == sketch_of([*values, 1.0])


def test_nothing_has_no_quantile() -> None:
    assert Sketch().quantile(0.5) is None


def test_one_value_comes_back_as_it_is() -> None:
    assert sketch_of([840.0]).quantile(0.95) == 840.0


@pytest.mark.parametrize(("q", "expected"), [(0.5, 840), (0.51, 8000), (0.95, 8000), (0.99, 8000), (0, 840), (1, 8000)])
def test_one_slow_request_of_two_is_seen(q: float, expected: float) -> None:
    assert isclose(sketch_of([840, 8000]).quantile(q) or 0, expected, rel_tol=ACCURACY)


@pytest.mark.parametrize(("q", "rank"), [(0.07, 7), (0.55, 55), (0.95, 95), (0.99, 99), (0.995, 100), (0.001, 1)])
def test_ranks_do_not_slip_by_the_rounding_of_floats(q: float, rank: int) -> None:
    found = sketch_of([1.05**n for n in range(1, 101)]).quantile(q)
    assert isclose(found or 0, 1.05**rank, rel_tol=ACCURACY)


def test_the_extremes_are_exact() -> None:
    sketch = sketch_of([3.3, 7.7, 11.1])
    assert isclose(sketch.quantile(0) or 0, 3.3, rel_tol=0.01)
    assert (sketch.minimum, sketch.maximum) == (3.3, 11.1)


@pytest.mark.parametrize("q", [-0.1, 1.1, inf])
def test_a_quantile_outside_0_to_1_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        sketch_of([1.0]).quantile(q)


def test_what_is_near_zero_counts_as_zero() -> None:
    assert sketch_of([SMALLEST / 2, -SMALLEST / 2, 5.0]).quantile(0.5) == 0.0


def test_memory_is_bounded_whatever_comes() -> None:
    sketch = sketch_of([10.0**n for n in range(-320, 308)] + [-(10.0**n) for n in range(-320, 308)])
    assert len(sketch._positive) <= 2764
    assert sketch.maximum == 1e307
    beyond = sketch_of([LARGEST * 10, LARGEST * 100])
    assert isclose(beyond.quantile(0) or 0, LARGEST * 10, rel_tol=ACCURACY)


def test_shows_what_it_holds() -> None:
    assert repr(sketch_of([1, 2])) == "Sketch(2 values, 1 to 2)"
    assert sketch_of([1]) != 1
