"""`hxp check-config` and `hxp config show|schema|env`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from hxp_enterprise_llm.cli.config import kind_of
from hxp_enterprise_llm.config.environment import environment_table
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig

Hxp = Callable[..., Result]
GOOD = "service:\n  port: 9102\n"
TYPO = "real_time_notifications:\n  notification_rules:\n    - name: slow\n      condition: latencyy > 2000\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory without a configuration, so that only the test's files count."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_good_file(hxp: Hxp) -> None:
    path = written("data-streaming-api.yaml", GOOD)
    result = hxp("check-config", str(path))
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "data-streaming-api.yaml\n  SUCCESS: 17 channels, 3 rules, 5 dashboards\n"


def test_event_processing(hxp: Hxp) -> None:
    result = hxp("check-config", "-", input="analytics:\n  tick: 2\n")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("<stdin>\n  SUCCESS: 12 metrics, ")


def test_all_faults_of_all_files(hxp: Hxp) -> None:
    bad = written("data-streaming-api.yaml", "service:\n  port: 91O2\nwebsocket:\n  heartbeat_intervall: 3\n")
    good = written("event-processing.yaml", "service:\n  port: 9100\n")
    result = hxp("check-config", str(bad), str(good))
    assert result.exit_code == 78
    assert "event-processing.yaml\n  SUCCESS: " in result.stdout
    first, second, last = result.stderr.splitlines()
    assert first.startswith("  data-streaming-api.yaml:2:9: service.port: ")
    assert second.startswith("  data-streaming-api.yaml:4:3: websocket.heartbeat_intervall: unknown key")
    assert last == "  FAILED: 2 faults"


def test_a_condition_with_a_typo_has_its_place(hxp: Hxp) -> None:
    result = hxp("check-config", "-", input=TYPO)
    assert result.exit_code == 78
    place = "  <stdin>:4:18: real_time_notifications.notification_rules[0].condition: "
    assert result.stderr.startswith(place)
    assert "latency" in result.stderr
    assert result.stderr.endswith("  FAILED: 1 fault\n")


def test_conditions_know_the_metrics_of_the_sibling_file(hxp: Hxp) -> None:
    metric = "analytics:\n  metrics:\n    - {name: latencyy, types: ['*'], kind: count}\n"
    written("event-processing.yaml", metric)
    path = written("data-streaming-api.yaml", TYPO)
    assert hxp("check-config", str(path)).exit_code == 0


def test_warnings_do_not_fail(hxp: Hxp) -> None:
    result = hxp("check-config", "-", input=GOOD, env={"WEBSOCKET_MAX_CONECTIONS": "3"})
    assert result.exit_code == 0
    assert "  WARNING environment WEBSOCKET_MAX_CONECTIONS: " in result.stderr


def test_without_a_name_the_checkouts_files_are_checked(hxp: Hxp) -> None:
    result = hxp("check-config")
    assert result.exit_code == 2
    assert "There is no config/services/*.yaml here: name a FILE, or - for stdin." in result.stderr
    written("config/services/data-streaming-api.yaml", GOOD)
    assert hxp("check-config").exit_code == 0


def test_a_file_that_is_not_there(hxp: Hxp) -> None:
    result = hxp("check-config", "nowhere.yaml")
    assert result.exit_code == 2
    assert "'nowhere.yaml' does not exist" in result.stderr


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("event-processing.yaml", "", ProcessingConfig),
        ("data-streaming-api.yaml", "log: x", StreamingConfig),
        ("site.yaml", "service: {}\nanalytics:\n  tick: 1\n", ProcessingConfig),
        ("site.yaml", "websocket:\n  log: x\n", StreamingConfig),
        ("", "", StreamingConfig),
        ("budgets.yaml", "platform: {}\n", ProcessingConfig),
        ("kept.yaml", "service: {}\nhistory: {}\n", ProcessingConfig),
    ],
)
def test_the_kind_is_told_by_name_else_by_content(name: str, text: str, kind: type) -> None:
    assert kind_of(name, text) is kind


def test_show_has_values_and_origins(hxp: Hxp) -> None:
    path = written("data-streaming-api.yaml", GOOD)
    result = hxp("config", "show", str(path), env={"WEBSOCKET_MAX_CONNECTIONS": "7"})
    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout)["websocket"]["max_connections"] == 7
    lines = result.stdout.splitlines()
    assert any("max_connections: 7" in line and "# environment WEBSOCKET_MAX_CONNECTIONS" in line for line in lines)
    assert any("port: 9102" in line and "# data-streaming-api.yaml:2" in line for line in lines)


def test_show_without_a_file_has_the_defaults(hxp: Hxp) -> None:
    streaming = yaml.safe_load(hxp("config", "show").stdout)
    processing = yaml.safe_load(hxp("config", "show", "--service", "processing").stdout)
    assert (streaming["service"]["port"], processing["service"]["port"]) == (9102, 9100)


def test_show_of_a_faulty_file(hxp: Hxp) -> None:
    result = hxp("config", "show", "-", input="service:\n  port: x\n")
    assert result.exit_code == 78
    assert result.stderr.startswith("<stdin>:2:9: service.port: ")


def test_schema_is_json(hxp: Hxp) -> None:
    for service in ("streaming", "processing"):
        assert "$schema" in json.loads(hxp("config", "schema", "--service", service).stdout)


def test_env_lists_every_variable_with_its_value(hxp: Hxp) -> None:
    endpoint = "http://user:pa55@host:9090"
    result = hxp("config", "env", env={"DATA_STREAMING_API_PORT": "9", "METRICS_SERVER_ENDPOINT": endpoint})
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()}
    assert set(rows) == {row.name for row in environment_table()}
    assert rows["DATA_STREAMING_API_PORT"] == ["service.port", "9"]
    assert rows["METRICS_SERVER_ENDPOINT"][1] == "http://***@host:9090"


def test_a_broken_schema_of_the_operator_is_named(hxp: Hxp) -> None:
    schema = written("schemas/my.type.json", '{"type": "objekt"}')
    path = written("event-processing.yaml", "ingest:\n  schemas_directory: schemas\n")
    result = hxp("check-config", str(path))
    assert result.exit_code == 78
    assert result.stderr.startswith(f"  {schema}: ")
    assert "objekt" in result.stderr
