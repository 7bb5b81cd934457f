from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.config import positions
from hxp_enterprise_llm.config.positions import Mark, place_of, read


def _messages(text: str) -> list[str]:
    return [str(fault) for fault in read(text, "f").faults]


def test_places_of_keys_and_values() -> None:
    document = read("a:\n  b: 1\n  c:\n    - x\n    - {d: y}\n", "f")
    assert document.data == {"a": {"b": 1, "c": ["x", {"d": "y"}]}}
    assert document.places["a", "b"] == (Mark(2, 3), Mark(2, 6))
    assert document.places["a", "c", 0] == (Mark(4, 7), Mark(4, 7))
    assert document.places["a", "c", 1, "d"] == (Mark(5, 8), Mark(5, 11))
    assert document.faults == ()


def test_empty_text_is_no_document() -> None:
    assert read("# nothing\n", "f") == positions.Document(None, {}, ())


def test_keys_are_text_as_written() -> None:
    assert read("8501: a\non: b\n1.50: c\n", "f").data == {"8501": "a", "on": "b", "1.50": "c"}


def test_dates_and_times_stay_text() -> None:
    text = "a: 2024-01-31\nb: 12:30\nc: 2024-13-99\nd: 12:30:01.5\n"
    assert read(text, "f").data == {"a": "2024-01-31", "b": "12:30", "c": "2024-13-99", "d": "12:30:01.5"}


def test_scalars() -> None:
    assert read("[1, 1.5, true, no, null, ~, '1', 0x10, x]", "f").data == [
        1,
        1.5,
        True,
        False,
        None,
        None,
        "1",
        16,
        "x",
    ]


def test_anchors_and_merge_keys() -> None:
    document = read("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [{x: 5}, *a]}\nd: *a\n", "f")
    assert document.data["b"] == {"x": 1, "y": 3}
    assert document.data["c"] == {"x": 5, "y": 2}
    assert document.data["d"] == {"x": 1, "y": 2}
    assert document.places["b", "x"].key == Mark(1, 8)
    assert document.places["b", "y"].key == Mark(2, 13)


def test_duplicate_in_an_anchor_is_said_once() -> None:
    assert _messages("a: &a {x: 1, x: 2}\nb: *a\nc: {<<: *a}\n") == [
        "f:1:14: a.x: duplicate key, given first at line 1, column 8; keep one of them"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: \x01", "f:1:4: not valid YAML: the character U+0001 is not allowed"),
        (
            "ok: 1\nb: [1",
            "f:2:6: not valid YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
        ),
        ("a: *nope", "f:1:4: not valid YAML: found undefined alias 'nope'"),
        (
            "a: 1\n---\nb: 1",
            "f:2:1: not valid YAML: expected a single document in the stream, but found another document",
        ),
        ("[" * 500, "f:1:1: not a configuration: nested too deeply"),
        ("a: !!int x1", "f:1:4: a: 'x1' cannot be read as !!int"),
        ("a: !!bool perhaps", "f:1:4: a: 'perhaps' cannot be read as !!bool"),
        ("a: .nan", "f:1:4: a: must be a finite number, is .nan"),
        ("a: !!binary aGk=", "f:1:4: a: the tag !!binary is not allowed"),
        ("a: !!set {b}", "f:1:4: a: the tag !!set is not allowed"),
        ("a: !!python/name:os.system", "f:1:4: a: the tag !!python/name:os.system is not allowed"),
        ("a: &x {<<: *x}", "f:1:4: a: refers to itself"),
        ("? {a: 1}\n: 2", "f:1:3: a key must be text"),
    ],
)
def test_what_is_no_configuration(text: str, message: str) -> None:
    assert _messages(text) == [message]


def test_aliases_that_multiply_are_stopped() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert _messages("\n".join(lines)) == ["f:1:1: not a configuration: more than 100000 values"]


def test_deep_aliases_are_stopped() -> None:
    lines = ["a0: &a0 [1]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 2000))]
    assert _messages("\n".join(lines)) == ["f:1:1: not a configuration: nested too deeply"]


def test_place_of_a_character() -> None:
    assert place_of("ab\ncd", 0) == (1, 1)
    assert place_of("ab\ncd", 4) == (2, 2)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="ab:-[]{}&*!<>#'\"\n \t|?,1.", max_size=60))
def test_no_text_raises(text: str) -> None:
    document = read(text, "f")
    assert all(fault.line >= 1 and fault.column >= 1 for fault in document.faults)
