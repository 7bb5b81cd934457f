"""Flow and network of the newest `platform.snapshot`."""

from __future__ import annotations

import pytest

from hxp_enterprise_llm.event.dashboards.asking import asked
from hxp_enterprise_llm.event.dashboards.panels import compute
from hxp_enterprise_llm.event.dashboards.platform import flow, network
from hxp_enterprise_llm.event.dashboards.queries import QueryFault, check_panel, parse
from hxp_enterprise_llm.event.dashboards.state import DashboardState
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import Event, Offset, encode

SNAPSHOT = {
    "memory": {"flow": [{"from": "query", "to": "redis", "count": 9}, {"from": "redis", "to": "answered", "count": 7}]},
    "collaboration": {"edges": [{"from": "planner", "to": "critic", "count": 4}, {"from": "planner", "to": 3}]},
    "agents": {"agents": [{"id": "planner", "current_load": 2}, {"id": "guard", "current_load": None}, "what"]},
}


def state_with(data: object) -> DashboardState:
    raw = encode(Event(id="p", source="/processing/platform", type="platform.snapshot", time=None, data=data)).raw
    state = DashboardState("e")
    state.take([Stored(offset=Offset(1), type="platform.snapshot", raw=raw)], Offset(1))
    return state


def test_a_flow() -> None:
    [panel] = asked([("flow", "platform:memory")])
    data = compute(panel, state_with(SNAPSHOT), 0.0)
    assert [node["name"] for node in data["nodes"]] == ["query", "redis", "answered"]
    assert data["links"][0] == {"source": "query", "target": "redis", "value": 9}


def test_a_network_leaves_out_what_is_no_hand_off() -> None:
    [panel] = asked([("network", "platform:collaboration")])
    data = compute(panel, state_with(SNAPSHOT), 0.0)
    expected = [("critic", 0), ("guard", 0), ("planner", 2)]
    assert [(node["name"], node["value"]) for node in data["nodes"]] == expected
    assert data["links"] == [{"source": "planner", "target": "critic", "value": 4}]


@pytest.mark.parametrize("snapshot", [{}, {"memory": [], "collaboration": 3, "agents": {"agents": {}}}])
def test_other_forms_are_nothing(snapshot: dict[str, object]) -> None:
    assert flow(snapshot)["links"] == []
    assert network(snapshot)["nodes"] == []


def test_a_snapshot_without_members_is_counted() -> None:
    assert state_with([1]).unreadable == 1


@pytest.mark.parametrize(
    ("panel_type", "text", "message"),
    [
        ("flow", "platform:collaboration", "a flow shows platform:memory"),
        ("network", "platform:memory", "a network shows platform:collaboration"),
        ("stat", "platform:memory", "a stat shows metric, count or promql queries, not platform"),
        ("feed", "metric:tokens", "a feed shows events queries, not metric"),
    ],
)
def test_what_does_not_fit(panel_type: str, text: str, message: str) -> None:
    with pytest.raises(QueryFault, match=message):
        check_panel(parse(text), panel_type)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["platform:agents", "platform:memory[5m]"])
def test_what_there_is_not(text: str) -> None:
    with pytest.raises(QueryFault):
        parse(text)
