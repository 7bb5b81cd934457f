"""The way of an alert: who is told what, when and why."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hxp_enterprise_llm.event.notifications.routing.pipeline import ALERTS_AT_ONCE
from tests.unit.notifications.routing.ways import Told, Ways

AM = {"group_by": ["alertname"], "group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h"}


def test_as_shipped_an_alert_is_told_at_once_and_its_end_too() -> None:
    ways = Ways()
    assert ways.fire("a") == [Told(0, "slack", "first", ("a",))]
    assert ways.advance(1) == []
    assert ways.end("a") == [Told(1, "slack", "all_resolved", (), ("a",))]
    assert (ways.state.alerts, ways.state.groups) == ({}, {})


def test_a_hundred_alerts_of_one_rule_are_one_notification() -> None:
    ways = Ways()
    names = tuple(f"a/{index:02}" for index in range(100))
    assert ways.fire(*names) == [Told(0, "slack", "first", names)]
    assert ways.end(*names[:99]) == [Told(0, "slack", "some_resolved", ("a/99",), names[:99])]


def test_streams_carry_each_alert_by_itself() -> None:
    ways = Ways()
    ways.fire("a/1", "a/2", choice="websocket")
    assert [(told.id.rpartition(".")[2], to) for told, to in ways.queue] == [("firing", (("websocket", ""),))] * 2
    ways.advance(5 * 3600)
    assert len(ways.queue) == 2  # a repeat would be the same event


def test_an_incident_is_one_thread_and_the_next_one_another() -> None:
    ways = Ways()
    ways.fire("a/1")
    ways.advance(1)
    ways.fire("a/2")
    ways.end("a/1", "a/2")
    ways.advance(1)
    ways.fire("a/1")
    notifications = [told for told, _ in ways.queue]
    threads = [told.thread for told in notifications]
    assert threads[:3] == [notifications[0].alerts[0].episode] * 3
    assert threads[3] != threads[0]
    assert [told.seq for told in notifications] == [1, 2, 3, 1]
    assert len({told.id for told in notifications}) == 4


def test_a_new_group_waits_and_a_changed_one_keeps_its_interval() -> None:
    ways = Ways(grouping=AM)
    assert ways.fire("a/1") == []
    ways.advance(10)
    assert ways.fire("a/2") == []
    assert ways.advance(20) == [Told(30, "slack", "first", ("a/1", "a/2"))]
    ways.advance(10)
    assert ways.fire("a/3") == []
    assert ways.advance(300) == [Told(330, "slack", "new_alerts", ("a/1", "a/2", "a/3"))]
    ways.advance(700)
    assert ways.end("a/1") == []
    assert ways.advance(600) == [Told(1230, "slack", "some_resolved", ("a/2", "a/3"), ("a/1",))]


def test_critical_alerts_do_not_wait() -> None:
    ways = Ways(grouping=AM)
    assert ways.fire("a/1", severity="critical") == [Told(0, "slack", "first", ("a/1",))]
    assert ways.fire("a/2", severity="critical") == [Told(0, "slack", "new_alerts", ("a/1", "a/2"))]


def test_what_fires_and_ends_between_two_notifications_is_never_told() -> None:
    ways = Ways(grouping=AM)
    ways.fire("a/1")
    ways.advance(10)
    assert ways.end("a/1") == []
    assert ways.advance(3600) == []
    ways.fire("a/1")
    ways.advance(30)
    ways.fire("a/2")
    ways.end("a/2")
    assert ways.advance(3600) == []
    assert ways.reasons("dropped") == ["it ended before anybody was told"] * 2


def test_one_that_ends_and_fires_again_between_two_notifications_is_not_told_again() -> None:
    ways = Ways(grouping=AM)
    ways.fire("a")
    ways.advance(31)
    assert [ways.end("a"), ways.advance(1), ways.fire("a"), ways.advance(600)] == [[], [], [], []]
    assert ways.end("a") == []
    assert ways.advance(300) == [Told(930, "slack", "all_resolved", (), ("a",))]


def test_repeats_are_exact_and_not_rounded_to_the_interval() -> None:
    ways = Ways(grouping=AM | {"repeat_interval": "7m"})
    ways.fire("a")
    told = ways.advance(30 + 3 * 420)
    assert [(each.at, each.why) for each in told] == [(30, "first"), (450, "repeat"), (870, "repeat"), (1290, "repeat")]
    assert Ways(grouping=AM | {"repeat_interval": "0s"}).fire("a", severity="critical") != []


def test_without_a_repeat_interval_nothing_is_repeated() -> None:
    ways = Ways(grouping={"repeat_interval": "0s"})
    ways.fire("a")
    assert ways.advance(30 * 86400) == []


ROUTES = [
    {"matchers": ['severity="critical"'], "receiver": "oncall", "continue": True},
    {"matchers": ['team=~"pay.*"'], "receiver": "team", "group_by": ["team"]},
    {"matchers": ['alertname="quiet"'], "group_by": ["..."]},
]


def test_the_first_route_that_matches_is_taken_and_continue_goes_on() -> None:
    ways = Ways(routes=ROUTES)
    assert [told.receiver for told in ways.fire("a", severity="critical", team="payments")] == ["oncall", "team"]
    assert [told.receiver for told in ways.fire("b", team="payroll")] == ["team"]
    assert [told.receiver for told in ways.fire("c", choice="email")] == ["email"]
    assert len(ways.fire("quiet/1", "quiet/2")) == 2
    assert {group.key for group in ways.state.groups.values()} == {
        '{}/{severity="critical"}:{alertname="a"}',
        '{}/{team=~"pay.*"}:{team="payments"}',
        '{}/{team=~"pay.*"}:{team="payroll"}',
        '{}:{alertname="c"}',
        '{}/{alertname="quiet"}:{alertname="quiet", instance="1", severity="warning"}',
        '{}/{alertname="quiet"}:{alertname="quiet", instance="2", severity="warning"}',
    }


def test_a_receiver_has_recipients_of_its_own() -> None:
    ways = Ways(routes=ROUTES)
    ways.fire("a", severity="critical")
    assert [to for _, to in ways.queue] == [(("email", "oncall@x"),)]


INHIBIT = [{"source_matchers": ['alertname="down"'], "target_matchers": ['alertname=~"slow|down"'], "equal": ["node"]}]


def test_an_alert_is_inhibited_while_another_fires() -> None:
    ways = Ways(inhibit_rules=INHIBIT)
    assert ways.fire("down", "slow", node="n1") == [Told(0, "slack", "first", ("down",))]
    assert len(ways.fire("slow", node="n2")) == 1
    ways.advance(60)
    told = ways.end("down", node="n1")
    assert sorted((each.why, each.firing) for each in told) == [("all_resolved", ()), ("new_alerts", ("slow", "slow"))]
    assert ways.suppressed == ["inhibited"]
    assert ways.reasons("held")[0].startswith("inhibited by down (")


def test_no_alert_inhibits_itself_or_its_equal() -> None:
    ways = Ways(inhibit_rules=INHIBIT)
    assert ways.fire("down/1", "down/2", node="n1") == [Told(0, "slack", "first", ("down/1", "down/2"))]


def test_labels_that_are_missing_are_equal() -> None:
    assert Ways(inhibit_rules=INHIBIT).fire("down", "slow") == [Told(0, "slack", "first", ("down",))]


def test_inhibited_alerts_do_not_slip_out_at_a_restart() -> None:
    ways = Ways(inhibit_rules=INHIBIT, grouping=AM)
    ways.fire("down", "slow", node="n1")
    assert ways.advance(30) == [Told(30, "slack", "first", ("down",))]
    assert ways.restart() == []
    assert ways.advance(3500) == []
    assert ways.end("down", node="n1") == [Told(3530, "slack", "first", ("slow",))]
    assert ways.advance(300) == [Told(3630, "slack", "all_resolved", (), ("down",))]


def test_a_silence_holds_and_what_it_held_is_told_when_it_ends() -> None:
    ways = Ways()
    assert ways.silence(600, alertname="a") == []
    assert ways.fire("a") == []
    assert ways.advance(599) == []
    assert ways.advance(1) == [Told(600, "slack", "first", ("a",))]
    assert ways.reasons("held")[0].startswith('silenced by alice with {alertname="a"} until 2027-')
    assert ways.reasons("held")[0].endswith(": known (s-1)")
    assert len(ways.reasons("released")) == 1


def test_who_was_told_that_an_alert_fires_is_told_its_end_although_it_is_silenced() -> None:
    ways = Ways()
    ways.fire("a")
    ways.silence(3600, alertname="a")
    assert ways.end("a") == [Told(0, "slack", "all_resolved", (), ("a",))]


def test_what_ends_within_a_silence_is_never_told() -> None:
    ways = Ways()
    ways.silence(600, alertname="a")
    ways.fire("a")
    assert ways.end("a") == []
    assert ways.advance(3600) == []


def test_a_silence_stops_repeats_and_no_longer_than_it_lasts() -> None:
    ways = Ways(grouping={"repeat_interval": "10m"})
    ways.fire("a")
    ways.silence(3600, alertname="a")
    assert ways.advance(3599) == []
    assert ways.advance(1) == [Told(3600, "slack", "repeat", ("a",))]


def test_a_silence_may_begin_later() -> None:
    ways = Ways()
    ways.silence(600, 300, alertname="a")
    assert len(ways.fire("a")) == 1
    ways.end("a")
    ways.advance(300)
    assert ways.fire("a") == []


def test_a_silence_that_ends_is_announced_once_to_whom_it_keeps_quiet() -> None:
    ways = Ways()
    ways.silence(3600, alertname="a")
    ways.fire("a")
    ways.advance(3600)
    messages = [(told.title, to) for told, to in ways.queue if told.kind == "message"]
    assert messages == [
        ("Silence expiring", (("log", ""),)),
        ("Silence expiring", (("slack", "#ops"),)),
        ("Silence ended", (("log", ""),)),
    ]
    ways.advance(121 * 3600)
    assert ways.state.silences == {}


def test_a_muted_route_tells_when_the_time_is_over() -> None:
    # NOW is a Friday, 2027-01-15, 08:00 UTC; 09:00 in Berlin.
    intervals = {"morning": {"times": [{"start_time": "09:00", "end_time": "09:30"}], "location": "Europe/Berlin"}}
    routes = [{"mute_time_intervals": ["morning"], "receiver": "team"}]
    ways = Ways(time_intervals=intervals, routes=routes)
    assert ways.fire("a") == []
    assert ways.advance(1799) == []
    assert ways.advance(1) == [Told(1800, "team", "first", ("a",))]
    assert ways.reasons("held") == ["the route is muted in morning"]


def test_a_route_is_active_only_in_its_times() -> None:
    intervals = {"afternoon": {"times": [{"start_time": "12:00", "end_time": "18:00"}]}}
    ways = Ways(time_intervals=intervals, routes=[{"active_time_intervals": ["afternoon"], "receiver": "team"}])
    assert ways.fire("a") == []
    assert ways.advance(4 * 3600) == [Told(14400, "team", "first", ("a",))]


def test_a_receiver_without_ends_hears_of_the_next_beginning() -> None:
    ways = Ways(receivers={"brief": {"channel": "slack", "send_resolved": False}}, routes=[{"receiver": "brief"}])
    assert len(ways.fire("a")) == 1
    assert ways.end("a") == []
    assert ways.state.groups == {}
    assert [told.why for told in ways.fire("a")] == ["first"]


def test_a_reload_tells_the_new_receiver_and_the_old_one_only_the_end() -> None:
    ways = Ways(grouping={"repeat_interval": "10m"})
    ways.fire("a")
    assert ways.reroute(routes=[{"receiver": "oncall"}]) == [Told(0, "oncall", "first", ("a",))]
    assert ways.advance(3600) == []
    ends = ways.end("a")
    assert sorted(told.receiver for told in ends) == ["oncall", "slack"]
    assert ways.state.groups == {}


def test_a_restart_changes_nothing() -> None:
    ways = Ways(grouping=AM)
    ways.fire("a/1")
    assert ways.restart() == []
    assert ways.advance(30) == [Told(30, "slack", "first", ("a/1",))]
    assert ways.restart() == []
    assert ways.advance(4 * 3600) == [Told(14430, "slack", "repeat", ("a/1",))]


def test_a_channel_that_is_not_ready_is_named() -> None:
    ways = Ways()
    ways.channels["slack"] = type(ways.channels["slack"])("slack", targets=("#ops",), ready=False)
    assert ways.fire("a") == []
    assert ways.reasons("unheard") == [
        "first: nobody had been told of this group; to nobody: the channel slack is not ready: not set up"
    ]


@pytest.mark.parametrize(("condition", "told"), [("unacked", 1), ("firing", 1)])
def test_escalation_after_a_while(condition: str, told: int) -> None:
    steps = [{"after": "10m", "if": condition, "receiver": "oncall"}, {"after": "20m", "receiver": "all"}]
    ways = Ways(routes=[{"escalate": steps}])
    ways.fire("a")
    assert ways.advance(599) == []
    assert ways.advance(1) == [Told(600, "oncall", "escalation", ("a",))] * told
    assert [each.at for each in ways.advance(3600)] == [1200]
    ways.end("a")
    ended, to = ways.queue[-1]
    assert (ended.kind, set(to)) == ("resolved", {("slack", "#ops"), ("email", "oncall@x"), ("email", "ops@x")})


def test_two_daemons_end_after_one_hop() -> None:
    ways = Ways(receivers={}, notification_channels=["slack"])
    ways.channels["webhook"] = type(ways.channels["slack"])("webhook", targets=("http://x",))
    ways.config.notification_channels.append("webhook")
    ways.fire("a", choice="webhook")
    told, _ = ways.queue[-1]
    assert told.alerts[0].labels["citadel_hop"] == "this-one"
    count = len(ways.queue)
    ways.fire("b", choice="webhook", citadel_hop="another")
    assert len(ways.queue) == count


def test_one_group_of_thousands_is_worked_on_in_stretches() -> None:
    ways = Ways(grouping={"group_by": [], "group_wait": "0s", "group_interval": "0s"})
    work = ways.taken(*(f"a/{number:04}" for number in range(2000)))
    decided = [len(work.draft.decisions), *(len(work.draft.decisions) for _ in work.settling())]
    decided.append(len(work.draft.decisions))
    told = {each.episode for each in work.draft.decisions if each.outcome == "told"}
    assert (len(told), len(work.draft.queue)) == (2000, 1)
    assert len(decided) > 3 * 2000 / ALERTS_AT_ONCE  # looked at, told, looked at once more
    assert max(after - before for before, after in pairwise(decided)) <= ALERTS_AT_ONCE
