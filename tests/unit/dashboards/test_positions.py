"""Positions in JSON text."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.config.paths import KeyPath
from hxp_enterprise_llm.event.dashboards.positions import DuplicateKey, parse, positions

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


def _paths(value: object, path: KeyPath = ()) -> set[KeyPath]:
    found = {path}
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in members:
        found |= _paths(inner, (*path, key))
    return found


@given(_json, st.sampled_from([None, 1, "\t"]), st.booleans())
@settings(max_examples=60)
def test_each_value_stands_where_it_is_said_to(value: object, indent: int | str | None, ascii: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii)
    places = positions(text)
    assert places.keys() == _paths(value)
    lines = text.split("\n")
    for path, (line, column) in places.items():
        rest = "\n".join([lines[line - 1][column - 1 :], *lines[line:]])
        there, _ = json.JSONDecoder().raw_decode(rest)
        expected: object = value
        for key in path:
            expected = expected[key]  # type: ignore[index]
        assert there == expected


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(DuplicateKey) as caught:
        parse('{"a": 1, "b": {"c": 1, "c": 2}}')
    assert str(caught.value) == "the key 'c' is given twice in one object"


def test_nan_is_no_json() -> None:
    with pytest.raises(ValueError, match="NaN is no JSON number"):
        parse('{"a": NaN}')
