"""The life of an alert, against a table, a simple model, and Prometheus itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.notifications.rules.alerts import AlertState, Moment, Timing, end, step
from hxp_enterprise_llm.event.notifications.rules.conditions import EvaluationError, NoData, Outcome
from tests.unit.notifications.support import NOW, moment

OK = AlertState("ok", moment(0))


def run(outcomes: list[tuple[float, Outcome]], timing: Timing, state: AlertState = OK) -> list[tuple[float, str, str]]:
    """(time, phase after it, what was told) of each evaluation."""
    seen = []
    for at, outcome in outcomes:
        state, told = step(state, outcome, moment(at), timing, "f")
        seen.append((at, state.phase, " ".join(transition.kind for transition in told)))
    return seen


def test_without_a_pause_an_alert_fires_at_once_and_resolves_at_once() -> None:
    assert run([(0, False), (1, True), (2, True), (3, False), (4, False)], Timing()) == [
        (0, "ok", ""),
        (1, "firing", "firing"),
        (2, "firing", ""),
        (3, "ok", "resolved"),
        (4, "ok", ""),
    ]


def test_an_alert_that_must_hold_is_pending_first() -> None:
    assert run([(0, True), (29, True), (30, True)], Timing(hold=30)) == [
        (0, "pending", "pending"),
        (29, "pending", ""),
        (30, "firing", "firing"),
    ]


def test_a_pending_alert_that_passes_is_forgotten_in_silence() -> None:
    assert run([(0, True), (10, False), (20, True), (40, True)], Timing(hold=30)) == [
        (0, "pending", "pending"),
        (10, "ok", ""),
        (20, "pending", "pending"),
        (40, "pending", ""),
    ]


def test_an_alert_keeps_firing_for_a_while_and_comes_back_without_a_word() -> None:
    outcomes: list[tuple[float, Outcome]] = [(0, True), (1, False), (8, False), (9, True), (10, False), (20, False)]
    assert run(outcomes, Timing(keep_firing=10)) == [
        (0, "firing", "firing"),
        (1, "recovering", ""),
        (8, "recovering", ""),
        (9, "firing", ""),
        (10, "recovering", ""),
        (20, "ok", "resolved"),
    ]


@pytest.mark.parametrize("nothing", [NoData(("a",)), EvaluationError("why")])
@pytest.mark.parametrize("before", [[], [(0.0, True)]])
def test_without_data_an_alert_stays_what_it_was(nothing: Outcome, before: list[tuple[float, Outcome]]) -> None:
    phase = run(before, Timing())[-1][1] if before else "ok"
    assert run([*before, (1, nothing), (500, nothing)], Timing())[-2:] == [(1, phase, ""), (500, phase, "")]


NOTHING = NoData(("a",))


@pytest.mark.parametrize(
    ("policy", "before", "expected"),
    [
        ("keep", "firing", ("firing", [])),
        ("ok", "firing", ("ok", [("resolved", "no_data")])),
        ("alert", "firing", ("firing", [])),
        ("keep", "pending", ("pending", [])),
        ("ok", "pending", ("ok", [])),
        ("alert", "pending", ("firing", [("firing", "no_data")])),
        ("keep", "recovering", ("recovering", [])),
        ("ok", "recovering", ("ok", [("resolved", "no_data")])),
        ("alert", "recovering", ("firing", [])),
        ("keep", "ok", ("ok", [])),
        ("ok", "ok", ("ok", [])),
        ("alert", "ok", ("firing", [("firing", "no_data")])),
    ],
)
def test_values_that_stay_away_are_what_the_rule_says(policy, before, expected) -> None:
    timing = Timing(hold=30 if before == "pending" else 0, keep_firing=99, no_data=policy, no_data_after=10)
    state = OK
    way = {"ok": [], "pending": [True], "firing": [True], "recovering": [True, False]}[before]
    for at, outcome in enumerate(way):
        state, _ = step(state, outcome, moment(at), timing, "f")
    episode = state.episode
    for at in (5, 14.9):
        state, told = step(state, NOTHING, moment(at), timing, "f")
        assert (state.phase, told) == (before, ())
    state, told = step(state, NOTHING, moment(15), timing, "f")
    assert (state.phase, [(t.kind, t.reason) for t in told]) == expected
    if episode and state.phase != "ok":
        assert state.episode == episode


def test_a_value_in_between_begins_the_grace_anew() -> None:
    timing = Timing(no_data="alert", no_data_after=10)
    outcomes: list[tuple[float, Outcome]] = [(0, NOTHING), (9, NOTHING), (10, False), (11, NOTHING), (20, NOTHING)]
    assert [phase for _, phase, _ in run(outcomes, timing)] == ["ok"] * 5
    assert run([*outcomes, (21, NOTHING)], timing)[-1] == (21, "firing", "firing")


def test_an_alert_fired_by_missing_values_goes_on_by_its_condition() -> None:
    timing = Timing(no_data="alert", no_data_after=0)
    assert run([(0, NOTHING), (1, True), (2, False)], timing) == [
        (0, "firing", "firing"),
        (1, "firing", ""),
        (2, "ok", "resolved"),
    ]


def test_an_episode_has_one_id_from_pending_to_resolved() -> None:
    timing = Timing(hold=5, keep_firing=5)
    state, episodes = OK, []
    for at, outcome in [(1, True), (6, True), (7, False), (8, True), (9, False), (14, False), (20, True)]:
        state, told = step(state, outcome, moment(at), timing, "abc")
        episodes += [(transition.kind, transition.episode, transition.since) for transition in told]
    first, second = f"abc-{int((NOW + 1) * 1000)}", f"abc-{int((NOW + 20) * 1000)}"
    assert episodes == [
        ("pending", first, NOW + 1),
        ("firing", first, NOW + 1),
        ("resolved", first, NOW + 1),
        ("pending", second, NOW + 20),
    ]


def test_durations_do_not_heed_the_wall_clock() -> None:
    timing = Timing(hold=30)
    state, _ = step(OK, True, Moment(NOW, 0), timing, "f")
    state, told = step(state, True, Moment(NOW + 86400, 10), timing, "f")
    assert (state.phase, told) == ("pending", ())
    state, told = step(state, True, Moment(NOW - 86400, 30), timing, "f")
    assert [transition.kind for transition in told] == ["firing"]


def test_a_rule_that_goes_away_resolves_what_fired_and_forgets_the_rest() -> None:
    firing, _ = step(OK, True, moment(1), Timing(), "f")
    state, told = end(firing, moment(2), "rule_changed")
    assert (state.phase, [(t.kind, t.reason) for t in told]) == ("ok", [("resolved", "rule_changed")])
    pending, _ = step(OK, True, moment(1), Timing(hold=9), "f")
    assert end(pending, moment(2), "rule_changed") == (AlertState("ok", moment(2)), ())


SERIES = st.lists(st.tuples(st.floats(0.1, 40), st.sampled_from([True, False, None])), max_size=40)


@given(SERIES, st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_firing_follows_a_simple_model(series: list[tuple[float, bool | None]], hold: int, keep: int) -> None:
    """The model looks at the whole history each time instead of keeping a state."""
    timing, state, now = Timing(hold, keep), OK, 0.0
    history: list[tuple[float, bool]] = []
    firing_before = False
    for gap, value in series:
        now += gap
        state, told = step(state, NoData(()) if value is None else value, moment(now), timing, "f")
        if value is not None:
            history.append((now, value))
            expected = _fires(history, hold, keep, firing_before)
            kinds = [transition.kind for transition in told if transition.kind != "pending"]
            assert kinds == ["resolved"] * (firing_before > expected) + ["firing"] * (firing_before < expected)
            firing_before = expected
        assert (state.phase in ("firing", "recovering")) == firing_before


def _fires(history: list[tuple[float, bool]], hold: float, keep: float, before: bool) -> bool:
    now, value = history[-1]
    run_start = now
    for at, past in reversed(history):
        if past != value:
            break
        run_start = at
    elapsed = moment(run_start).elapsed(moment(now))
    if value:
        return before or elapsed >= hold
    return before and elapsed < keep
