"""What is checked of a configuration beyond the file itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from hxp_enterprise_llm.config.faults import ConfigFaults
from hxp_enterprise_llm.config.loader import load
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.sources.schema_files import shipped_files
from hxp_enterprise_llm.orchestration.check import check_processing, check_streaming, declared_metrics

SHIPPED = Path(__file__).parents[3] / "config" / "services"
RULE = "real_time_notifications:\n  notification_rules:\n    - {name: one, condition: queue_depth > 5}\n"


def test_the_shipped_files_are_counted():
    """Both pass, and the report says what they hold."""
    processing = check_processing(load(ProcessingConfig, SHIPPED / "event-processing.yaml", {}))
    path = SHIPPED / "data-streaming-api.yaml"
    streaming = check_streaming(load(StreamingConfig, path, {}), declared_metrics(path, {}))
    assert processing.found == {"metrics": 12, "schemas": len(list(shipped_files()))}
    assert streaming.found == {"channels": 17, "rules": 3, "dashboards": 5}


def test_conditions_may_use_what_the_sibling_file_declares(tmp_path):
    """A metric of one's own is known when event-processing.yaml beside it declares it, and only then."""
    path = tmp_path / "data-streaming-api.yaml"
    path.write_text(RULE)
    loaded = load(StreamingConfig, path, {})
    with pytest.raises(ConfigFaults, match="queue_depth"):
        check_streaming(loaded, declared_metrics(path, {}))
    metrics = "analytics:\n  metrics:\n    - {name: queue_depth, types: [queue.*], kind: last, field: data.depth}\n"
    (tmp_path / "event-processing.yaml").write_text(metrics)
    assert check_streaming(loaded, declared_metrics(path, {})).found["rules"] == 1


def test_faults_of_every_kind_are_said_at_once(tmp_path):
    """Whoever mends a file of keys should not learn only then that a condition is wrong too."""
    path, templates = tmp_path / "data-streaming-api.yaml", tmp_path / "templates"
    templates.mkdir()
    (templates / "text.j2").write_text("{{ unclosed")
    path.write_text(f"{RULE}  templates: {templates}\nsecurity: {{api_keys_file: /nowhere/keys}}\n")
    with pytest.raises(ConfigFaults) as caught:
        check_streaming(load(StreamingConfig, path, {}), declared_metrics(path, {}))
    said = str(caught.value)
    assert len(said.splitlines()) == 3
    assert "security.api_keys_file: /nowhere/keys: cannot be read" in said
    assert "unknown metric 'queue_depth'" in said
    assert f"{templates}/text.j2:1:1: " in said


def test_a_faulty_schema_is_named_with_its_file(tmp_path):
    """An operator's schema that is no schema stops the start."""
    schema = tmp_path / "queue.depth.json"
    schema.write_text('{"type": "objekt"}')
    config = tmp_path / "event-processing.yaml"
    config.write_text(f"ingest: {{schemas_directory: {tmp_path}}}\n")
    with pytest.raises(ConfigFaults, match="objekt") as refused:
        check_processing(load(ProcessingConfig, config, {}))
    assert str(schema) in str(refused.value)


def test_a_faulty_dashboard_is_a_warning(tmp_path):
    """The others go on: it is shown in its place, and named here."""
    (tmp_path / "system_health.json").write_text('{"dashboard_type": "system_health"}')
    config = tmp_path / "data-streaming-api.yaml"
    config.write_text(f"live_dashboard: {{directory: {tmp_path}}}\n")
    report = check_streaming(load(StreamingConfig, config, {}), declared_metrics(config, {}))
    assert any("system_health.json:1:1" in warning and "dashboard_id" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("name", "config", "check"),
    [
        ("event-processing.yaml", ProcessingConfig, check_processing),
        (
            "data-streaming-api.yaml",
            StreamingConfig,
            lambda loaded: check_streaming(loaded, declared_metrics(None, {})),
        ),
    ],
)
def test_a_faulty_file_of_keys_is_named_where_the_configuration_names_it(tmp_path, name, config, check):
    """The line of the configuration, the file of keys, and the entry in it."""
    keys, path = tmp_path / "keys.yaml", tmp_path / name
    keys.write_text("- {id: ci}\n")
    path.write_text(f"security:\n  api_keys_file: {keys}\n")
    with pytest.raises(ConfigFaults, match=f"{name}:2:18: security.api_keys_file: {keys}: entry 1: must have id"):
        check(load(config, path, {}))
