"""The short ways through decoding give what the long way gives, whatever comes in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.sources import strict_json
from hxp_enterprise_llm.event.sources.decode import Terms, decode_item
from hxp_enterprise_llm.event.sources.faults import Invalid
from hxp_enterprise_llm.event.sources.strict_json import JsonFault, read

NOW = 1_795_196_071.0
TEXTS = st.sampled_from(["/agents/a", "a.b", "", "x\x00y", "\u00a0", "ä", "a b", "x" * 300, "é\u200b"])
TIMES = st.sampled_from([rfc3339(NOW), rfc3339(NOW + 3600), rfc3339(NOW - 1e8), "yesterday", "2026-11-20 10:00:00Z"])
ODD: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, 1.5, [], {}, ["a"], 2**70, ""])
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=True) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "specversion": st.sampled_from(["1.0", "1.0", "1.0", "0.3"]) | ODD,
        "id": TEXTS | ODD,
        "source": TEXTS | ODD,
        "type": st.sampled_from(["a.b", "a.b", "no type"]) | ODD,
        "time": TIMES | ODD,
        "data": DATA,
        "subject": TEXTS | ODD,
        "offset": st.integers(),
        "BAD": TEXTS,
    },
)
WHOLE = st.fixed_dictionaries(
    {
        "specversion": st.just("1.0"),
        "id": TEXTS,
        "source": st.just("/agents/a"),
        "type": st.just("a.b"),
        "time": st.just(rfc3339(NOW)),
        "data": DATA,
    }
)


def terms() -> Terms:
    return Terms(NOW, rfc3339(NOW), "/here", lambda: "made", 300.0, 86400.0)


def outcome(item: bytes, under: Terms) -> Any:
    try:
        return decode_item(item, under)
    except Invalid as error:
        return error.findings


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS | WHOLE, min_size=2, max_size=6), st.booleans())
def test_what_came_before_does_not_change_the_answer(events: list[dict[str, Any]], compact: bool) -> None:
    shared = terms()
    separators = (",", ":") if compact else (", ", ": ")
    for event in [*events, *events]:
        item = json.dumps(event, separators=separators).encode()
        assert repr(outcome(item, shared)) == repr(outcome(item, terms()))


def test_the_second_of_its_kind_takes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = terms()
    whole = {"specversion": "1.0", "source": "/s", "type": "a", "time": rfc3339(NOW), "data": {}}
    first = decode_item(json.dumps(whole | {"id": "1"}).encode(), shared)
    monkeypatch.setattr("hxp_enterprise_llm.event.sources.decode._check", None)
    second = decode_item(json.dumps(whole | {"id": "2"}).encode(), shared)
    assert (first.event.id, second.event.id) == ("1", "2")
    assert json.loads(second.event.raw) == whole | {"id": "2"}


LONG = ['"' + "x" * 200 + '"', "[" * 65, "]" * 65, '{"a":' * 64, "}" * 64]
WORDS = ["NaN", "-0", "null", "true", " "]
TOKENS = st.sampled_from(LONG + WORDS) | st.sampled_from(
    ["{", "}", "[", "]", ":", ",", '"a"', '"a"', '"b"', '"\\u0061"', '"\\u003a"', "1", "9223372036854775808", "1e400"]
)


def long_way(text: bytes) -> Any:
    """Every check over every text, without the counts that clear most of them."""
    try:
        value = strict_json._decode(text)
    except (strict_json.msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return str(strict_json.syntax_fault(error, text))
    try:
        strict_json._check_shape(value)
        strict_json._check_keys(text)
        strict_json._check_numbers(value, "")
    except JsonFault as fault:
        return str(fault)
    return repr(value)


def short_way(text: bytes) -> Any:
    try:
        return repr(read(text)[0])
    except JsonFault as fault:
        return str(fault)


@settings(max_examples=400, deadline=None)
@given(st.lists(TOKENS, max_size=12).map("".join) | DATA.map(json.dumps))
def test_nothing_passes_the_counts_that_the_checks_refuse(text: str) -> None:
    assert short_way(text.encode()) == long_way(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "[" * 64 + "]" * 64,
        "[" * 65 + "]" * 65,
        '{"a":' * 64 + "1" + "}" * 64,
        '{"a":' * 65 + "1" + "}" * 65,
        '{"a":1,"a":1}',
        '{"a":1,"\\u0061":1}',
        '{"a:":1,"a:":1}',
        '{"a":{"b":1,"b":2}}',
        '{"a":NaN}',
        '{"a":9223372036854775808}',
        "{" + ",".join(f'"{n}":1' for n in range(10_000)) + "}",
        "{" + ",".join(f'"{n}":1' for n in range(10_001)) + "}",
        "{" + ",".join(f'"{n}":{{}}' for n in range(5_000)) + "}",
    ],
)
def test_at_the_bounds(text: str) -> None:
    assert short_way(text.encode()) == long_way(text.encode())
