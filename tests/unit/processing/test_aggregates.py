"""Aggregates: merging stretches of time gives what one stretch would have given."""

from __future__ import annotations

from collections.abc import Iterable
from math import isclose
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.processing.aggregates import (
    KEPT_HASHES,
    Aggregate,
    Count,
    Distinct,
    Numbers,
    hash_of,
)

A = TypeVar("A", bound=Aggregate)
NUMBERS = st.lists(st.one_of(st.integers(-1000, 1000), st.sampled_from([0.5, -2.25, 1024.0])), max_size=40)


def filled(aggregate: A, values: Iterable[Any]) -> A:
    taken = list(values)
    if taken:
        aggregate.update(taken)
    return aggregate


@given(NUMBERS, NUMBERS)
def test_numbers_merge_in_order(earlier: list[float], later: list[float]) -> None:
    merged = filled(Numbers(), earlier).copy()
    merged.absorb(filled(Numbers(), later))
    values = earlier + later
    assert merged.n == len(values)
    assert merged.total == sum(values)
    if values:
        assert (merged.minimum, merged.maximum, merged.last) == (min(values), max(values), values[-1])


ROUNDED = st.lists(st.one_of(st.integers(-(2**63), 2**63), st.floats(-1e6, 1e6), st.sampled_from([0.1, -0.0])))


@given(ROUNDED, ROUNDED)
def test_numbers_at_once_are_as_one_by_one_to_the_last_bit(some: list[float], others: list[float]) -> None:
    one_by_one, at_once = Numbers(), Numbers()
    for part in filter(None, (some, others)):
        at_once.update(part)
    for value in [*some, *others]:
        one_by_one.update([value])
    assert repr(at_once.total) == repr(one_by_one.total)


def test_a_sum_of_integers_stays_exact() -> None:
    total = filled(Numbers(), [2**60, 1]).total
    assert total == 2**60 + 1
    assert isinstance(total, int)


@given(st.integers(0, 50), st.integers(0, 50))
def test_counts_add_up(some: int, others: int) -> None:
    count = filled(Count(), range(some)).copy()
    count.absorb(filled(Count(), range(others)))
    assert count.n == some + others


@given(st.lists(st.text(max_size=3), max_size=60), st.lists(st.text(max_size=3), max_size=60))
def test_distinct_is_exact_while_there_are_few(some: list[str], others: list[str]) -> None:
    merged = filled(Distinct(), some).copy()
    merged.absorb(filled(Distinct(), others))
    assert merged.n == len({*some, *others})


def test_distinct_tells_texts_numbers_and_truth_apart() -> None:
    assert filled(Distinct(), [1, True, 1.0, "1", 0, False, "true"]).n == 6


def test_distinct_estimates_many_within_five_percent() -> None:
    parts = [filled(Distinct(), (f"/agent/{n}" for n in range(start, start + 12_000))) for start in (0, 6_000, 18_000)]
    whole = Distinct()
    for part in parts:
        whole.absorb(part)
        assert len(part._hashes) <= 2 * KEPT_HASHES
    assert isclose(whole.n, 30_000, rel_tol=0.05)


def test_distinct_does_not_depend_on_the_order_of_merging() -> None:
    values = [f"/agent/{n}" for n in range(20_000)]
    forward, backward = filled(Distinct(), values), filled(Distinct(), reversed(values))
    assert forward.n == backward.n


def test_a_copy_of_distinct_goes_its_own_way() -> None:
    original = filled(Distinct(), ["a"])
    original.copy().update(["b"])
    assert original.n == 1


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [(1, 1.0, True), (1, "1", False), (1, True, False), (0.5, 0.25, False), ("a", "a", True)],
)
def test_which_values_are_one(left: Any, right: Any, same: bool) -> None:
    assert (hash_of(left) == hash_of(right)) is same


def test_hashes_are_the_same_in_every_process() -> None:
    assert hash_of("/host/a") == 12412891183077696671
