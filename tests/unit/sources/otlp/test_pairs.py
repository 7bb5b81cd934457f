"""Attributes that are read once for all spans that have them."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from hxp_enterprise_llm.event.sources.genai.model import Span
from hxp_enterprise_llm.event.sources.otlp import protobuf
from hxp_enterprise_llm.event.sources.otlp.bounds import MAX_ATTRIBUTES, MAX_TEXT, Undecodable
from hxp_enterprise_llm.event.sources.otlp.pairs import Pairs
from tests.unit.sources.otlp.requests import pb_traces

from ..genai.spans import made


def spans_of(body: bytes) -> list[Span]:
    return [each for each in protobuf.traces(body) if isinstance(each, Span)]


def raw(key: str, **value: Any) -> bytes:
    return KeyValue(key=key, value=AnyValue(**value)).SerializeToString()


VALUES: list[tuple[dict[str, Any], Any]] = [
    ({"string_value": "text"}, "text"),
    ({"string_value": ""}, ""),
    ({"int_value": 0}, 0),
    ({"int_value": -7}, -7),
    ({"bool_value": False}, False),
    ({"double_value": 0.0}, 0.0),
    ({}, None),
    ({"string_value": "x" * 5000}, "x" * MAX_TEXT),
    ({"array_value": ArrayValue(values=[AnyValue(string_value="stop")])}, ["stop"]),
]


@pytest.mark.parametrize(("sent", "value"), VALUES)
def test_a_known_attribute_is_what_it_was_when_it_was_read(sent: dict[str, Any], value: object) -> None:
    pairs = Pairs(protobuf.value_of)
    for _ in range(2):
        found = pairs.attributes([raw("key", **sent)])
        assert found == {"key": value}
        assert type(found["key"]) is type(value)


def test_a_list_is_its_span_s_own() -> None:
    first, second = spans_of(pb_traces([made({"reasons": ["stop"]})] * 2))
    first.attributes["reasons"].append("changed")
    assert second.attributes["reasons"] == ["stop"]


def test_attributes_of_which_each_is_another_take_bounded_memory() -> None:
    pairs = Pairs(protobuf.value_of)
    for number in range(10_000):
        assert pairs.attributes([raw("key", int_value=number)]) == {"key": number}
        pairs.attributes([raw("long", string_value=f"{number}" + "x" * 200)])
    assert len(pairs) <= 4096
    assert max(map(len, pairs)) < 200


def test_of_too_many_attributes_the_first_are_looked_at() -> None:
    pairs = Pairs(protobuf.value_of)
    found = pairs.attributes([raw(f"k{number}", int_value=number) for number in range(MAX_ATTRIBUTES + 5)])
    assert list(found.values()) == list(range(MAX_ATTRIBUTES))


def test_the_last_of_two_attributes_with_one_name_holds() -> None:
    assert Pairs(protobuf.value_of).attributes([raw("k", int_value=1), raw("k", int_value=2)]) == {"k": 2}


def test_a_request_with_an_attribute_that_is_none_is_refused_before_its_first_span() -> None:
    body = pb_traces([made({"key": "value"}), made({"key": "broken"})])
    with pytest.raises(Undecodable):
        protobuf.traces(body.replace(b"broken", b"\xff\xff\xff\xff\xff\xff"))
