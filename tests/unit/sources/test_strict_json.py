from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.sources.strict_json import MAX_DEPTH, MAX_KEYS, JsonFault, read

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab:{["\\é', max_size=3), inner, max_size=4),
    max_leaves=20,
)


def fault_of(text: bytes) -> str:
    with pytest.raises(JsonFault) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"type":"a","da', "the JSON is cut off at byte 15"),
        (b"", "the JSON is cut off at byte 0"),
        (b'{"a":tru}', "the JSON is not valid at byte 9: invalid character"),
        (b'{"a":1}x', "the JSON is not valid at byte 8: trailing characters"),
        (b'{"a":NaN}', "the JSON is not valid at byte 5: invalid character"),
        (b'{"a":Infinity}', "the JSON is not valid at byte 5: invalid character"),
        (b'{"a":1e999}', "the JSON is not valid: number out of range"),
        (b'{"a":"\xff"}', "the JSON is not UTF-8: byte 0xff has no place in it"),
        (b'{"a":"\\ud800"}', "the JSON has half of a surrogate pair, which is no character"),
        (b'{"a":1,"b":{},"a":1}', "the key 'a' is there twice in one object"),
        (b'[{"x":{"b":1,"b":1}}]', "the key 'b' is there twice in one object"),
        (b'{"a":"\\u003a","b":1,"b":2}', "the key 'b' is there twice in one object"),
        (b'{"a":"\\u003A","a":":"}', "the key 'a' is there twice in one object"),
        (b'{"a":9223372036854775808}', "a: 9223372036854775808 is beyond 64 bits: send it as text"),
        (b'{"a":[{"b":-9223372036854775809}]}', "a[0].b: -9223372036854775809 is beyond 64 bits: send it as text"),
        (b'{"a":' + b"1" * 5000 + b"}", "the JSON is not valid: integer value out of range"),
        (b"[" * 100_000, "the JSON is nested deeper than 64 levels"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "the JSON is nested deeper than 64 levels"),
        (b"[" * 65 + b"]" * 65, "the JSON is nested deeper than 64 levels"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: bytes, message: str) -> None:
    assert fault_of(text) == message


def test_a_long_number_is_shortened_in_the_message() -> None:
    assert fault_of(b'{"a":' + b"1" * 4000 + b"}") == f"a: {'1' * 40}…(+3960) is beyond 64 bits: send it as text"


def test_keys_are_bounded() -> None:
    wide = {str(number): number for number in range(MAX_KEYS + 1)}
    assert fault_of(json.dumps(wide).encode()) == "the event has more than 10,000 keys"
    del wide["0"]
    assert read(json.dumps(wide).encode())[0] == wide


@pytest.mark.parametrize(
    "text",
    [
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        b'{"a":"' + b"[{" * 1000 + b'"}',
        b'{"a":"' + b":" * 20_000 + b'"}',
        b'{"a":"\\u003a"}',
        b'{"a":9223372036854775807,"b":-9223372036854775808}',
        b'{"a":"123456789012345678901234567890"}',
        b'{"a" : {"b" :\n [1, 2]} }',
    ],
)
def test_what_only_looks_suspicious_passes(text: bytes) -> None:
    value, compact = read(text)
    assert value == json.loads(text)
    assert json.loads(compact) == value


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_every_value_survives(value: object, indent: int | None, ascii_only: bool) -> None:
    found, compact = read(json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode())
    assert found == value
    assert json.loads(compact) == value
    assert b"\n" not in compact


@given(VALUES, VALUES, st.text("ab:\\u003", max_size=4))
def test_a_repeated_key_is_always_found(first: object, second: object, key: str) -> None:
    name = json.dumps(key)
    text = f'{{"before":{json.dumps(first)},{name}:{json.dumps(first)},{name}:{json.dumps(second)}}}'
    assert "is there twice in one object" in fault_of(text.encode())


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    try:
        value, _ = read(text)
    except JsonFault:
        return
    assert value == json.loads(text)
