"""Deltas: what was left out can always be put back."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.dashboards.delta import apply, diff, same

_leaf = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text(alphabet="ab/~", max_size=3)
_json = st.recursive(
    _leaf,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet="ab/~0", max_size=3), inner),
    max_leaves=12,
)
_object = st.dictionaries(st.text(alphabet="abc/~1", max_size=3), _json, max_size=4)


@given(_object, _object)
@settings(max_examples=80)
def test_base_and_delta_give_the_new(base: dict[str, Any], new: dict[str, Any]) -> None:
    before = deepcopy(base)
    assert same(apply(base, diff(base, new)), new)
    assert same(base, before)


@given(_object)
def test_nothing_changed_is_nothing(value: dict[str, Any]) -> None:
    assert diff(value, deepcopy(value)) == {}


@given(st.lists(st.integers(), min_size=1, max_size=30), st.integers(0, 29), st.lists(st.integers(), max_size=5))
def test_a_series_that_moves_on_is_extended(series: list[int], drop: int, more: list[int]) -> None:
    base, new = {"series": series}, {"series": series[drop:] + more}
    delta = diff(base, new)
    assert apply(base, delta) == new
    if len(set(series)) == len(series) and drop < len(series) and (drop or more):
        assert delta == {"extend": {"/series": {"drop": drop, "add": more}}}


def test_null_is_a_value_like_any_other() -> None:
    assert diff({"value": 1, "limit": 2}, {"value": None}) == {"remove": ["/limit"], "set": {"/value": None}}


def test_true_is_not_one() -> None:
    assert diff({"a": 1, "b": [True]}, {"a": True, "b": [1]}) == {"set": {"/a": True, "/b": [1]}}


def test_keys_are_escaped_as_in_json_pointer() -> None:
    assert diff({"a": {"x/y~z": 1}}, {"a": {"x/y~z": 2}}) == {"set": {"/a/x~1y~0z": 2}}


def test_a_delta_of_another_base_is_not_taken() -> None:
    with pytest.raises(KeyError):
        apply({}, {"extend": {"/series": {"drop": 1, "add": []}}})
