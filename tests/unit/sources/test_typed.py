"""What is read by types is what each event alone gives: the same verdict, an equal event."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.model import Encoded, rfc3339
from hxp_enterprise_llm.event.sources.decode import Terms, decode_item
from hxp_enterprise_llm.event.sources.faults import Invalid
from hxp_enterprise_llm.event.sources.typed import TypedReader
from tests.unit.sources.test_batch import BAD_DATA, CATALOGUE, elements, one_by_one, terms
from tests.unit.sources.test_lean_decode import DATA, EVENTS, NOW, TEXTS, TIMES

READER = TypedReader(CATALOGUE.all)
FREE = {
    *("alert.acknowledged", "anomaly.ended", "anomaly.started", "dashboard.refreshed", "forecast.tokens"),
    *("otel.log", "otel.metric", "otel.span", "platform.snapshot", "stream.publication"),
}
"""They hold data of any kind, or a text of which a pattern is asked."""
EXAMPLES = [
    (type, {name: value for name, value in schema["examples"][0].items() if name in schema["properties"]})
    for type, schema in CATALOGUE.all.items()
    if type not in FREE
]
"""An event of each type; members that a schema does not name are for the other ways."""
GOOD = {"specversion": "1.0", "id": "1", "source": "/s", "type": "business.metric", "time": rfc3339(NOW)}
VALUES = st.sampled_from(["m", "", 0, -1, 1.5, -0.0, True, None, 2**63, 2**63 - 1, "a:b", "ü", [], {}]) | DATA
SIMPLE = {"type": "object", "additionalProperties": {"type": "null"}}
METRIC = {"name": "m", "value": 1.5}


@st.composite
def typed(draw: st.DrawFn) -> dict[str, Any]:
    """Events of shipped types with at most two things about them that are unusual."""
    type, data = draw(st.sampled_from(EXAMPLES))
    event = GOOD | {"type": type, "data": data}
    for name in draw(st.lists(st.sampled_from(sorted(GOOD)), max_size=3)):
        event.pop(name, None)
    event |= draw(st.fixed_dictionaries({}, optional={"id": TEXTS, "source": TEXTS, "subject": TEXTS, "time": TIMES}))
    if draw(st.integers(0, 3)) == 0:
        event["data"] = data | {draw(st.sampled_from([*data, "agent", "other"])): draw(VALUES)}
    names = draw(st.permutations(list(event)))
    return {name: event[name] for name in names}


def comparable(events: Sequence[Encoded]) -> list[Any]:
    # As texts: 1 and 1.0 are not the same here.
    return [(*event[:3], json.dumps(json.loads(event.raw), sort_keys=True)) for event in events]


def agree(body: bytes) -> bool:
    """Whether the array was read by types; its events must then be what each alone gives."""
    found = READER.read_array(body, 100, terms())
    if found is None:
        return False
    expected = one_by_one(elements(body))
    assert expected is not None
    assert comparable(found) == comparable(expected)
    assert not any(b"\n" in raw or b": " in raw.replace(b'": ', b"") for raw in found.raws)
    return True


@settings(max_examples=600, deadline=None)
@given(
    st.lists(typed() | EVENTS, min_size=1, max_size=4), st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")])
)
def test_events_of_every_kind(events: list[dict[str, Any]], separators: tuple[str, str]) -> None:
    agree(json.dumps(events, separators=separators).encode())
    agree(json.dumps(events, separators=separators, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@settings(max_examples=400, deadline=None)
@given(st.lists(typed().map(json.dumps) | st.sampled_from(["", "{", "null", '{"type":"a"}']), min_size=1, max_size=3))
def test_texts_of_every_kind(texts: list[str]) -> None:
    encoded = [text.encode() for text in texts]
    found, expected = READER.read_texts(encoded, terms()), one_by_one(encoded)
    assert found is None or (expected is not None and comparable(found) == comparable(expected))


@settings(max_examples=400, deadline=None)
@given(typed(), st.lists(typed(), max_size=3))
def test_one_event_with_others_before_it(event: dict[str, Any], before: list[dict[str, Any]]) -> None:
    text, shared = json.dumps(event).encode(), terms()
    for each in [*before, event]:
        pass_if_good(json.dumps(each).encode(), shared)
    found, expected = READER.read_one(text, shared), one_by_one([text])
    assert found is None or (expected is not None and comparable([found]) == comparable(expected))


def pass_if_good(text: bytes, shared: Terms) -> None:
    with contextlib.suppress(Invalid):
        decode_item(text, shared)


def test_nearly_all_shipped_types_are_read_so() -> None:
    assert READER.types == set(CATALOGUE.types) - FREE


@pytest.mark.parametrize(("type", "data"), EXAMPLES, ids=[type for type, _ in EXAMPLES])
def test_the_example_of_each_type(type: str, data: Any) -> None:
    whole, short = GOOD | {"type": type, "data": data}, {"type": type, "data": data}
    for events in ([whole], [short], [whole, short], [short | {"subject": "s"}, whole | {"datacontenttype": "a/b"}]):
        assert agree(json.dumps(events).encode())
        assert agree(json.dumps(events, separators=(",", ":")).encode())


def test_events_of_all_types_together() -> None:
    events = [GOOD | {"id": f"{n}", "type": type, "data": data} for n, (type, data) in enumerate(EXAMPLES)]
    assert agree(json.dumps(events).encode())
    assert READER.read_texts([json.dumps(event).encode() for event in events], terms()) is not None


def test_what_is_missing_is_filled_in() -> None:
    found = READER.read_array(json.dumps([{"type": "bench.tick", "data": {"seq": 1}}]).encode(), 1, terms())
    assert found is not None
    assert (found[0].source, found[0].id, found[0].type) == ("/here", "made", "bench.tick")
    data = {"seq": 1}
    assert json.loads(found[0].raw) == GOOD | {"id": "made", "source": "/here", "type": "bench.tick", "data": data}


def test_a_source_that_is_filled_in_is_checked_as_well() -> None:
    under = Terms(NOW, rfc3339(NOW), "", lambda: "made", 300.0, 86400.0)
    text = b'{"type":"bench.tick","data":{"seq":1}}'
    assert READER.read_array(b"[%b]" % text, 1, under) is None
    with pytest.raises(Invalid):
        decode_item(text, under)


def test_texts_that_are_not_plain_ascii() -> None:
    for text in ("ü", "a\\b", 'a"b', "\U0001f600", " :, "):
        events = [GOOD | {"id": text, "subject": text, "data": METRIC | {"name": f"{text}\n\u0085"}}]
        assert agree(json.dumps(events).encode())
        assert agree(json.dumps(events, ensure_ascii=False).encode())


@pytest.mark.parametrize("name", ["id", "source", "subject", "datacontenttype"])
@pytest.mark.parametrize("text", ["", "a\n", "a\x7f", "a\u0085", "x" * 1025, 1, None])
def test_an_attribute_that_is_unusual_is_left_to_the_others(name: str, text: Any) -> None:
    events = [GOOD | {"data": METRIC}, GOOD | {"data": METRIC, name: text}]
    assert not agree(json.dumps(events).encode())
    assert not agree(json.dumps(events, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"type": "no.such.type"},
        {"type": "stream.publication"},
        {"type": ""},
        {"time": "yesterday"},
        {"time": rfc3339(NOW + 301)},
        {"extension": "x"},
        {"data": METRIC | {"value": "1"}},
        {"data": METRIC | {"other": 1}},
        {"data": METRIC | {"value": 2**63}},
        {"data": METRIC | {"dimensions": {f"{n}": "" for n in range(10_001)}}},
    ],
)
def test_what_is_unusual_is_left_to_the_others(change: dict[str, Any]) -> None:
    good = GOOD | {"data": METRIC}
    for events in ([good, good | change], [good | change], [good | change, good]):
        assert not agree(json.dumps(events).encode())


@pytest.mark.parametrize("data", BAD_DATA.values(), ids=BAD_DATA)
def test_bad_data_is_left_to_the_others(data: str) -> None:
    body = json.dumps([GOOD | {"data": METRIC}, GOOD | {"data": METRIC | {"dimensions": "here"}}])
    assert not agree(body.replace('"here"', data).encode())
    assert not agree(body.replace('{"name": "m", "value": 1.5, "dimensions": "here"}', data).encode())


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        ('"id": "1"', '"id": "1", "id": "1"'),
        ('"id": "1"', '"id": "1", "\\u0069d": "1"'),
        ('"type": "business.metric"', '"type": "business.metric", "type": "business.metric"'),
        ('"type": "business.metric"', '"type": "business.metric", "type": []'),
        ('"value": 1.5', '"value": 1.5, "value": 1.5'),
        ('"value": 1.5', '"value": 1.5, "value": 1.5, "unit": "\\u003a"'),
        ('"value": 1.5', '"dimensions": {"a": "b", "a": "b"}, "value": 1.5'),
    ],
)
def test_a_repeated_key_is_left_to_the_others(text: str, twice: str) -> None:
    body = json.dumps([GOOD | {"data": METRIC}])
    assert agree(body.encode())
    assert text in body
    changed = body.replace(text, twice).encode()
    assert not agree(changed)
    assert READER.read_texts(elements(changed), terms()) is None


def test_what_is_no_array_of_events_is_left_to_the_others() -> None:
    for body in (b"[]", b"{}", b"[1]", b"[{}]", b'[{"type":"bench.tick"}]', b"[", b"\xff", b"[" * 100_000, b"null"):
        assert READER.read_array(body, 9, terms()) is None
        assert READER.read_texts([body], terms()) is None
        assert READER.read_one(body, terms()) is None
    assert READER.read_texts([], terms()) is None
    two = json.dumps([GOOD | {"data": METRIC}] * 2).encode()
    assert READER.read_array(two, 1, terms()) is None


def test_without_a_simple_schema_nothing_is_read() -> None:
    for reader in (TypedReader({}), TypedReader({"a": {"type": "object"}}), TypedReader({"no type": SIMPLE})):
        assert reader.types == frozenset()
        for body in (
            b'[{"type":"a","data":{}}]',
            b'[{"type":"no type","data":{}}]',
            b'[{"type":"","data":1}]',
            b"[null]",
        ):
            assert reader.read_array(body, 9, terms()) is None


def test_one_event_is_read_once_its_like_has_passed() -> None:
    shared, text = terms(), json.dumps(GOOD | {"data": METRIC}).encode()
    assert READER.read_one(text, shared) is None
    pass_if_good(text, shared)
    found, expected = READER.read_one(text, shared), one_by_one([text])
    assert found is not None
    assert expected is not None
    assert comparable([found]) == comparable(expected)
    for change in ({"id": "a\n"}, {"subject": "s"}, {"time": rfc3339(NOW + 1)}, {"source": "/t"}, {"data": {}}):
        assert READER.read_one(json.dumps(GOOD | {"data": METRIC} | change).encode(), shared) is None
    for name in GOOD:
        short = {key: value for key, value in GOOD.items() if key != name} | {"data": METRIC}
        assert READER.read_one(json.dumps(short).encode(), shared) is None
    assert READER.read_one(text.replace(b'"id": "1"', b'"id": "1", "id": "1"'), shared) is None
