"""The event: encoded once, recognised by source and id, chosen by type."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.model import (
    Event,
    TypePatterns,
    decode,
    encode,
    identity,
    parse_patterns,
    parse_rfc3339,
    rfc3339,
)

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)
types = st.from_regex(r"[a-z]{1,4}(\.[a-z]{1,4}){0,3}", fullmatch=True)


@given(id=names, source=names, type=types, subject=st.none() | names, data=data)
def test_what_is_encoded_is_decoded(id, source, type, subject, data):
    """Round trip; the text is one line of JSON that begins with the version."""
    event = Event(id=id, source=source, type=type, subject=subject, data=data)
    encoded = encode(event)
    assert decode(encoded.raw) == event
    assert (encoded.source, encoded.id, encoded.type) == (source, id, type)
    assert encoded.raw.startswith(b'{"specversion":"1.0","id":')
    assert b"\n" not in encoded.raw


def test_extensions_of_foreign_events_do_not_disturb():
    """An attribute that this view does not have is left out of it."""
    raw = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","traceparent":"00-1","data":{"a":1}}'
    assert decode(raw) == Event(id="1", source="/s", type="t", data={"a": 1})


def test_another_version_is_refused():
    """CloudEvents 0.3 is no 1.0."""
    with pytest.raises(msgspec.ValidationError):
        decode(b'{"specversion":"0.3","id":"1","source":"/s","type":"t"}')


@given(st.tuples(names, names), st.tuples(names, names))
def test_identity_is_that_of_source_and_id(one, other):
    """Equal pairs have equal identities, others have not; a shifted border makes another pair."""
    assert (identity(*one) == identity(*other)) == (one == other or "\0".join(one) == "\0".join(other))
    assert len(identity(*one)) == 16


@given(st.floats(0, 4e9))
def test_times_round_to_milliseconds(moment):
    """RFC 3339 in UTC; back to within a millisecond."""
    text = rfc3339(moment)
    assert text.endswith("Z")
    assert abs(parse_rfc3339(text) - moment) <= 0.001


def test_a_time_without_a_zone_is_none():
    """Local times mean nothing between machines."""
    with pytest.raises(ValueError, match="time without a zone: '2026-11-20T10:00:00'"):
        parse_rfc3339("2026-11-20T10:00:00")


@pytest.mark.parametrize(
    ("patterns", "chosen", "left"),
    [
        (["*"], ["a", "a.b", ""], []),
        (["llm.*"], ["llm.x", "llm.request.failed"], ["llm", "llms.x", "x.llm.y"]),
        (["host.cpu"], ["host.cpu"], ["host.cpu.x", "host"]),
        (["host.cpu", "llm.*"], ["host.cpu", "llm.a"], ["host.disk"]),
        ([], [], ["a"]),
    ],
)
def test_patterns_choose_names_prefixes_and_all(patterns, chosen, left):
    """Exact names, prefixes at a dot, or everything."""
    types = TypePatterns(patterns)
    assert [type for type in chosen + left if types.matches(type)] == chosen


def test_patterns_are_equal_whatever_their_order():
    """Equal choices share what is made for them."""
    assert TypePatterns(["a", "b.*", "a"]) == TypePatterns(["b.*", "a"])
    assert hash(TypePatterns(["a", "b.*"])) == hash(TypePatterns(["b.*", "a"]))
    assert TypePatterns(["a"]) != TypePatterns(["b"])
    assert repr(TypePatterns(["a", "b.*"])) == "TypePatterns(a, b.*)"


@pytest.mark.parametrize("text", ["", "*.a", "a*", "a..b", ".a", "a b", "a.*.b"])
def test_a_faulty_pattern_is_named(text):
    """What it is not, and what may be written."""
    with pytest.raises(ValueError, match=r"is no type pattern: write a type, a prefix such as 'llm\.\*', or '\*'"):
        parse_patterns(["a.b", text])
