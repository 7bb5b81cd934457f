from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.config.faults import ConfigFaults, Fault
from hxp_enterprise_llm.config.loader import MAX_FILE_BYTES, load, parse
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.config.types import Seconds, Section

FILE = "service:\n  port: 9200\n  host: 0.0.0.0\nsse:\n  streams: [system_status]\n"


class Small(Section, frozen=True, kw_only=True):
    """A configuration without variables and checks."""

    wait: Seconds = 1


def _refused(path: Path, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigFaults) as caught:
        load(StreamingConfig, path, environ or {})
    return str(caught.value)


def test_without_a_file_the_defaults_hold() -> None:
    loaded = load(StreamingConfig, None, {})
    assert loaded.config == StreamingConfig()
    assert loaded.path is None
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.warnings == []


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}"])
def test_an_empty_file_is_the_defaults(text: str) -> None:
    assert parse(ProcessingConfig, text, {}).config == ProcessingConfig()


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(FILE)
    loaded = load(StreamingConfig, path, {"DATA_STREAMING_API_PORT": "9300", "HOME": "/root"})
    assert loaded.path == path
    assert loaded.config.service.port == 9300
    assert loaded.config.service.host == "0.0.0.0"
    assert loaded.config.service.workers == 1
    assert loaded.origins["service.port"] == "environment DATA_STREAMING_API_PORT"
    assert loaded.origins["service.host"] == f"{path}:3"
    assert loaded.origins["service.workers"] == "default"
    assert loaded.origins["sse.streams[0]"] == f"{path}:5"


def test_origins_name_every_value_once() -> None:
    origins = parse(StreamingConfig, "real_time_notifications: {notification_rules: []}", {}).origins
    assert origins["real_time_notifications.notification_rules"] == "<text>:1"
    assert origins["real_time_notifications.email.to"] == "default"
    assert "service" not in origins


def test_a_rule_has_values_of_the_file_and_defaults() -> None:
    text = "real_time_notifications:\n  notification_rules:\n    - name: a\n      condition: error_rate > 0.2\n"
    origins = parse(StreamingConfig, text, {}, name="f").origins
    rule = "real_time_notifications.notification_rules[0]"
    assert [origins[f"{rule}.{key}"] for key in ("name", "condition", "for")] == ["f:3", "f:4", "default"]


def test_rooms_above_find_the_place_of_a_value() -> None:
    text = "real_time_notifications:\n  notification_rules:\n    - name: a\n      condition: erorr_rate > 0.2\n"
    loaded = parse(StreamingConfig, text, {"SSE_RETRY_TIMEOUT": "7"}, name="f")
    path = "real_time_notifications.notification_rules[0].condition"
    assert loaded.fault(path, "unknown metric") == Fault("file", "f", 4, 18, path, "unknown metric")
    assert str(loaded.fault("sse.retry_timeout", "m")) == "environment SSE_RETRY_TIMEOUT: sse.retry_timeout: m"


def test_a_default_is_found_at_the_nearest_thing_around_it() -> None:
    loaded = parse(StreamingConfig, "websocket:\n  enabled: true\n", {}, name="f")
    assert str(loaded.fault("websocket.channels[2]", "m")) == "f:2:3: websocket.channels[2]: m"
    assert str(loaded.fault("sse.streams", "m")) == "f: sse.streams: m"
    assert str(load(StreamingConfig, None, {}).fault("sse.streams", "m")) == "defaults: sse.streams: m"
    assert str(loaded.fault("", "m")) == "f:1:1: m"


def test_a_faulty_variable_is_named() -> None:
    environ = {"DATA_STREAMING_API_PORT": "91O2", "WEBSOCKET_ENABLED": "perhaps", "DASHBOARD_REFRESH_MODE": "detla"}
    with pytest.raises(ConfigFaults) as caught:
        parse(StreamingConfig, "sse: {retry_timeout: 0}", environ, name="f")
    assert str(caught.value).splitlines() == [
        "f:1:22: sse.retry_timeout: must be at least 1, is 0",
        'environment DATA_STREAMING_API_PORT: service.port: expected an integer, got "91O2" (text)',
        'environment WEBSOCKET_ENABLED: websocket.enabled: expected true or false, got "perhaps" (text)',
        "environment DASHBOARD_REFRESH_MODE: dashboard_refresh.mode: must be one of delta, full, incremental, smart,"
        ' is "detla" (did you mean delta?)',
    ]
    assert caught.value.faults[1].source == "environment"
    assert caught.value.faults[1].name == "DATA_STREAMING_API_PORT"


