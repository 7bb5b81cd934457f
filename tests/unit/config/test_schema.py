from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest

from hxp_enterprise_llm.config import wording
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.schema import json_schema, key_places, subschema
from hxp_enterprise_llm.config.streaming import StreamingConfig

BOTH = pytest.mark.parametrize("config", [StreamingConfig, ProcessingConfig])
STRUCTURE = {"additionalProperties", "required", "propertyNames"}


def _schemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for inner in [*schema.get("$defs", {}).values(), *schema.get("properties", {}).values()]:
        yield from _schemas(inner)
    for key in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(key), dict):
            yield from _schemas(schema[key])


@BOTH
def test_the_document_is_a_schema_and_the_defaults_are_valid(config: Any) -> None:
    document = json_schema(config)
    jsonschema.Draft202012Validator.check_schema(document)
    jsonschema.Draft202012Validator(document).validate(msgspec.to_builtins(config()))


@BOTH
def test_each_key_is_described_and_says_how_it_is_reloaded(config: Any) -> None:
    document = json_schema(config)
    for name, section in document["$defs"].items():
        for key, described in section["properties"].items():
            if "$ref" not in described:
                assert described["description"], f"{name}.{key}"
                assert "default" in described or key in section["required"], f"{name}.{key}"
    assert subschema(document, ("service", "port"))["x-reload"] == "restart"
    assert subschema(document, ("performance", "log_level"))["x-reload"] == "live"


def test_items_of_a_list_are_reloaded_as_the_list_is() -> None:
    document = json_schema(ProcessingConfig)
    assert subschema(document, ("analytics", "metrics"))["x-reload"] == "live"
    assert "x-reload" not in subschema(document, ("analytics", "metrics", 0, "kind"))


def test_subschema_of_items_and_of_names_that_the_operator_chooses() -> None:
    document = json_schema(StreamingConfig)
    assert subschema(document, ("channels", "mine", "description"))["type"] == "string"
    assert subschema(document, ("live_dashboard", "ports", "x"))["maximum"] == 65535
    with pytest.raises(KeyError, match="prot"):
        subschema(document, ("service", "prot"))


def test_places_of_keys_prefer_the_section_above() -> None:
    places = key_places(json_schema(StreamingConfig))
    assert places["retry_timeout"] == "sse.retry_timeout"
    assert places["port"] == "service.port"
    assert "max_connections" not in places


@BOTH
def test_every_validator_of_the_types_has_words(config: Any) -> None:
    keywords = {key for schema in _schemas(json_schema(config)) for key in schema}
    keywords -= {"$schema", "$ref", "$defs", "title", "description", "properties", "items"}
    keywords -= {"default", "examples", "x-reload"}
    assert keywords - STRUCTURE <= set(wording._MESSAGES)


@BOTH
def test_every_pattern_of_the_types_has_words(config: Any) -> None:
    patterns = {schema["pattern"] for schema in _schemas(json_schema(config)) if "pattern" in schema}
    assert patterns <= set(wording.PATTERNS)
