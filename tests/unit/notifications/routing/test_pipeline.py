"""The way of an alert: who is told what, when and why."""

from __future__ import annotations

from itertools import pairwise

import msgspec

from hxp_enterprise_llm.event.notifications.routing.pipeline import ALERTS_AT_ONCE
from tests.unit.notifications.routing.ways import Told, Ways
from tests.unit.notifications.support import NOW, RecordingChannel

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


def test_what_was_held_back_for_long_does_not_look_that_old() -> None:
    ways = Ways()
    ways.silence(3600, alertname="a")
    ways.fire("a")
    ways.advance(3600)
    told, _ = ways.queue[-1]
    assert (told.kind, told.at, told.since, told.alerts[0].starts_at) == ("firing", NOW + 3600, None, NOW)
    ways.elapsed += 60
    ways.end("a")
    told, _ = ways.queue[-1]
    assert (told.kind, told.at) == ("resolved", NOW + 3660)


def test_a_group_has_a_reason_only_when_all_its_alerts_have_it() -> None:
    for second, expected in (("rule_changed", "rule_changed"), ("no_data", "")):
        ways = Ways()
        ways.fire("a/1", "a/2")
        work = ways.begin()
        for name, reason in (("a/1", "rule_changed"), ("a/2", second)):
            work.take(msgspec.structs.replace(ways._notification(name, "resolved", {}), reason=reason), "slack")
        ways.settle(work)
        told, _ = ways.queue[-1]
        assert (told.kind, told.reason) == ("resolved", expected)


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


def muted(start: str, end: str, **parts: object) -> Ways:
    """A route that is muted from one time of the day to another; NOW is 08:00."""
    intervals = {"work": {"times": [{"start_time": start, "end_time": end}]}}
    return Ways(time_intervals=intervals, routes=[{"mute_time_intervals": ["work"], "receiver": "team"}], **parts)


def test_a_silence_that_ends_while_the_route_is_muted_lets_nothing_out() -> None:
    ways = muted("08:00", "09:00")
    ways.silence(1800, alertname="a")
    ways.fire("a")
    assert ways.advance(3599) == []
    assert ways.advance(1) == [Told(3600, "team", "first", ("a",))]


def test_a_mute_that_ends_within_a_silence_lets_nothing_out() -> None:
    ways = muted("08:00", "08:30")
    ways.silence(3600, alertname="a")
    ways.fire("a")
    assert ways.advance(3599) == []
    assert ways.advance(1) == [Told(3600, "team", "first", ("a",))]


def test_an_acknowledgement_that_runs_out_while_the_route_is_muted_is_said_when_that_ends() -> None:
    ways = muted("08:10", "09:00", grouping={"repeat_interval": "0s"})
    assert len(ways.fire("a")) == 1
    ways.acknowledge("a", 1800)
    assert ways.advance(3599) == []
    assert ways.advance(1) == [Told(3600, "team", "repeat", ("a",))]
    assert ways.queue[-1][0].because == "an acknowledgement ran out and it still fires"


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


def test_a_restart_changes_nothing() -> None:
    ways = Ways(grouping=AM)
    ways.fire("a/1")
    assert ways.restart() == []
    assert ways.advance(30) == [Told(30, "slack", "first", ("a/1",))]
    assert ways.restart() == []
    assert ways.advance(4 * 3600) == [Told(14430, "slack", "repeat", ("a/1",))]


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


def test_an_alertmanager_is_told_of_every_alert_of_a_large_group_and_of_every_end() -> None:
    channels = ["slack", "webhook", "alertmanager"]
    ways = Ways(receivers={}, notification_channels=channels, grouping={"group_by": []})
    for name in ("webhook", "alertmanager"):
        ways.channels[name] = RecordingChannel(name, targets=("http://x",))
    names = [f"a/{number:04}" for number in range(450)]
    ways.fire(*names, choice="all")
    assert parts(ways, "alertmanager") == [("firing", 200, 250), ("firing", 200, 250), ("firing", 50, 400)]
    assert parts(ways, "webhook") == parts(ways, "slack") == [("firing", 200, 250)]
    told = [each for each, to in ways.queue if ("alertmanager", "http://x") in to]
    assert len({alert.episode for each in told for alert in each.alerts}) == 450
    assert len({each.id for each in told}) == len(told)
    ways.queue.clear()
    ways.end(*names[:250])
    # Also what only says that alerts have ended is of a group that fires: it is no end that may swallow a beginning.
    assert [kind for kind, *_ in parts(ways, "alertmanager")] == ["firing"] * 3


def parts(ways: Ways, channel: str) -> list[tuple[str, int, int]]:
    """Kind, alerts told and left out of what a channel gets."""
    told = [each for each, to in ways.queue if channel in {name for name, _ in to}]
    return [(each.kind, len(each.alerts), each.truncated) for each in told]


def test_one_group_of_thousands_is_worked_on_in_stretches() -> None:
    ways = Ways(grouping={"group_by": [], "group_wait": "0s", "group_interval": "0s"})
    work = ways.taken(*(f"a/{number:04}" for number in range(2000)))
    decided = [len(work.draft.decisions), *(len(work.draft.decisions) for _ in work.settling())]
    decided.append(len(work.draft.decisions))
    told = {each.episode for each in work.draft.decisions if each.outcome == "told"}
    assert (len(told), len(work.draft.queue)) == (2000, 1)
    assert len(decided) > 3 * 2000 / ALERTS_AT_ONCE  # looked at, told, looked at once more
    assert max(after - before for before, after in pairwise(decided)) <= ALERTS_AT_ONCE


def test_no_value_of_a_label_makes_a_group_look_like_another() -> None:
    ways = Ways(grouping={"group_by": ["a", "b"]})
    ways.fire("x", a='1", b="2')
    ways.fire("x", a="1", b="2")
    keys = {group.key for group in ways.state.groups.values()}
    assert keys == {'{}:{a="1\\", b=\\"2"}', '{}:{a="1", b="2"}'}


def test_of_an_alert_that_the_message_only_counted_the_decision_says_so() -> None:
    ways = Ways(grouping={"group_by": []})
    ways.fire(*(f"a/{number:03}" for number in range(250)))
    (message,) = [told for told, _ in ways.queue if told.why]
    named = {alert.episode for alert in message.alerts}
    counted = {
        each.episode for each in ways.decisions if "names 200 of 250 alerts, and counted this one" in each.reason
    }
    decided = {each.episode for each in ways.decisions if each.outcome == "told"}
    assert (len(named), len(counted), named | counted, named & counted) == (200, 50, decided, set())


def test_where_each_alert_is_an_event_none_is_only_counted() -> None:
    ways = Ways(grouping={"group_by": []})
    ways.fire(*(f"a/{number:03}" for number in range(250)), choice="sse")
    assert len(ways.reasons("told")) == 250
    assert not any("counted" in reason for reason in ways.reasons("told"))
