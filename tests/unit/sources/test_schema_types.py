"""A type made of a schema takes nothing that the schema refuses, and reads what it takes as it is."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.sources.schema_types import data_type
from hxp_enterprise_llm.event.sources.strict_json import JsonFault, read

NAMES = st.sampled_from(["a", "b", "class", "a-b", "é", "__init__", "f0", 'q"', "back\\slash", "", "line\n"])
BOUNDS = st.sampled_from([-1, 0, 0.5, 1, 2.5, 3, 10.0, 2**53, -(2**60), 1e300])
SIZES = st.integers(0, 3) | st.just(2.0)
KINDS = ["array", "boolean", "integer", "null", "number", "object", "string"]
NUMBERS = dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), BOUNDS)
LIMITS = dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), SIZES)
TYPES = st.sampled_from(KINDS) | st.lists(st.sampled_from(KINDS), min_size=1, max_size=3, unique=True)
LEAVES = st.fixed_dictionaries({"type": TYPES}, optional=NUMBERS | LIMITS | {"title": st.just("a title")}) | (
    st.sampled_from([{"enum": ["a", "b"]}, {"type": "string", "enum": ["a"]}, {"enum": [1, None]}, {}, True, False])
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {"type": st.just("object")},
        optional={
            "properties": st.dictionaries(NAMES, inner, max_size=4),
            "required": st.lists(NAMES, max_size=2, unique=True),
            "additionalProperties": st.booleans() | inner,
        },
    )


SCHEMAS = objects(
    st.recursive(
        LEAVES, lambda inner: objects(inner) | st.fixed_dictionaries({"type": st.just("array"), "items": inner})
    )
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.sampled_from([2**53, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 0.0, -0.0, 1.0, 0.5, 2.5, 1e300, 1e22])
    | st.sampled_from(["", "a", "b", "abcd", "\U0001f600", "é:"])
)


def like(schema: Any) -> st.SearchStrategy[Any]:
    """Data that agrees with a schema more often than not."""
    if not isinstance(schema, dict) or schema.get("type") not in ("object", "array"):
        return SCALARS
    if schema["type"] == "array":
        return st.lists(like(schema.get("items")), max_size=3)
    members = {name: like(inner) for name, inner in schema.get("properties", {}).items()}
    required = {name: members.get(name, SCALARS) for name in schema.get("required", ())}
    others = members or {"x": like(schema.get("additionalProperties")), "y": like(schema.get("additionalProperties"))}
    return st.fixed_dictionaries(required, optional={name: one for name, one in others.items() if name not in required})


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_what_a_type_takes_its_schema_takes(data: st.DataObject) -> None:
    schema = data.draw(SCHEMAS)
    made = data_type(schema)
    if made is None:
        return
    validator, decoder = jsonschema_rs.validator_for(schema), msgspec.json.Decoder(made)
    for value in data.draw(st.lists(like(schema) | SCALARS, min_size=1, max_size=5)):
        text = json.dumps(value).encode()
        try:
            found = decoder.decode(text)
        except msgspec.DecodeError:
            continue
        assert validator.is_valid(value)
        # Compared as texts: 1 and 1.0 are not the same here.
        assert sorted_text(msgspec.json.encode(found)) == sorted_text(read(text)[1])


def sorted_text(text: bytes) -> str:
    return json.dumps(json.loads(text), sort_keys=True)


def obj(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "array", "items": {"type": "string"}},
        {"type": ["object", "null"], "properties": {}},
        {"type": "object"},
        obj(),
        {"$schema": "http://json-schema.org/draft-07/schema#"} | obj(a={"type": "string"}),
        {"required": ["b"]} | obj(a={"type": "string"}),
        {"dependentRequired": {"a": ["b"]}} | obj(a={"type": "string"}),
        {"additionalProperties": {"type": "string"}} | obj(a={"type": "string"}),
        obj(a=True),
        obj(a={}),
        obj(a={"type": "object"}),
        obj(a={"type": "array"}),
        obj(a={"type": "text"}),
        obj(a={"type": "string", "pattern": "a"}),
        obj(a={"type": "string", "format": "date"}),
        obj(a={"type": "string", "minimum": 1}),
        obj(a={"type": "number", "multipleOf": 2}),
        obj(a={"type": "number", "minimum": 2**53}),
        obj(a={"type": "number", "minimum": True}),
        obj(a={"type": "number", "minimum": 0, "exclusiveMinimum": 0}),
        obj(a={"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        obj(a={"enum": ["a", 1]}),
        obj(a={"enum": ["a"], "type": ["string", "null"]}),
        obj(**{'a"': {"type": "string"}}),
        obj(a=obj(a=obj(a=obj(a=obj(a=obj(a=obj(a=obj(a={"type": "null"})))))))),
    ],
)
def test_a_schema_that_says_more_has_no_type(schema: dict[str, Any]) -> None:
    assert data_type(schema) is None


WORKED = obj(
    name={"type": "string", "minLength": 1, "maxLength": 3},
    count={"type": "integer", "minimum": 0.5, "exclusiveMaximum": 10},
    share={"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1.5},
    tier={"enum": ["hot", "cold"]},
    parts={"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
    units={"type": "object", "additionalProperties": {"type": "string"}},
    inner={"required": ["class"]} | obj(**{"class": {"type": "string"}}),
) | {"required": ["name"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ('{"name":"abc"}', True),
        ('{"name":"a","count":1,"share":null,"tier":"hot","parts":[true],"units":{"a":"b"}}', True),
        ('{"inner":{"class":"x"},"name":"a","share":1.5}', True),
        ('{"name":"a","count":9}', True),
        ("{}", False),
        ('{"name":""}', False),
        ('{"name":"abcd"}', False),
        ('{"name":null}', False),
        ('{"name":"a","count":0}', False),
        ('{"name":"a","count":10}', False),
        ('{"name":"a","share":0}', False),
        ('{"name":"a","share":0.0}', False),
        ('{"name":"a","share":2}', False),
        ('{"name":"a","tier":"warm"}', False),
        ('{"name":"a","parts":[1]}', False),
        ('{"name":"a","parts":[true,true,true]}', False),
        ('{"name":"a","units":{"a":1}}', False),
        ('{"name":"a","inner":{}}', False),
        ('{"name":"a","other":1}', False),
        ("[]", False),
    ],
)
def test_each_limit_by_type_and_by_schema(text: str, taken: bool) -> None:
    made = data_type(WORKED)
    assert jsonschema_rs.validator_for(WORKED).is_valid(json.loads(text)) == taken
    assert took(made, text) == taken


def took(made: Any, text: str) -> bool:
    try:
        msgspec.json.decode(text, type=made)
    except msgspec.DecodeError:
        return False
    return True


@pytest.mark.parametrize("kind", ["integer", "number"])
@pytest.mark.parametrize("number", [2**63, 2**64, 10**30, -(2**63) - 1, -(10**30)])
def test_an_integer_beyond_64_bits_is_refused(kind: str, number: int) -> None:
    made = data_type(obj(a={"type": kind}))
    assert took(made, json.dumps({"a": 2**63 - 1}))
    assert took(made, json.dumps({"a": -(2**63)}))
    assert not took(made, json.dumps({"a": number}))
    with pytest.raises(JsonFault):
        read(json.dumps({"a": number}).encode())
