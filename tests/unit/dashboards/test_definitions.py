"""Definitions: the shipped set is good, and every fault is said with its place."""

import json
from pathlib import Path
from typing import Any

import pytest

from hxp_enterprise_llm.config.streaming import LiveDashboardConfig
from hxp_enterprise_llm.event.dashboards.definitions import load_definitions, load_text, schema_validator, shipped_names

ROOT = Path(__file__).parents[3]
GOOD: dict[str, Any] = {
    "dashboard_id": "34ae2b7c-3c1e-4d0a-9b2e-6f0f5f1c7a01",
    "dashboard_type": "system_health",
    "update_frequency": 5,
    "data_sources": ["host.*"],
    "panels": [{"panel_id": "cpu_now", "panel_type": "stat", "data_query": "metric:cpu_percent"}],
}


def faults(**changes: Any) -> list[str]:
    """Faults of the good definition with these members changed; None leaves one out."""
    members = {key: value for key, value in (GOOD | changes).items() if value is not None}
    return [str(fault) for fault in load_text("own", "own.json", json.dumps(members, indent=2)).faults]


def panel_faults(**panel: Any) -> list[str]:
    return faults(panels=[GOOD["panels"][0] | panel])


def test_the_shipped_set_is_the_configured_one_and_has_no_fault(tmp_path: Path) -> None:
    names = LiveDashboardConfig().dashboards
    loaded = load_definitions(tmp_path, names)
    assert sorted(names) == shipped_names()
    assert [fault for each in loaded.values() for fault in each.faults] == []
    for name, each in loaded.items():
        assert each.definition is not None
        assert each.definition.dashboard_type == name
        assert each.definition.panels


@pytest.mark.parametrize("name", shipped_names())
def test_the_operators_copies_are_those_of_the_package(name: str) -> None:
    copy = ROOT / "config" / "dashboards" / f"{name}.json"
    shipped = ROOT / "hxp_enterprise_llm" / "event" / "dashboards" / "shipped" / f"{name}.json"
    assert copy.read_text() == shipped.read_text()


def test_the_schema_is_the_seeds_with_optional_members_added() -> None:
    schema = schema_validator().schema
    assert isinstance(schema, dict)
    panel = schema["properties"]["panels"]["items"]["properties"]
    added = {"title", "unit", "scale", "limit", "description", "width"}
    assert set(panel) - added == {"panel_id", "panel_type", "data_query", "refresh_interval"}
    assert set(schema["properties"]) - {"title"} == {
        "dashboard_id",
        "dashboard_type",
        "update_frequency",
        "data_sources",
        "panels",
        "streaming_config",
    }
    assert schema["required"] == ["dashboard_id", "dashboard_type", "update_frequency", "data_sources"]
    assert schema["properties"]["update_frequency"] == {"type": "integer", "minimum": 1, "maximum": 60}
    schema_validator().check_schema(schema)


def test_the_operators_file_wins(tmp_path: Path) -> None:
    (tmp_path / "system_health.json").write_text(json.dumps(GOOD | {"title": "Ours"}))
    loaded = load_definitions(tmp_path, ["system_health", "business_intelligence"])
    ours, shipped = loaded["system_health"].definition, loaded["business_intelligence"].definition
    assert ours is not None
    assert shipped is not None
    assert (ours.title, ours.file) == ("Ours", str(tmp_path / "system_health.json"))
    assert shipped.file == "business_intelligence.json (shipped)"


def test_what_is_left_out_is_filled_in() -> None:
    definition = load_text("own_board", "own.json", json.dumps(GOOD)).definition
    assert definition is not None
    (panel,) = definition.panels
    assert (definition.title, definition.pushed, definition.compressed) == ("Own board", True, True)
    assert (panel.title, panel.scale, panel.limit, panel.refresh_interval) == ("Cpu now", 1.0, None, 0)


