"""What a reload means for those who were told, for those who were not, and for those who come."""

from __future__ import annotations

from tests.unit.notifications.routing.ways import Told, Ways
from tests.unit.notifications.support import RecordingChannel

ALICE, BOB = ("email", "alice@x"), ("email", "bob@x")


def team(name: str, *to: str) -> dict[str, object]:
    """A configuration with one receiver."""
    receivers = {name: {"channel": "email", "to": list(to)}}
    return {"receivers": receivers, "routes": [{"receiver": name}], "grouping": {"repeat_interval": "10m"}}


def people(ways: Ways) -> list[tuple[str, str, set[tuple[str, str]]]]:
    """Kind, why and to whom, of what people were told."""
    return [(told.kind, told.why, set(to)) for told, to in ways.queue if told.why]


def test_a_reload_tells_the_new_receiver_and_the_old_one_only_the_end() -> None:
    ways = Ways(grouping={"repeat_interval": "10m"})
    ways.fire("a")
    assert ways.reroute(routes=[{"receiver": "oncall"}]) == [Told(0, "oncall", "first", ("a",))]
    assert ways.advance(3600) == []
    ends = ways.end("a")
    assert sorted(told.receiver for told in ends) == ["oncall", "slack"]
    assert ways.state.groups == {}


def test_a_receiver_that_is_renamed_goes_on_with_what_its_people_were_told() -> None:
    ways = Ways(**team("oncall", "alice@x"))
    ways.fire("a")
    ways.advance(60)
    assert ways.reroute(**team("night", "alice@x")) == []
    assert ways.advance(540) == [Told(600, "night", "repeat", ("a",))]
    ways.end("a")
    assert [each[0] for each in people(ways)] == ["firing", "firing", "resolved"]
    assert len({told.thread for told, _ in ways.queue if told.why}) == 1
    assert ways.state.groups == {}


def test_who_comes_is_told_what_fires_and_who_goes_is_told_the_end() -> None:
    ways = Ways(**team("oncall", "alice@x"))
    ways.fire("a")
    ways.reroute(**team("oncall", "bob@x"))
    ways.restart()
    ways.end("a")
    assert people(ways) == [
        ("firing", "first", {ALICE}),
        ("firing", "newcomers", {BOB}),
        ("resolved", "all_resolved", {ALICE, BOB}),
    ]
    (reason,) = [each for each in ways.reasons("told") if each.startswith("newcomers")]
    assert (
        reason == "newcomers: since the last reload or start there are recipients who had not been told; to email bob@x"
    )


def test_who_comes_is_not_told_what_is_held_back_or_what_is_over() -> None:
    ways = Ways(**team("oncall", "alice@x"))
    ways.fire("a")
    ways.fire("b")
    ways.end("b")
    ways.silence(60, alertname="a")
    assert ways.reroute(**team("oncall", "alice@x", "bob@x")) == []


def test_the_time_that_a_repeat_waits_for_is_not_moved_by_who_comes() -> None:
    ways = Ways(**team("oncall", "alice@x"))
    ways.fire("a")
    ways.advance(300)
    ways.reroute(**team("oncall", "alice@x", "bob@x"))
    ways.advance(300)
    assert people(ways)[-1] == ("firing", "repeat", {ALICE, BOB})
    assert ways.told[-1].at == 600


def test_a_channel_that_is_not_ready_is_named() -> None:
    ways = Ways()
    ways.channels["slack"] = type(ways.channels["slack"])("slack", targets=("#ops",), ready=False)
    assert ways.fire("a") == []
    assert ways.reasons("unheard") == [
        "first: nobody had been told of this group; to nobody: the channel slack is not ready: not set up"
    ]


def test_what_nobody_heard_is_told_when_the_channel_is_ready_after_a_reload() -> None:
    ways = Ways()
    ways.channels["slack"] = RecordingChannel("slack", targets=("#ops",), ready=False)
    ways.fire("a")
    assert people(ways) == []
    assert ways.reroute() == []
    ways.channels["slack"] = RecordingChannel("slack", targets=("#ops",))
    assert ways.reroute() == [Told(0, "slack", "newcomers", ("a",))]
    assert ways.reroute() == []
    assert [told.ended for told in ways.end("a")] == [("a",)]


def test_other_groups_while_one_waits_tell_each_alert_once() -> None:
    waits = {"group_wait": "30s", "group_interval": "5m"}
    ways = Ways(grouping={"group_by": ["alertname"], **waits})
    ways.fire("a/1", "a/2")
    ways.advance(10)
    assert ways.reroute(grouping={"group_by": ["instance"], **waits}) == []
    told = ways.advance(30)
    assert sorted(each.firing for each in told) == [("a/1",), ("a/2",)]
    assert ways.advance(600) == []
