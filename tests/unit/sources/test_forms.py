from __future__ import annotations

import base64
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from hxp_enterprise_llm.event.sources import forms
from hxp_enterprise_llm.event.sources.faults import Invalid
from hxp_enterprise_llm.event.sources.forms import split
from hxp_enterprise_llm.event.sources.strict_json import JsonFault

NONE: CIMultiDict[str] = CIMultiDict()
CE = [("ce-specversion", "1.0"), ("ce-id", "1"), ("Ce-Source", "/s"), ("CE-Type", "demo.hello")]


def items(body: bytes, media: str = "application/json") -> list[Any]:
    return list(split(body, media, NONE))


def binary(body: bytes, media: str, *more: tuple[str, str]) -> dict[str, Any]:
    (item,) = split(body, media, CIMultiDict([*CE, *more]))
    assert isinstance(item, dict)
    return item


def test_one_event_or_an_array_of_them() -> None:
    assert items(b'{"type":"a"}') == [b'{"type":"a"}']
    assert items(b' [{"type":"a"} ,\n {"type":"b"}, 7]') == [b'{"type":"a"}', b'{"type":"b"}', b"7"]
    assert items(b"[]") == []


def test_lines() -> None:
    assert items(b'{"a":1}\r\n\n  \n{"b":2}\n7', "application/x-ndjson") == [b'{"a":1}', b'{"b":2}', b"7"]


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers(), max_size=3), max_size=5))
def test_arrays_and_lines_carry_the_same(events: list[dict[str, int]]) -> None:
    array = items(json.dumps(events).encode())
    assert [json.loads(item) for item in array] == events
    lines = "\n".join(map(json.dumps, events)).encode()
    if events:
        assert items(lines, "application/x-ndjson; charset=utf-8") == array


@pytest.mark.parametrize(
    ("body", "media", "message"),
    [
        (b"", "application/json", 'the body is empty: send an event, e.g. {"type": "demo.hello", "data": {}}'),
        (b" \n", "application/x-ndjson", 'the body is empty: send an event, e.g. {"type": "demo.hello", "data": {}}'),
        (b'[{"type":"a"},{"ty', "application/json", "the JSON is cut off at byte 18"),
        (b'[{"type":"a"}{', "application/json", "the JSON is not valid at byte 13: expected ',' or ']'"),
        (b"{}", "application/cloudevents-batch+json", "a batch is a JSON array of events"),
        (
            b"[]",
            "application/cloudevents+json",
            "this is an array: send it as application/cloudevents-batch+json",
        ),
    ],
)
def test_a_body_that_cannot_be_read_is_told(body: bytes, media: str, message: str) -> None:
    with pytest.raises(JsonFault) as caught:
        items(body, media)
    assert str(caught.value) == message


def test_an_array_of_millions_of_small_things_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"[" + b"0," * 2_000_000 + b"0]"
    tracemalloc.start()
    try:
        with pytest.raises(JsonFault, match=r"^\[0\]: the JSON is not valid: expected `object`, got `int`$"):
            items(body)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    monkeypatch.setattr(forms, "SUSPICIOUS_COMMAS", 1)
    assert items(b'[{"type":"a"},{"type":"b","data":[1,2,3]}]') == [b'{"type":"a"}', b'{"type":"b","data":[1,2,3]}']


def test_binary_mode_with_json() -> None:
    assert binary(b'{"a":1}', "application/json; charset=utf-8", ("ce-subject", "%C3%A9%20x"), ("ce-hop", "3")) == {
        "specversion": "1.0",
        "id": "1",
        "source": "/s",
        "type": "demo.hello",
        "subject": "é x",
        "hop": "3",
        "datacontenttype": "application/json; charset=utf-8",
        "data": {"a": 1},
    }


def test_binary_mode_with_other_data() -> None:
    assert binary(b"hello", "text/plain")["data"] == "hello"
    assert base64.b64decode(binary(b"\xff\x00", "text/plain")["data_base64"]) == b"\xff\x00"
    assert base64.b64decode(binary(b"\x89PNG", "image/png")["data_base64"]) == b"\x89PNG"
    assert binary(b'{"x":1}', "application/vnd.acme+json")["data"] == {"x": 1}
    assert "data" not in binary(b"", "application/json")
    assert "datacontenttype" not in binary(b"", "")


def test_the_structured_form_wins_over_headers() -> None:
    assert list(split(b"{}", "application/cloudevents+json", CIMultiDict(CE))) == [b"{}"]


@pytest.mark.parametrize(
    ("body", "more", "message"),
    [
        (b"{", [], "data: the JSON is cut off at byte 1"),
        (b'{"a":99999999999999999999}', [], "data.a: 99999999999999999999 is beyond 64 bits: send it as text"),
        (b"", [("CE-ID", "2")], "ce-id: is there twice"),
        (b"", [("ce-data", "2")], "ce-data: is no attribute of the binary mode: the body is the data"),
        (b"", [("ce-subject", "%ff")], "ce-subject: '%ff' is not UTF-8"),
        (b"", [("ce-subject", "\udcff")], "ce-subject: '\\udcff' is not UTF-8"),
    ],
)
def test_faults_of_the_binary_mode(body: bytes, more: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(Invalid) as caught:
        binary(body, "application/json", *more)
    assert str(caught.value) == message