def test_both_transports_off_is_not_pushed() -> None:
    for streaming, pushed in [
        ({"websocket_enabled": False, "sse_enabled": False}, False),
        ({"websocket_enabled": False}, True),
    ]:
        definition = load_text("own", "own.json", json.dumps(GOOD | {"streaming_config": streaming})).definition
        assert definition is not None
        assert definition.pushed is pushed


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"update_frequency": None}, "own.json:1:1: update_frequency: is required and missing"),
        ({"update_frequency": 90}, "own.json:4:23: update_frequency: must be at most 60, is 90"),
        ({"update_frequency": 0}, "own.json:4:23: update_frequency: must be at least 1, is 0"),
        (
            {"update_frequency": "5"},
            'own.json:4:23: update_frequency: expected an integer, got "5" (text); leave out the quotes',
        ),
        ({"dashboard_id": "12-34"}, 'own.json:2:19: dashboard_id: must be a UUID, is "12-34"'),
        (
            {"dashboard_type": "system_helth"},
            "own.json:3:21: dashboard_type: must be one of operational_overview, business_intelligence, "
            'performance_metrics, system_health, real_time_analytics, is "system_helth" (did you mean system_health?)',
        ),
    ],
)
def test_a_fault_of_the_head_is_said_with_its_place(changes: dict[str, Any], expected: str) -> None:
    assert faults(**changes) == [expected]


def test_all_faults_are_said_at_once_in_the_order_of_the_file() -> None:
    found = faults(dashboard_id="x", update_frequency=None, data_sources=None)
    assert found == [
        "own.json:1:1: update_frequency: is required and missing",
        "own.json:1:1: data_sources: is required and missing",
        'own.json:2:19: dashboard_id: must be a UUID, is "x"',
    ]


def test_a_misspelt_panel_type() -> None:
    assert panel_faults(panel_type="guage") == [
        "own.json:11:21: panels[0].panel_type: must be one of graph, stat, table, gauge, heatmap, flow, network, feed, "
        'is "guage" (did you mean gauge?)'
    ]


@pytest.mark.parametrize(
    ("panel", "expected"),
    [
        (
            {"data_query": "metric:cpu_percent[2h]"},
            "own.json:12:41: panels[0].data_query: '2h' is out of range: 5s to 1h of history are kept",
        ),
        (
            {"panel_type": "graph"},
            "own.json:12:22: panels[0].data_query: a graph needs a window, e.g. metric:cpu_percent[10m]",
        ),
        (
            {"data_query": ""},
            "own.json:12:21: panels[0].data_query: is missing: a panel needs panel_id, panel_type and data_query",
        ),
    ],
)
def test_a_fault_of_a_panel_costs_that_panel_only(panel: dict[str, Any], expected: str) -> None:
    text = json.dumps(GOOD | {"panels": [GOOD["panels"][0] | panel, GOOD["panels"][0] | {"panel_id": "b"}]}, indent=2)
    loaded = load_text("own", "own.json", text)
    assert [str(fault) for fault in loaded.faults] == [expected]
    assert loaded.definition is not None
    first, second = loaded.definition.panels
    assert (first.query, first.fault) == (None, expected)
    assert second.query is not None


def test_a_panel_id_given_twice() -> None:
    loaded = load_text("own", "own.json", json.dumps(GOOD | {"panels": GOOD["panels"] * 2}, indent=2))
    assert [str(fault) for fault in loaded.faults] == ["own.json:15:19: panels[1].panel_id: 'cpu_now' is given twice"]
    assert loaded.definition is not None
    assert [panel.panel_id for panel in loaded.definition.panels] == ["cpu_now", "panel-2"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"dashboard_id": ', "own.json:1:18: not valid JSON: Expecting value"),
        ('{\n\t"a": 1,\n\t"a": 2}', "own.json:3:7: not valid JSON: the key 'a' is given twice in one object"),
        ("[" * 100_000, "own.json:1:1: not valid JSON: nested too deeply"),
        ("[]", "own.json:1:1: expected a map, got a list"),
    ],
)
def test_text_that_is_no_definition(text: str, expected: str) -> None:
    loaded = load_text("own", "own.json", text)
    assert loaded.definition is None
    assert [str(fault) for fault in loaded.faults] == [expected]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b'{"title": "\xe9"}')
    (tmp_path / "folder.json").mkdir()
    loaded = load_definitions(tmp_path, ["latin", "folder", "none", "status"])
    shipped = "business_intelligence, operational_overview, performance_metrics, real_time_analytics, system_health"
    assert {name: str(each.faults[0]) for name, each in loaded.items()} == {
        "latin": f"{tmp_path}/latin.json: not UTF-8 text (byte 12)",
        "folder": f"{tmp_path}/folder.json: cannot be read: Is a directory",
        "none": f"{tmp_path}/none.json: no such file, and none of that name is shipped (shipped: {shipped})",
        "status": f"{tmp_path}/status.json: 'status' is an address of the service; give the dashboard another name",
    }
