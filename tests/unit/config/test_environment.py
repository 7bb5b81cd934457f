from __future__ import annotations

import string
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.config.environment import (
    PROCESSING_VARIABLES,
    STREAMING_VARIABLES,
    environment_table,
    overlay,
    parsed,
)
from hxp_enterprise_llm.config.fields import leaves
from hxp_enterprise_llm.config.loader import load
from hxp_enterprise_llm.config.paths import dotted, split
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.schema import json_schema, subschema
from hxp_enterprise_llm.config.streaming import StreamingConfig

TABLES = [(StreamingConfig, STREAMING_VARIABLES), (ProcessingConfig, PROCESSING_VARIABLES)]
PROPERTY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
WORDS = {True: ["true", "1", "yes", "TRUE", " Yes "], False: ["false", "0", "no", "No"]}


def _value_at(config: Any, path: str) -> Any:
    value = msgspec.to_builtins(config)
    for step in split(path):
        value = value[step]
    return value


def _values(schema: dict[str, Any], path: str) -> st.SearchStrategy[tuple[Any, str]]:
    """Pairs of a value that the key allows and a text for it."""
    described = subschema(schema, split(path))
    if "enum" in described:
        return st.sampled_from(described["enum"]).map(lambda value: (value, value))
    if path.endswith(("_endpoint", ".endpoint")):
        hosts = st.text(string.ascii_lowercase, min_size=1, max_size=9)
        scheme = next((name for name in ("nats", "redis") if f".{name}." in path), "http")
        return hosts.map(lambda host: (f"{scheme}://{host}:1", f"{scheme}://{host}:1"))
    if described.get("pattern", "").startswith("^/"):
        paths = st.text(string.ascii_lowercase + "/", max_size=9)
        return paths.map(lambda path: (f"/{path}", f"/{path}"))
    if "pattern" in described:
        return st.integers(1, 99).map(lambda number: (f"{number}m", f"{number}m"))
    if described["type"] == "string":
        return st.text(string.printable, max_size=9).map(lambda value: (value, value))
    if described["type"] == "boolean":
        return st.booleans().flatmap(lambda value: st.tuples(st.just(value), st.sampled_from(WORDS[value])))
    if described["type"] == "integer":
        least, most = described["minimum"], described.get("maximum", 2**40)
        return st.integers(least, most).map(lambda value: (value, str(value)))
    if "maximum" in described:
        bounded = st.floats(described["minimum"], described["maximum"])
        return bounded.map(lambda value: (value, repr(value)))
    return st.floats(described.get("minimum", 0.001), 1e6).map(lambda value: (value, repr(value))) | st.integers(
        1, 999
    ).map(lambda value: (value, f" {value} "))


def _settings(config: Any, table: dict[str, str]) -> st.SearchStrategy[dict[str, tuple[Any, str]]]:
    schema = json_schema(config)
    # Sizes that must fit each other are not free, nor is an address that is nothing without streams: see the checks.
    free = {
        name: path
        for name, path in table.items()
        if not path.startswith(("log.", "analytics.", "history.", "forecast.", "sources.redis.endpoint"))
    }
    return st.fixed_dictionaries({}, optional={name: _values(schema, path) for name, path in free.items()})


@PROPERTY
@given(_settings(StreamingConfig, STREAMING_VARIABLES))
def test_any_part_of_the_streaming_environment_arrives(settings: dict[str, tuple[Any, str]]) -> None:
    _check_settings(StreamingConfig, STREAMING_VARIABLES, settings)


@PROPERTY
@given(_settings(ProcessingConfig, PROCESSING_VARIABLES))
def test_any_part_of_the_processing_environment_arrives(settings: dict[str, tuple[Any, str]]) -> None:
    _check_settings(ProcessingConfig, PROCESSING_VARIABLES, settings)


def _check_settings(config: Any, table: dict[str, str], settings: dict[str, tuple[Any, str]]) -> None:
    loaded = load(config, None, {name: text for name, (_, text) in settings.items()})
    for name, path in table.items():
        expected = settings[name][0] if name in settings else _value_at(config(), path)
        origin = f"environment {name}" if name in settings else "default"
        assert (_value_at(loaded.config, path), loaded.origins[path]) == (expected, origin)


@pytest.mark.parametrize(("config", "table"), TABLES)
def test_each_variable_has_a_key_and_each_key_one_variable(config: Any, table: dict[str, str]) -> None:
    places = [dotted(field.path) for field in leaves(config)]
    assert set(table.values()) <= set(places)
    assert len(set(table.values())) == len(table)


def test_processing_names_are_the_upper_cased_paths() -> None:
    assert PROCESSING_VARIABLES["EVENT_PROCESSING_PORT"] == "service.port"
    assert PROCESSING_VARIABLES["EVENT_PROCESSING_LOG_LIMITS_MAX_BATCH_EVENTS"] == "log.limits.max_batch_events"
    assert PROCESSING_VARIABLES["EVENT_PROCESSING_SOURCES_HOST_ENABLED"] == "sources.host.enabled"
    assert "analytics.windows" not in PROCESSING_VARIABLES.values()
    assert "analytics.metrics" not in PROCESSING_VARIABLES.values()


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("9102", "integer", 9102),
        (" 9102 ", "integer", 9102),
        ("-1", "integer", -1),
        ("1.0", "integer", "1.0"),
        ("1_000", "integer", "1_000"),
        ("٣", "integer", "٣"),
        ("9" * 5000, "integer", "9" * 5000),
        ("", "integer", ""),
        ("0.5", "number", 0.5),
        ("1e3", "number", 1000.0),
        ("1e-300", "number", 1e-300),
        (".5", "number", 0.5),
        ("1e999", "number", "1e999"),
        ("nan", "number", "nan"),
        ("inf", "number", "inf"),
        ("2", "number", 2),
        ("YES", "boolean", True),
        ("0", "boolean", False),
        ("on", "boolean", "on"),
        (" text ", "string", " text "),
    ],
)
def test_text_of_a_variable(text: str, kind: str, value: Any) -> None:
    result = parsed(text, kind)
    assert (result, type(result)) == (value, type(value))


def test_unknown_names_of_ours_are_warnings_without_their_values() -> None:
    environ = {
        "WEBSOCKET_MAX_CONNECTION": "s3cret",
        "SSE_XYZ_42": "s3cret",
        "WEB_PORT": "1",
        "EVENT_PROCESSING_PROT": "1",
    }
    assert overlay(StreamingConfig, environ).warnings == (
        "environment SSE_XYZ_42: unknown name, ignored",
        "environment WEBSOCKET_MAX_CONNECTION: unknown name, ignored (did you mean WEBSOCKET_MAX_CONNECTIONS?)",
    )
    assert load(ProcessingConfig, None, environ).warnings == [
        "environment EVENT_PROCESSING_PROT: unknown name, ignored (did you mean EVENT_PROCESSING_PORT?)"
    ]


def test_the_table_for_people() -> None:
    rows = environment_table()
    assert len(rows) == len(STREAMING_VARIABLES) + len(PROCESSING_VARIABLES)
    assert rows[0] == (
        "data-streaming-api",
        "DATA_STREAMING_API_PORT",
        "service.port",
        "TCP port; 0 takes a free one",
    )
    assert all(row.description for row in rows)
