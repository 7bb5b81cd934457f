from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hxp_enterprise_llm.event.model import parse_patterns
from hxp_enterprise_llm.event.sources.schema_files import MAX_FILE_BYTES, SchemaError, parse_schema, shipped_files
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue

SHIPPED = SchemaCatalogue.load()
BUILT_IN = [
    *("agent.completed", "agent.failed", "agent.handoff", "agent.registered", "agent.started"),
    *("alert.acknowledged", "alert.firing", "alert.pending", "alert.resolved", "analytics.snapshot"),
    *("anomaly.ended", "anomaly.started", "bench.tick", "business.metric", "cost.recorded"),
    *("dashboard.refreshed", "engine.graph", "engine.memory", "engine.system", "feedback", "file.activity"),
    *("forecast.tokens", "host.cpu", "host.disk", "host.memory", "host.network"),
    *("hypothesis.formed", "hypothesis.refuted", "hypothesis.validated", "knowledge.access", "knowledge.miss"),
    *("llm.request.completed", "llm.request.failed", "llm.usage.corrected", "memory.tier.access"),
    *("notification.message", "otel.log", "otel.metric", "otel.span"),
    *("platform.snapshot", "poll.metric", "stream.publication", "tool.call.completed", "tool.call.failed"),
]


def schema_of(type: str) -> dict[str, Any]:
    schema = SHIPPED.schema(type)
    assert schema is not None
    return schema


def test_the_built_in_types_have_schemas() -> None:
    assert SHIPPED.types == tuple(BUILT_IN)
    parse_patterns(SHIPPED.types)


@pytest.mark.parametrize("type", BUILT_IN)
def test_each_schema_is_valid_described_and_has_an_example_that_validates(type: str) -> None:
    schema = schema_of(type)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == type
    assert schema["title"]
    assert all(part.get("description") for part in schema["properties"].values())
    assert schema.get("additionalProperties", True) is True
    assert schema["examples"]
    for example in schema["examples"]:
        assert SHIPPED.check(type, example) == ()
        assert SHIPPED.check(type, example | {"more": {"than": "known"}}) == ()


@pytest.mark.parametrize("type", BUILT_IN)
def test_both_validators_agree(type: str) -> None:
    schema, judge = schema_of(type), jsonschema.Draft202012Validator(schema_of(type))
    for name in schema["properties"]:
        candidates: tuple[Any, ...] = ("text", -1, None, [], {}, 1.5, True)
        for wrong in candidates:
            data = copy.deepcopy(schema["examples"][0]) | {name: wrong}
            assert bool(SHIPPED.check(type, data)) is not judge.is_valid(data), (name, wrong)


@pytest.mark.parametrize(
    ("type", "data", "messages"),
    [
        ("llm.request.completed", {"model": "m", "latency_ms": "fast"}, ['data.latency_ms: "fast" is not a number']),
        ("llm.request.completed", {"latency_ms": -1}, ["data.model: is missing", "data.latency_ms: -1 is below 0"]),
        (
            "llm.request.completed",
            {"model": "", "total_tokens": 1.5},
            ["data.model: is empty", "data.total_tokens: 1.5 is not an integer"],
        ),
        ("llm.request.completed", None, ["data: null is not an object"]),
        (
            "memory.tier.access",
            {"tier": "disk", "hit": True},
            [
                'data.tier: "disk" is not one of "redis", "postgres", "chroma", "postgresql", "chromadb",'
                ' "redis_immediate", "postgresql_structured", "chromadb_semantic"'
            ],
        ),
        ("memory.tier.access", {"query": "q"}, ["data: has neither 'tier' and 'hit' nor 'tier_accessed'"]),
        ("memory.tier.access", {"tier_accessed": "redis_immediate"}, []),
        (
            "memory.tier.access",
            {"tier_accessed": "redis_immediate", "latency_by_tier": {"disk": 1}},
            ["data.latency_by_tier: does not know 'disk'"],
        ),
        ("host.cpu", {"percent": 101}, ["data.percent: 101 is above 100"]),
        ("host.cpu", {"percent": 1, "per_core": [1, "x"]}, ['data.per_core[1]: "x" is not a number']),
        ("alert.firing", {"rule": "r", "since": 7}, ["data.since: 7 is not null or text"]),
    ],
)
def test_faults_in_words(type: str, data: Any, messages: list[str]) -> None:
    assert sorted(map(str, SHIPPED.check(type, data))) == sorted(messages)