def test_a_check_on_a_variable_names_it() -> None:
    with pytest.raises(ConfigFaults) as caught:
        load(StreamingConfig, None, {"METRICS_SERVER_ENDPOINT": "prometheus:9090"})
    assert str(caught.value) == (
        "environment METRICS_SERVER_ENDPOINT: monitoring.metrics_server_endpoint: must be a URL such as"
        ' http://192.168.10.37:9090, is "prometheus:9090"'
    )


def test_a_good_variable_does_not_hide_a_fault_of_the_file() -> None:
    with pytest.raises(ConfigFaults) as caught:
        parse(StreamingConfig, "service: {port: 91O2}", {"DATA_STREAMING_API_PORT": "9102"}, name="f")
    assert str(caught.value) == 'f:1:17: service.port: expected an integer, got "91O2" (text)'


def test_a_check_is_left_out_when_what_it_reads_is_faulty() -> None:
    text = "channels: {mine: {typs: ['*']}}\nwebsocket: {channels: [mine]}\nsecurity: {trusted_networks: [x]}\n"
    with pytest.raises(ConfigFaults) as caught:
        parse(StreamingConfig, text, {})
    assert [fault.path for fault in caught.value.faults] == [
        "channels.mine.types",
        "channels.mine.typs",
        "security.trusted_networks[0]",
    ]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    assert _refused(path) == f"{path}: cannot be read: No such file or directory"
    assert _refused(tmp_path) == f"{tmp_path}: cannot be read: Is a directory"


def test_a_file_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("service:\n  name: Büro\n".encode("latin-1"))
    assert _refused(path) == f"{path}:2:10: not UTF-8: the byte 0xFC"
    path.write_bytes(b"\xef\xbb\xbf" + "# ü\nservice: ü\xff".encode() + b"\xff")
    assert _refused(path) == f"{path}:2:12: not UTF-8: the byte 0xFF"


def test_a_byte_order_mark_is_no_character(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + b"prot: 1\n")
    assert _refused(path) == f"{path}:1:1: prot: unknown key"


def test_a_file_of_the_other_service_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("log: {}\nanalytics: {}\nwebsocket: {}\n")
    assert _refused(path) == (
        f"{path}:1:1: log: unknown key (it belongs into the file of event processing)\n"
        f"{path}:2:1: analytics: unknown key (it belongs into the file of event processing)"
    )
    with pytest.raises(ConfigFaults, match=r"3:1: websocket: unknown key \(it belongs into the file of the gateway\)"):
        load(ProcessingConfig, path, {})


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    assert _refused(path) == f"{path}: not a configuration: larger than 1048576 bytes"


def test_syntax_faults_come_with_those_of_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("a: [")
    assert [line.split(": ")[0] for line in _refused(path, {"SSE_ENABLED": "?"}).splitlines()] == [
        f"{path}:1:5",
        "environment SSE_ENABLED",
    ]


def test_a_configuration_without_variables_and_checks() -> None:
    assert parse(Small, "wait: 3", {"WAIT": "4"}).config == Small(wait=3)


def test_warnings_do_not_stop_the_load() -> None:
    loaded = parse(ProcessingConfig, "service:\n  workers: 2\n", {}, name="f")
    assert loaded.config.service.workers == 2
    assert loaded.warnings == ["f:2:12: service.workers: event processing is one process; 2 are taken as 1"]


def test_the_gateway_takes_several_processes() -> None:
    assert parse(StreamingConfig, "service:\n  workers: 2\n", {}, name="f").warnings == []


def test_a_shipped_rule_whose_channel_is_off_is_a_warning() -> None:
    text = "real_time_notifications:\n  notification_channels: [email, sse]\n"
    assert parse(StreamingConfig, text, {}, name="f").warnings == [
        "f:2:3: real_time_notifications.notification_rules[1].channel: the rule 'performance_warning' goes to"
        " websocket, which notification_channels does not list"
    ]


