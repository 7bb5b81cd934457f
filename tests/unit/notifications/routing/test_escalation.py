"""Who else is told of what nobody takes on, and when."""

from __future__ import annotations

import pytest

from tests.unit.notifications.routing.ways import Told, Ways

STEPS = [{"after": "10m", "receiver": "oncall"}, {"after": "20m", "if": "firing", "receiver": "all"}]
AT_ONCE = {"group_wait": "0s", "group_interval": "0s", "repeat_interval": "0s"}


def escalating(**parts: object) -> Ways:
    """Each alertname is a group; nothing waits and nothing is repeated."""
    return Ways(routes=[{"receiver": "team", "escalate": STEPS}], grouping=AT_ONCE, **parts)


def escalations(told: list[Told]) -> list[tuple[float, str, tuple[str, ...]]]:
    return [(each.at, each.receiver, each.firing) for each in told if each.why == "escalation"]


@pytest.mark.parametrize("condition", ["unacked", "firing"])
def test_each_step_comes_after_its_time_and_once(condition: str) -> None:
    steps = [{"after": "10m", "if": condition, "receiver": "oncall"}, {"after": "20m", "receiver": "all"}]
    ways = Ways(routes=[{"escalate": steps}])
    ways.fire("a")
    assert ways.advance(599) == []
    assert ways.advance(1) == [Told(600, "oncall", "escalation", ("a",))]
    assert [each.at for each in ways.advance(3600)] == [1200]
    ways.end("a")
    ended, to = ways.queue[-1]
    assert (ended.kind, set(to)) == ("resolved", {("slack", "#ops"), ("email", "oncall@x"), ("email", "ops@x")})
    state = "nobody has acknowledged it" if condition == "unacked" else "it still fires"
    texts = [each.reason for each in ways.decisions if each.stage == "escalate"]
    assert texts[0] == f"escalation: 10m after it was told {state}; to email oncall@x"


def test_a_step_in_any_case_comes_although_one_before_it_waits_for_nobody() -> None:
    ways = escalating()
    ways.fire("a")
    ways.acknowledge("a", 7200)
    assert escalations(ways.advance(7000)) == [(1200, "all", ("a",))]


def test_an_alert_that_comes_to_an_old_incident_is_escalated_by_its_own_clock() -> None:
    ways = escalating()
    ways.fire("a/1")
    ways.acknowledge("a/1", 86_400)
    ways.advance(7200)
    ways.fire("a/2")
    assert escalations(ways.advance(599)) == []
    assert escalations(ways.advance(3600)) == [(7800, "oncall", ("a/2",)), (8400, "all", ("a/2",))]


def test_alerts_told_together_are_escalated_together_without_those_that_somebody_has() -> None:
    ways = escalating()
    ways.fire("a/1", "a/2", "a/3")
    ways.acknowledge("a/2")
    assert escalations(ways.advance(600)) == [(600, "oncall", ("a/1", "a/3"))]


def test_an_acknowledgement_that_runs_out_begins_the_steps_anew() -> None:
    ways = escalating()
    ways.fire("a")
    ways.advance(700)
    ways.acknowledge("a", 3600)
    told = ways.advance(9000)
    assert [(each.at, each.why) for each in told if each.why != "escalation"] == [(4300, "repeat")]
    assert [each[:2] for each in escalations(told)] == [(1200, "all"), (4900, "oncall"), (5500, "all")]


def test_who_gives_it_back_is_too_late_for_what_is_overdue() -> None:
    ways = escalating()
    ways.fire("a")
    ways.acknowledge("a")
    ways.advance(700)
    ways.acknowledge("a", 0)
    assert ways.told[-1] == Told(700, "oncall", "escalation", ("a",))


def test_what_was_silenced_has_all_its_time_when_the_silence_ends() -> None:
    ways = escalating()
    ways.fire("a")
    ways.advance(300)
    ways.silence(3600, alertname="a")
    assert escalations(ways.advance(3600 + 599)) == []
    assert escalations(ways.advance(1)) == [(4500, "oncall", ("a",))]


def test_a_restart_takes_no_step_twice() -> None:
    ways = escalating()
    ways.fire("a")
    ways.advance(700)
    assert escalations(ways.restart()) == []
    assert escalations(ways.advance(3600)) == [(1200, "all", ("a",))]


def test_the_next_episode_begins_at_the_first_step() -> None:
    ways = escalating()
    ways.fire("a")
    ways.advance(3600)
    ways.end("a")
    ways.fire("a")
    assert [each[1] for each in escalations(ways.advance(3600))] == ["oncall", "all"]
