"""What refreshes carry in each mode, and who has its turn."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.config.streaming import DashboardRefreshConfig
from hxp_enterprise_llm.event.dashboards.delta import apply
from hxp_enterprise_llm.event.dashboards.model import View
from hxp_enterprise_llm.event.dashboards.refresh import Due, Mode, carry, mode_in_use, plan

MODES: list[Mode] = ["full", "incremental", "delta", "smart"]

_number = st.none() | st.integers(0, 3)
_panel = st.fixed_dictionaries({"value": _number}, optional={"series": st.lists(_number, max_size=6)})
_panels = st.dictionaries(st.sampled_from(["a", "b", "c"]), _panel, min_size=1)


def view(panels: dict[str, Any], revision: int) -> View:
    named = {name: {"panel_id": name} | panel for name, panel in panels.items()}
    return View(dashboard="d", at="2026-11-20T17:34:31Z", position=9, revision=f"r.{revision}", panels=named)


def received(shown: dict[str, Any] | None, data: dict[str, Any]) -> dict[str, Any]:
    """What a client shows after a refresh: the panels by their id."""
    shown = {} if data["mode"] == "full" or shown is None else deepcopy(shown)
    for panel in data.get("panels", ()):
        shown[panel["panel_id"]] = panel
    for name, delta in data.get("delta", {}).items():
        shown[name] = apply(shown[name], delta)
    return shown


@given(st.lists(_panels, min_size=1, max_size=6), st.sampled_from(MODES))
@settings(max_examples=60)
def test_base_and_refreshes_give_the_whole(states: list[dict[str, Any]], mode: Mode) -> None:
    base: View | None = None
    shown: dict[str, Any] | None = None
    for number, panels in enumerate(states):
        new = view(panels, number)
        data = carry(mode, base, new)
        assert data is not None
        assert data["base"] == (None if data["mode"] == "full" else f"r.{number - 1}")
        shown, base = received(shown, data), new
        assert shown == new.panels


def test_nothing_changed_is_no_refresh() -> None:
    same = view({"a": {"value": 1}}, 1)
    assert [carry(mode, same, same) for mode in MODES] == [None] * 4


@pytest.mark.parametrize("mode", MODES)
def test_without_a_base_or_with_other_panels_it_is_full(mode: Mode) -> None:
    first, other = view({"a": {"value": 1}}, 1), view({"b": {"value": 1}}, 2)
    for base in (None, first):
        data = carry(mode, base, other)
        assert data is not None
        assert (data["mode"], data["base"], len(data["panels"])) == ("full", None, 1)


def test_what_each_mode_carries() -> None:
    long = list(range(100))
    base = view({"a": {"value": 1}, "b": {"series": long}}, 1)
    new = view({"a": {"value": 1}, "b": {"series": [*long[1:], 100]}}, 2)
    found = {mode: carry(mode, base, new) for mode in MODES}
    moved = {"b": {"extend": {"/series": {"drop": 1, "add": [100]}}}}
    assert {mode: data and data["mode"] for mode, data in found.items()} == {
        "full": "full",
        "incremental": "incremental",
        "delta": "delta",
        "smart": "delta",
    }
    assert found["incremental"] is not None
    assert found["incremental"]["panels"] == [new.panels["b"]]
    assert found["delta"] is not None
    assert found["delta"]["delta"] == moved


def test_smart_sends_whole_panels_when_that_is_shorter() -> None:
    base = view({"a": {f"key{n}": n for n in range(10)}}, 1)
    data = carry("smart", base, view({"a": {}}, 2))
    assert data is not None
    assert (data["mode"], data["panels"]) == ("incremental", [{"panel_id": "a"}])


@pytest.mark.parametrize(
    ("mode", "off", "used"),
    [
        ("full", [], "full"),
        ("full", ["full_refresh"], "incremental"),
        ("incremental", ["full_refresh"], "incremental"),
        ("incremental", ["incremental_update"], "delta"),
        ("delta", ["delta_sync", "incremental_update"], "smart"),
        ("smart", ["smart_refresh"], "delta"),
        ("smart", ["full_refresh", "incremental_update", "delta_sync", "smart_refresh"], "smart"),
    ],
)
def test_a_strategy_that_is_off_is_replaced_by_the_nearest(mode: Mode, off: list[str], used: Mode) -> None:
    assert mode_in_use(mode, [{name: False} for name in off]) == used


def test_the_seeds_settings_refresh_incrementally() -> None:
    settings = DashboardRefreshConfig()
    assert mode_in_use(settings.mode, settings.refresh_strategies) == "incremental"


def test_health_goes_before_business() -> None:
    due = [Due(name, ("p",)) for name in ("business_intelligence", "own", "operational_overview", "system_health")]
    now, later = plan(due, batch_size=50, priority=True)
    assert [item.dashboard for item in now] == ["system_health", "operational_overview", "own", "business_intelligence"]
    assert later == []
    assert plan(due, batch_size=50, priority=False)[0] == due


def test_what_is_beyond_the_batch_waits_and_then_goes_first() -> None:
    due = [Due("business_intelligence", ("a", "b", "c")), Due("system_health", ("a", "b"))]
    now, later = plan(due, batch_size=3, priority=True)
    assert now == [Due("system_health", ("a", "b")), Due("business_intelligence", ("a",))]
    assert later == [Due("business_intelligence", ("b", "c"))]
    again = [Due("business_intelligence", ("b", "c")), Due("system_health", ("a", "b"))]
    now, later = plan(again, batch_size=3, priority=True, waiting={"business_intelligence"})
    assert now == [Due("business_intelligence", ("b", "c")), Due("system_health", ("a",))]
    assert later == [Due("system_health", ("b",))]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 8))
def test_nobody_waits_for_ever(sizes: list[int], batch: int) -> None:
    left = [Due(f"d{n}", tuple(map(str, range(size)))) for n, size in enumerate(sizes)]
    goes = 0
    while left:
        now, left = plan(left, batch_size=batch, priority=True)
        assert sum(len(item.panels) for item in now) <= batch
        goes += 1
    assert goes == -(-sum(sizes) // batch)