def test_a_value_that_a_variable_overrules_is_a_warning() -> None:
    """The shipped .env sets most values: who edits the YAML must hear that it changes nothing."""
    text = "websocket: {max_connections: 1000, heartbeat_interval: 30}"
    environ = {"WEBSOCKET_MAX_CONNECTIONS": "200", "WEBSOCKET_HEARTBEAT_INTERVAL": "30", "SSE_MAX_CONNECTIONS": "7"}
    loaded = parse(StreamingConfig, text, environ, name="f")
    assert loaded.config.websocket.max_connections == 200
    assert loaded.warnings == [
        "f:1:30: websocket.max_connections: not in force: the variable WEBSOCKET_MAX_CONNECTIONS says 200"
    ]


def test_fewer_dashboards_leave_the_default_ports_alone() -> None:
    loaded = parse(StreamingConfig, "live_dashboard: {dashboards: [system_health]}", {})
    assert loaded.config.live_dashboard.dashboards == ["system_health"]


def test_free_ports_do_not_clash() -> None:
    text = "service: {port: 0}\nlive_dashboard: {ports: {system_health: 0, performance_metrics: 0}}"
    assert parse(StreamingConfig, text, {}).config.live_dashboard.ports == {
        "system_health": 0,
        "performance_metrics": 0,
    }


@pytest.mark.parametrize("text", ["Ops <ops@example.org>", "a@example.org, b@example.org"])
def test_mail_addresses_are_plain_and_one_in_each_place(text: str) -> None:
    with pytest.raises(ConfigFaults, match=r"email\.to\[0\]: must be a mail address such as ops@example\.org, is"):
        parse(StreamingConfig, f"real_time_notifications: {{email: {{to: ['{text}']}}}}", {})


def test_a_metric_over_no_duration_at_all() -> None:
    text = "analytics: {metrics: [{name: a, types: ['*'], kind: count, window: \"1m\\n\"}]}"
    with pytest.raises(ConfigFaults, match=r"analytics\.metrics\[0\]\.window: must be one of analytics\.windows"):
        parse(ProcessingConfig, text, {})


def test_windows_of_metrics_may_be_written_differently() -> None:
    text = "analytics: {windows: [1m], metrics: [{name: a, types: ['*'], kind: count, window: 60s}]}"
    assert parse(ProcessingConfig, text, {}).config.analytics.metrics[0].window == "60s"


def test_extension_attributes_are_accepted_with_a_warning() -> None:
    text = "analytics: {metrics: [{name: a, types: ['*'], kind: distinct, field: tenant}]}"
    assert parse(ProcessingConfig, text, {}, name="f").warnings == [
        "f:1:70: analytics.metrics[0].field: tenant is taken for an extension attribute of events;"
        " the member of data is data.tenant"
    ]


def test_networks_of_both_families_and_single_hosts_are_accepted() -> None:
    networks = "[10.0.0.0/8, 'fd00::/8', 192.168.10.7, '::1/128']"
    text = f"security: {{trusted_networks: {networks}, allowed_hosts: [llm.example.org]}}"
    assert len(parse(ProcessingConfig, text, {}).config.security.trusted_networks) == 4


def test_origins_with_a_port_are_accepted() -> None:
    text = "security: {allowed_origins: ['https://ops.example.org:8443/', 'http://[::1]:3000']}"
    assert len(parse(StreamingConfig, text, {}).config.security.allowed_origins) == 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from([*StreamingConfig.__struct_fields__, "port", "a.b", ""])
INNER = st.dictionaries(
    st.sampled_from(["port", "enabled", "channels", "streams", "notification_rules", "trusted_networks", "ports"]),
    VALUES,
    max_size=3,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, VALUES | INNER, max_size=4) | VALUES)
def test_whatever_the_file_holds_it_loads_or_is_refused_with_places(data: Any) -> None:
    text = yaml.safe_dump(data)
    faults: tuple[Fault, ...] = ()
    try:
        parse(StreamingConfig, text, {})
    except ConfigFaults as refused:
        faults = refused.faults or (Fault("file", "", 0, 0, "", "refused without a reason"),)
    assert all(fault.line and fault.message for fault in faults)
