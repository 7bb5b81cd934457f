"""The state: a fold over the log."""

import random

import pytest

from hxp_enterprise_llm.event.dashboards.history import Grid
from hxp_enterprise_llm.event.dashboards.state import DashboardState
from hxp_enterprise_llm.event.model import Event, Offset, TypePatterns, encode
from tests.unit.dashboards.support import METRICS, START, alert, event, seconds_of, snapshot, state_of, stored

ALL = TypePatterns(["*"])


def test_before_the_first_snapshot_nothing_is_known() -> None:
    state = DashboardState()
    assert (state.names(), state.age(START), state.is_stale(START)) == ([], None, True)


def test_snapshots_make_values_and_history() -> None:
    state = state_of(*seconds_of(3))
    assert state.names() == list(METRICS)
    assert state.age(START + 5) == 3.0
    assert state.metrics.series("cpu_percent", Grid(int(START), 1, 4)) == [38.0, 38.0, 38.0, None]


def test_stale_is_more_than_two_ticks() -> None:
    state = state_of(snapshot(START, tick=5))
    assert not state.is_stale(START + 10.5)
    assert state.is_stale(START + 11.5)


def test_events_are_counted_at_the_snapshot_before_them() -> None:
    state = state_of(
        snapshot(START), event("llm.request.completed", START - 9999), snapshot(START + 5), event("llm.request.failed")
    )
    assert state.counts.series(["llm.request.completed"], Grid(int(START), 5, 2)) == [1, 0]
    assert state.counts.series(["llm.request.failed"], Grid(int(START), 5, 2)) == [0, 1]


def test_without_a_snapshot_an_event_is_counted_at_its_own_time() -> None:
    timeless = encode(Event(id="t", source="/s", type="llm.a"))
    wrong = encode(Event(id="w", source="/s", type="llm.a", time="yesterday"))
    state = state_of(event("llm.a", START + 7), timeless, wrong)
    assert state.counts.series(["llm.a"], Grid(int(START), 5, 2)) == [0, 1]
    assert len(state.latest.latest(ALL, 9)) == 3


def test_what_the_system_makes_each_second_is_no_news() -> None:
    state = state_of(snapshot(START), event("dashboard.refreshed"), event("analytics.window"))
    assert state.latest.latest(ALL, 9) == []
    assert state.counts.types(ALL) == []


def test_an_event_of_ours_in_another_form_is_counted_and_left_out() -> None:
    broken = [
        event("analytics.snapshot", data={"metrics": {}}),
        event("analytics.snapshot", data={"at": "now", "metrics": {}}),
        event("analytics.snapshot", data=None),
        event("alert.firing", data="text"),
    ]
    state = state_of(snapshot(START), *broken)
    assert state.unreadable == 4
    assert state.figures_at == START
    assert state.alerts.firing() == []


def test_alerts_fire_and_end() -> None:
    state = state_of(
        alert("firing", "slow", START, priority="warning"),
        alert("firing", "down", START + 5),
        alert("firing", "slow", START + 6, priority="warning"),
    )
    firing = state.alerts.firing()
    assert [(each["rule"], each["since"], each["summary"]) for each in firing] == [
        ("down", START + 5, "down is on"),
        ("slow", START, "slow is on"),
    ]
    state.take(stored(alert("resolved", "slow", START + 9), first=10), Offset(10))
    assert [each["rule"] for each in state.alerts.firing()] == ["down"]
    assert state.alerts.spans(START) == [
        {"rule": "slow", "priority": "warning", "condition": "error_rate > 0.2", "start": START, "end": START + 9},
        {"rule": "down", "priority": "critical", "condition": "error_rate > 0.2", "start": START + 5, "end": None},
    ]
    assert state.alerts.changes == 3
    assert [span["rule"] for span in state.alerts.spans(START + 100)] == ["down"]


def test_an_alert_keeps_the_values_and_labels_that_it_began_with() -> None:
    told = {"rule": "slow", "episode": "slow-1", "values": {"latency": 2.5, "tokens": None}, "labels": {"agent": "a"}}
    broken = {"rule": "odd", "episode": "odd-1", "values": [1], "labels": {"agent": 7}}
    state = state_of(event("alert.firing", data=told), event("alert.firing", data=broken))
    assert {each["rule"]: (each["values"], each["labels"]) for each in state.alerts.firing()} == {
        "slow": ({"latency": 2.5}, {"agent": "a"}),
        "odd": ({}, {}),
    }


def test_who_knows_better_may_say_which_alerts_fire() -> None:
    state = state_of(alert("firing", "slow", START), alert("firing", "down", START))
    state.alerts.replace([{"rule": "down", "episode": "down-1"}, {"rule": "disk", "episode": "disk-1"}], START + 50)
    assert sorted(each["rule"] for each in state.alerts.firing()) == ["disk", "down"]
    ended = state.alerts.spans(START)[1]
    assert (ended["rule"], ended["start"], ended["end"]) == ("slow", START, START + 50)


def test_an_end_without_a_begin_changes_nothing() -> None:
    state = state_of(alert("resolved", "slow", START))
    assert (state.alerts.changes, state.alerts.spans(START)) == (0, [])


def test_the_spine_is_the_last_hour() -> None:
    state = state_of(*seconds_of(60), alert("firing", "slow", START + 30))
    spine = state.spine(START + 60)
    assert (spine["step"], len(spine["values"])) == (15, 240)
    assert spine["values"][-3:] == [120.0] * 3
    assert spine["values"][:-3] == [None] * 237
    assert [span["rule"] for span in spine["spans"]] == ["slow"]


@pytest.mark.parametrize("begun", [True, False])
def test_however_the_log_is_cut_the_state_is_the_same(begun: bool) -> None:
    chance = random.Random(7)
    types = ["llm.a"] * 60 + ["llm.b", "dashboard.refreshed", "analytics.snapshot", "alert.acknowledged"]
    encoded = [snapshot(START)] if begun else []
    for number in range(2000):
        type = chance.choice(types)
        at = START + number // 100
        encoded.append(snapshot(at) if type == "analytics.snapshot" else event(type, at))
    events = stored(*encoded)
    whole, one_by_one = DashboardState("e"), DashboardState("e")
    whole.take(events, Offset(len(events)))
    for each in events:
        one_by_one.take([each], each.offset)
    places = Grid(int(START), 5, 8)
    assert whole.latest.latest(ALL, 1000) == one_by_one.latest.latest(ALL, 1000)
    for type in one_by_one.counts.types(ALL):
        assert whole.counts.series([type], places) == one_by_one.counts.series([type], places)
    assert sum(whole.counts.series(["llm.a"], places)) == sum(each.type == "llm.a" for each in events)