def test_a_type_without_schema_takes_anything() -> None:
    assert SHIPPED.check("acme.thing", object) == ()
    assert SHIPPED.schema("acme.thing") is None
    assert SHIPPED.nearest("llm.request.complete") == "llm.request.completed"
    assert SHIPPED.nearest("zzz") is None


def test_many_faults_are_cut_and_long_values_shortened() -> None:
    data = {"percent": 1, "per_core": ["x" * 1000] * 50}
    found = SHIPPED.check("host.cpu", data)
    assert len(found) == 20
    assert max(len(str(finding)) for finding in found) < 130


def test_an_operator_s_schema_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "host.cpu.json").write_text('{"type": "object", "required": ["busy"]}')
    (tmp_path / "acme.thing.json").write_text('{"additionalProperties": false, "properties": {"s": {"minLength": 3}}}')
    (tmp_path / "notes.txt").write_text("no schema")
    catalogue = SchemaCatalogue.load(tmp_path)
    assert catalogue.check("host.cpu", {"busy": 1}) == ()
    assert [str(finding) for finding in catalogue.check("host.cpu", {})] == ["data.busy: is missing"]
    assert {str(finding) for finding in catalogue.check("acme.thing", {"a": 1, "s": "x"})} == {
        "data: does not know 'a'",
        'data.s: "x" is too short',
    }
    assert set(catalogue.types) == {*BUILT_IN, "acme.thing"}


def test_a_directory_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert SchemaCatalogue.load(tmp_path / "none").types == SHIPPED.types


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"type":\n "objekt"', ":2:10: expecting ',' delimiter"),
        ('{"type": "objekt"}', ":type: 'objekt' is not valid under any of the given schemas"),
        ('{"properties": {"a": {"minimum": "low"}}}', ":properties.a.minimum: 'low' is not of type 'number'"),
        ('{"$id": "b"}', ":$id: is 'b', but the file is named after the type 'a'"),
        ("[]", ": a schema is a JSON object"),
        ("\udcff", ": is no JSON in UTF-8: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        ('{"pattern": "("}', ': "(" is not a "regex"'),
        (
            '{"$ref": "https://127.0.0.1:1/other.json"}',
            ": Resource 'https://127.0.0.1:1/other.json' is not present in a registry and retrieving it failed: "
            "Retrieval is disabled, cannot fetch https://127.0.0.1:1/other.json",
        ),
        (" " * (MAX_FILE_BYTES + 1), ": is larger than 1,048,576 bytes"),
    ],
)
def test_a_faulty_file_is_named_with_the_place(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(SchemaError) as caught:
        SchemaCatalogue.load(tmp_path)
    assert str(caught.value) == f"{path}{message}"


def test_a_file_whose_name_no_event_can_have_is_told(tmp_path: Path) -> None:
    path = tmp_path / "order placed.json"
    path.write_text("{}")
    with pytest.raises(SchemaError) as caught:
        SchemaCatalogue.load(tmp_path)
    advice = "files are named TYPE.json, of A-Z a-z 0-9 . _ -"
    assert str(caught.value) == f"{path}: 'order placed' is no event type: {advice}"


def test_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text("{")
    with pytest.raises(SchemaError) as caught:
        SchemaCatalogue.load(tmp_path)
    assert [Path(fault.file).name for fault in caught.value.faults] == ["a.json", "b.json"]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(SchemaError, match=r"a\.json: cannot be read: Is a directory"):
        SchemaCatalogue.load(tmp_path)


def test_shipped_files_are_good_schemas() -> None:
    """A load takes them as they are."""
    for type, content in shipped_files():
        assert parse_schema(f"{type}.json", type, content) == json.loads(content)


def test_shipped_files_are_formatted_alike() -> None:
    for type, content in shipped_files():
        assert content.decode() == json.dumps(json.loads(content), indent=2, ensure_ascii=False) + "\n", type
