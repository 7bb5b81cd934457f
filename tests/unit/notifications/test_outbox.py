"""Decisions about deliveries, snapshots and requests: everything that needs neither a loop nor a store."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.log.model import Batch, Bounds
from hxp_enterprise_llm.event.model import Offset, decode
from hxp_enterprise_llm.event.notifications.channels.model import Dead, Retry
from hxp_enterprise_llm.event.notifications.model import event_of
from hxp_enterprise_llm.event.notifications.outbox import backoff, judge, recipients, switched_on
from hxp_enterprise_llm.event.notifications.requests import parse_send
from hxp_enterprise_llm.event.notifications.rules.snapshots import (
    TAIL,
    BadSnapshot,
    Place,
    Snapshot,
    read_snapshot,
    starting_place,
    worth_evaluating,
)
from hxp_enterprise_llm.security.problems import Problem
from tests.unit.notifications.support import (
    NOW,
    RecordingChannel,
    config,
    data_of,
    delivery,
    notification,
    rule,
    snapshot,
)


def test_the_pauses_between_attempts_grow_to_ten_minutes() -> None:
    assert [backoff(attempt, lambda: 0.5) for attempt in range(1, 9)] == [15, 30, 60, 120, 300, 600, 600, 600]


@given(st.integers(1, 50), st.floats(0, 1))
def test_pauses_differ_by_a_fifth_at_most(attempts: int, chance: float) -> None:
    middle = backoff(attempts, lambda: 0.5)
    assert 0.799 * middle <= backoff(attempts, lambda: chance) <= 1.201 * middle


def test_what_was_accepted_is_sent() -> None:
    assert judge(delivery(), None, NOW + 1, 60, lambda: 0.5) == ("sent", NOW + 1, "")


def test_what_was_refused_for_good_is_dead() -> None:
    assert judge(delivery(), Dead("554 no"), NOW + 1, 60, lambda: 0.5) == ("dead", NOW + 1, "554 no")


def test_what_failed_is_tried_again_later() -> None:
    assert judge(delivery(attempts=2), Retry("451 busy"), NOW + 1, 60, lambda: 0.5) == ("retry", NOW + 31, "451 busy")


def test_the_peer_says_when() -> None:
    failure = Retry("Slack limits the rate", after=7)
    assert judge(delivery(), failure, NOW + 1, 60, lambda: 0.5) == ("retry", NOW + 8, "Slack limits the rate")


def test_a_delivery_is_given_up_when_its_time_is_over() -> None:
    verdict = judge(delivery(attempts=3), Retry("451 busy"), NOW + 1, 59, lambda: 0.5)
    assert (verdict.state, verdict.error) == ("dead", "given up after 3 attempts: 451 busy")


CHANNELS = {
    channel.name: channel
    for channel in (
        RecordingChannel("websocket"),
        RecordingChannel("sse"),
        RecordingChannel("email", targets=("a@x", "b@x")),
        RecordingChannel("slack", ready=False),
    )
}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("all", [("websocket", ""), ("sse", ""), ("email", "a@x"), ("email", "b@x")]),
        ("email", [("email", "a@x"), ("email", "b@x")]),
        ("slack", []),
        ("nobody", []),
    ],
)
def test_who_is_told(choice: str, expected: list[tuple[str, str]]) -> None:
    assert recipients(choice, config(), CHANNELS) == expected


def test_a_channel_that_may_not_be_used_is_not_used() -> None:
    only_sse = config(notification_channels=["sse"])
    assert recipients("email", only_sse, CHANNELS) == []
    assert recipients("all", only_sse, CHANNELS) == [("sse", "")]


def test_priorities_are_switched_one_by_one() -> None:
    settings = config(rule(), warning_enabled=False)
    assert [switched_on(settings, name) for name in ("critical", "warning", "info")] == [True, False, True]


def test_an_alert_is_an_event_whose_id_never_changes() -> None:
    alert = notification()
    first, second = event_of(alert), event_of(alert)
    assert first == second
    event = decode(first.raw)
    assert (event.id, event.type, event.source, event.subject) == (
        "ep-1.firing",
        "alert.firing",
        "/notifications",
        "critical_alert",
    )
    assert event.data == {
        "rule": "critical_alert",
        "condition": "error_rate > 0.2",
        "priority": "critical",
        "episode": "ep-1",
        "state": "firing",
        "values": {"error_rate": 0.31},
        "summary": "error_rate is 0.31",
        "since": "2027-01-15T07:59:00.000Z",
    }
    assert data_of(event_of(notification("resolved", reason="rule_changed")).raw)["reason"] == "rule_changed"


def test_a_message_is_an_event_of_its_own_type() -> None:
    event = decode(event_of(notification("message", type="test", rule="")).raw)
    assert (event.type, event.subject) == ("notification.message", None)
    assert event.data == {
        "type": "test",
        "title": "critical_alert",
        "message": "error_rate is 0.31",
        "priority": "critical",
    }


def test_a_snapshot_has_names_for_each_window() -> None:
    raw = snapshot(NOW, error_rate=0.3, latency=None, windows={"5m": {"error_rate": 0.1}}).raw
    assert read_snapshot(raw, 0) == (NOW, {"error_rate": 0.3, "latency": None, "error_rate_5m": 0.1}, {})


@pytest.mark.parametrize(
    "raw",
    [
        b'{"data": {}}',
        b'{"data": 1}',
        b'{"data": {"metrics": {}}, "time": "noon"}',
        b'{"data": {"metrics": {}}, "time": "2026-01-01T00:00:00"}',
    ],
)
def test_a_snapshot_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(BadSnapshot):
        read_snapshot(raw, 0)


def test_a_snapshot_without_a_time_is_of_now() -> None:
    assert read_snapshot(b'{"data": {"metrics": {"a": 1}}}', 5.0) == (5.0, {"a": 1}, {})


def test_old_snapshots_are_left_out_but_never_the_newest() -> None:
    old = [Snapshot(NOW - 100, {}), Snapshot(NOW - 90, {})]
    fresh = Snapshot(NOW - 10, {})
    at_head, before_head = Batch((), Offset(9), Offset(9)), Batch((), Offset(9), Offset(10))
    assert worth_evaluating(at_head, old, NOW) == old[1:]
    assert worth_evaluating(before_head, old, NOW) == []
    assert worth_evaluating(before_head, [*old, fresh], NOW) == [fresh]
    assert worth_evaluating(at_head, [], NOW) == []


@pytest.mark.parametrize(
    ("stored", "bounds", "expected"),
    [
        (None, (1, 50), 0),
        (None, (40, 50), 39),
        (None, (1, TAIL + 500), 500),
        (("e", 45), (1, 50), 45),
        (("e", 7), (40, 50), 39),
        (("e", 7), (1, TAIL + 500), 500),
        (("e", 99), (1, 50), 50),
        (("other", 45), (1, 50), 0),
        (None, (1, 0), 0),
    ],
)
def test_reading_goes_on_where_it_ended(stored: tuple[str, int] | None, bounds: tuple[int, int], expected: int) -> None:
    place = Place(stored[0], Offset(stored[1])) if stored else None
    first, head = bounds
    assert starting_place(place, Bounds("e", Offset(first), Offset(head))) == ("e", expected)


def test_the_request_of_the_manual_is_taken() -> None:
    body = b'{"type": "test", "message": "Test notification", "channel": "websocket"}'
    wish = parse_send(body)
    assert wish == ("test", "Test notification", "websocket", "info", "")
    told = wish.notification("id-1", NOW)
    assert (told.id, told.episode, told.kind, told.title, told.text) == (
        "id-1",
        "id-1",
        "message",
        "test",
        "Test notification",
    )


def test_a_message_alone_goes_to_all() -> None:
    assert parse_send(b'{"message": "x"}') == ("message", "x", "all", "info", "")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message": "x"', "the body is no JSON: Input data was truncated"),
        (b"[]", "the body must be a JSON object"),
        (b"{}", "message: is missing: say what the notification is to say"),
        (b'{"message": " "}', "message: is missing: say what the notification is to say"),
        (b'{"mesage": "x"}', "mesage: unknown key (did you mean message?)"),
        (b'{"message": 1, "title": null}', "message: must be a text, is 1; title: must be a text, is null"),
        (
            b'{"message": "x", "channel": "webscoket"}',
            'channel: "webscoket" is none of websocket, sse, email, slack, webhook, alertmanager, all'
            " (did you mean websocket?)",
        ),
        (
            b'{"message": "x", "priority": "high", "channel": "fax"}',
            'channel: "fax" is none of websocket, sse, email, slack, webhook, alertmanager, all;'
            ' priority: "high" is none of critical, warning, info',
        ),
        (b'{"message": "x", "type": "a b"}', "type: must be a short word of letters, digits and _.-"),
        (
            msgspec.json.encode({"message": "x" * 4001, "title": "y" * 201}),
            "message: has 4,001 characters, at most 4,000 are taken; title: has 201 characters, at most 200 are taken",
        ),
        (msgspec.json.encode({"message": ["x" * 99]}), f'message: must be a text, is ["{"x" * 57}…'),
        (b"\xff", "the body is no JSON: JSON is malformed: invalid character (byte 0)"),
    ],
)
def test_faults_of_a_request_are_told_with_their_paths(body: bytes, message: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_send(body)
    assert caught.value.status == 400
    assert caught.value.message == message
    assert caught.value.hint
