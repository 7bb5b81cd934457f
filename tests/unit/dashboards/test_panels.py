"""What each kind of panel carries."""

from typing import Any

from hxp_enterprise_llm.event.dashboards.model import Panel
from hxp_enterprise_llm.event.dashboards.panels import compute
from hxp_enterprise_llm.event.dashboards.queries import PanelType, parse
from hxp_enterprise_llm.event.dashboards.state import DashboardState
from tests.unit.dashboards.support import METRICS, START, event, seconds_of, snapshot, state_of

NOW = START + 61


def panel(type: PanelType, query: str, **more: Any) -> Panel:
    return Panel(panel_id="p", panel_type=type, title="P", text=query, query=parse(query), **more)


def data(type: PanelType, query: str, state: DashboardState, **more: Any) -> dict[str, Any]:
    head = {"panel_id", "panel_type", "title", "unit", "query", "scale"}
    whole = compute(panel(type, query, **more), state, NOW)
    assert head <= whole.keys()
    return {key: value for key, value in whole.items() if key not in head}


def test_a_value_now() -> None:
    state = state_of(snapshot(START))
    assert data("stat", "metric:cpu_percent", state) == {"kind": "value", "value": 38.0}


def test_a_value_that_is_not_known_is_null() -> None:
    assert data("stat", "metric:latency", state_of(snapshot(START, METRICS | {"latency": None})))["value"] is None
    assert data("stat", "metric:whatever", DashboardState()) == {"kind": "value", "value": None}
    assert data("graph", "metric:a[5m]", DashboardState()) == {"kind": "series", "start": 0, "step": 1, "series": {}}
    assert data("table", "metric:a", DashboardState()) == {"kind": "table", "columns": [], "rows": []}
    assert data("table", "windows:a", DashboardState()) == {"kind": "table", "columns": [], "rows": []}


def test_a_scaled_value_with_its_history_and_limit() -> None:
    state = state_of(*seconds_of(60, error_rate=0.031))
    answer = data("stat", "metric:error_rate[1m]", state, scale=100.0, limit=20, description="share")
    assert answer["value"] == 3.1
    assert (answer["start"], answer["step"]) == (int(START), 1)
    assert answer["series"] == {"error_rate": [3.1] * 60}
    assert (answer["limit"], answer["description"]) == (20, "share")


def test_a_graph_of_several_metrics() -> None:
    answer = data("graph", "metric:latency_p*[5m]", state_of(*seconds_of(60)))
    assert list(answer["series"]) == ["latency_p50", "latency_p95", "latency_p99"]
    assert (answer["kind"], answer["step"], len(answer["series"]["latency_p50"])) == ("series", 2, 150)


def test_a_table_of_metrics_and_one_of_windows() -> None:
    state = state_of(snapshot(START, METRICS | {"latency_p95": None}))
    assert data("table", "metric:latency_p50,latency_p95", state) == {
        "kind": "table",
        "columns": ["metric", "now", "unit"],
        "rows": [["latency_p50", 400.0, "ms"], ["latency_p95", None, "ms"]],
    }
    assert data("table", "windows:tokens", state) == {
        "kind": "table",
        "columns": ["metric", "10s", "1m"],
        "rows": [["tokens", 58_000.0, 58_000.0]],
    }


def test_counts_as_value_table_and_series() -> None:
    many = [event("llm.b") for _ in range(3)]
    state = state_of(snapshot(START + 50), event("llm.a"), *many, snapshot(START + 60))
    assert data("stat", "count:llm.*[1m]", state) == {"kind": "value", "value": 4}
    assert data("stat", "count:nothing[1m]", state)["value"] == 0
    assert data("table", "count:llm.*[1m]", state)["rows"] == [["llm.b", 3], ["llm.a", 1]]
    heat = data("heatmap", "count:llm.*[1m]", state)
    assert (heat["kind"], heat["step"]) == ("series", 5)
    assert heat["series"]["llm.b"][-3:] == [0, 3, 0]


def test_events() -> None:
    state = state_of(*[event("llm.a", data={"n": n}) for n in range(5)])
    answer = data("table", "events:llm.*[2]", state)
    assert [row["data"] for row in answer["events"]] == [{"n": 3}, {"n": 4}]


def test_the_unit_is_the_definitions_or_the_metrics() -> None:
    state = state_of(snapshot(START))
    assert compute(panel("graph", "metric:latency_p50,latency_p95[5m]"), state, NOW)["unit"] == "ms"
    assert compute(panel("table", "metric:latency_p50,tokens"), state, NOW)["unit"] == ""
    assert compute(panel("stat", "metric:latency_p50", unit="s"), state, NOW)["unit"] == "s"


def test_a_fault_keeps_its_place() -> None:
    state = state_of(snapshot(START))
    assert data("stat", "metric:latncy", state) == {
        "kind": "fault",
        "fault": "metric:latncy: no metric is named 'latncy' (did you mean latency?)",
    }
    broken = Panel(panel_id="p", panel_type="stat", title="P", fault="own.json:3:1: wrong")
    assert compute(broken, state, NOW)["fault"] == "own.json:3:1: wrong"
