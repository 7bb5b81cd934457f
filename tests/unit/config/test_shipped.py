"""The seed's YAML and .env as they stand, and the files that we ship."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from hxp_enterprise_llm.config.environment import STREAMING_VARIABLES
from hxp_enterprise_llm.config.loader import load, parse
from hxp_enterprise_llm.config.paths import split
from hxp_enterprise_llm.config.processing import ProcessingConfig, default_metrics
from hxp_enterprise_llm.config.streaming import StreamingConfig

ROOT = Path(__file__).parents[3]
SEED = ROOT / "tests" / "data" / "seed003"
SHIPPED = ROOT / "config" / "services"


def _variables(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def _at(data: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        data = data[step]
    return data


def _leaves(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    if isinstance(data, dict):
        return [leaf for key, value in data.items() for leaf in _leaves(value, (*path, key))]
    if isinstance(data, list):
        return [leaf for index, value in enumerate(data) for leaf in _leaves(value, (*path, index))]
    return [(path, data)]


def _uncommented(path: Path) -> str:
    return re.sub(r"^#(?=  |\S)", "", path.read_text(), flags=re.MULTILINE)


SEED_VARIABLES = _variables(SEED / "data-streaming-api.env")


def test_the_seed_yaml_loads_as_it_stands() -> None:
    loaded = load(StreamingConfig, SEED / "data-streaming-api.yaml", {})
    config = msgspec.to_builtins(loaded.config)
    leaves = _leaves(yaml.safe_load((SEED / "data-streaming-api.yaml").read_text()))
    assert len(leaves) > 54
    for path, value in leaves:
        assert _at(config, path) == value, path
    assert loaded.warnings == []


def test_the_seed_env_loads_as_it_stands() -> None:
    loaded = load(StreamingConfig, SEED / "data-streaming-api.yaml", SEED_VARIABLES)
    assert loaded.config == load(StreamingConfig, SEED / "data-streaming-api.yaml", {}).config
    assert loaded.warnings == []


def test_the_seed_yaml_names_no_state_directory_so_that_of_its_unit_is_taken() -> None:
    """The units may write nowhere else: else the platform's own file would not start under them."""
    unit = {"STATE_DIRECTORY": "/var/lib/citadel/data-streaming-api:/other"}
    loaded = load(StreamingConfig, SEED / "data-streaming-api.yaml", unit)
    assert loaded.config.state.directory == "/var/lib/citadel/data-streaming-api"
    assert loaded.origins["state.directory"] == "environment STATE_DIRECTORY"
    named = parse(ProcessingConfig, "state: {directory: /srv/log}", unit)
    assert (named.config.state.directory, named.warnings) == ("/srv/log", [])
    variable = parse(StreamingConfig, "", unit | {"DATA_STREAMING_STATE_DIRECTORY": "/srv/state"})
    assert variable.config.state.directory == "/srv/state"
    assert parse(StreamingConfig, "", {}).config.state.directory == "data"


def test_the_table_has_the_names_of_the_seed() -> None:
    assert len(SEED_VARIABLES) == 43
    assert list(STREAMING_VARIABLES)[:43] == list(SEED_VARIABLES)


@pytest.mark.parametrize("name", SEED_VARIABLES)
def test_each_name_of_the_seed_changes_its_value_and_no_other(name: str) -> None:
    other = {"true": "false", "incremental": "delta", "high": "low"}
    text = SEED_VARIABLES[name]
    changed = str(int(text) + 1) if text.isdecimal() else other.get(text, "http://10.1.2.3:4567")
    before = dict(_leaves(msgspec.to_builtins(parse(StreamingConfig, "", SEED_VARIABLES).config)))
    after = dict(_leaves(msgspec.to_builtins(parse(StreamingConfig, "", SEED_VARIABLES | {name: changed}).config)))
    assert [path for path in before if before[path] != after[path]] == [split(STREAMING_VARIABLES[name])]


def test_the_shipped_gateway_has_every_value_of_the_seed() -> None:
    shipped = yaml.safe_load((SHIPPED / "data-streaming-api.yaml").read_text())
    for path, value in _leaves(yaml.safe_load((SEED / "data-streaming-api.yaml").read_text())):
        assert _at(shipped, path) == value, path


def test_the_shipped_gateway_loads() -> None:
    loaded = load(StreamingConfig, SHIPPED / "data-streaming-api.yaml", _variables(SHIPPED / "data-streaming-api.env"))
    assert loaded.config.security.trusted_networks == ["192.168.10.0/24"]
    assert loaded.config.state.directory == "/var/lib/citadel/data-streaming-api"
    assert loaded.warnings == []


def test_the_shipped_env_is_the_seed_env() -> None:
    assert (SHIPPED / "data-streaming-api.env").read_text() == (SEED / "data-streaming-api.env").read_text()


def test_the_shipped_event_processing_loads() -> None:
    loaded = load(ProcessingConfig, SHIPPED / "event-processing.yaml", {})
    assert (loaded.config.service.host, loaded.config.service.port) == ("0.0.0.0", 9100)
    assert loaded.config.security.trusted_networks == ["192.168.10.0/24"]
    assert loaded.config.state.directory == "/var/lib/citadel/event-processing"
    assert loaded.warnings == []


def test_what_the_shipped_files_show_in_comments_loads() -> None:
    gateway = parse(StreamingConfig, _uncommented(SHIPPED / "data-streaming-api.yaml"), {}).config
    assert gateway.real_time_notifications.email.to == ["ops@example.org"]
    assert gateway.real_time_notifications.slack.channel == "#llm-ops"
    assert list(gateway.channels) == ["failures"]
    processing = parse(ProcessingConfig, _uncommented(SHIPPED / "event-processing.yaml"), {})
    assert processing.config.analytics.metrics == default_metrics()
    assert processing.origins["analytics.metrics[0].name"] != "default"
