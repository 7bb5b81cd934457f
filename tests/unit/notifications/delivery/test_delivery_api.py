"""The routes of deliveries over a running engine: drills with their outcome, dead letters, replays."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hxp_enterprise_llm.config.routing import ReceiverConfig
from hxp_enterprise_llm.event.notifications.channels.model import Dead, Retry
from hxp_enterprise_llm.event.notifications.delivery import trials
from hxp_enterprise_llm.event.notifications.requests import parse_replay, parse_test
from hxp_enterprise_llm.security.problems import Problem
from tests.unit.notifications.support import config
from tests.unit.notifications.test_api import serving

SETTINGS = config(notification_channels=["slack", "email", "websocket"])


async def post(client: Any, path: str, **body: Any) -> tuple[int, Any]:
    async with client._session.post(f"/notifications/{path}", json=body) as answer:
        return answer.status, await answer.json()


async def test_a_drill_is_marked_and_its_outcome_told(tmp_path: Path) -> None:
    async with serving(tmp_path, SETTINGS) as (bench, client):
        status, answer = await post(client, "test", channel="slack", message="hello")
        assert status == 200
        assert answer["delivered"] is True
        assert answer["deliveries"] == [{"channel": "slack", "target": "#ops", "state": "delivered"}]
        told = bench.slack.accepted.get_nowait().notification
        assert (told.test, told.text, told.why, told.id) == (True, "hello", "test", answer["id"])


async def test_a_drill_that_fails_says_why_and_is_not_repeated(tmp_path: Path) -> None:
    async with serving(tmp_path, SETTINGS) as (bench, client):
        bench.slack.failures = [Retry("Slack says internal_error"), Retry("no token", after=300)]
        for reason in (
            "Slack says internal_error",
            "no token",
            "the channel is paused for another 300 s: no token",
        ):
            _, answer = await post(client, "test", channel="slack")
            assert answer["delivered"] is False
            (only,) = answer["deliveries"]
            assert only == {"channel": "slack", "target": "#ops", "state": "failed", "reason": reason}
        assert bench.slack.attempts.qsize() == 2
        assert (await client.get("/notifications/dead")) == {"dead": []}


async def test_a_drill_without_outcome_is_called_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits behind something that hangs; later it is not sent any more."""
    monkeypatch.setattr(trials, "_MARGIN_SECONDS", 0.0)
    quick = config(notification_channels=["slack"], delivery_timeout=0.2)
    async with serving(tmp_path, quick) as (bench, client):
        bench.slack.hold = asyncio.Event()
        await client.send(message="x", channel="slack")
        await bench.slack.attempts.get()
        _, answer = await post(client, "test", channel="slack")
        assert answer["deliveries"][0]["reason"] == "there was no outcome within 0.2 s; it was called off"
        bench.slack.hold.set()
        await client.send(message="y", channel="slack")
        texts = [(await bench.slack.accepted.get()).notification.text for _ in range(2)]
        assert texts == ["x", "y"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"channel": "email"}, 409, "channel email cannot deliver: not set up"),
        (
            {"channel": "sse"},
            409,
            "channel sse cannot deliver: it is not in real_time_notifications.notification_channels",
        ),
        ({"channel": "slack", "target": "#dev"}, 404, "'#dev' is no recipient of slack"),
        ({"receiver": "team"}, 404, "there is no receiver 'team'"),
    ],
)
async def test_a_drill_to_nobody_is_refused(tmp_path: Path, body: dict, status: int, message: str) -> None:
    async with serving(tmp_path, SETTINGS) as (_, client):
        found, answer = await post(client, "test", **body)
        assert (found, answer["error"]["message"]) == (status, message)
        assert answer["error"]["hint"]


async def test_a_receiver_that_cannot_be_reached_is_told_why(tmp_path: Path) -> None:
    receivers = {"mail": ReceiverConfig(channel="email", to=["oncall@example.org"])}
    settings = msgspec.structs.replace(SETTINGS, receivers=receivers)
    async with serving(tmp_path, settings) as (_, client):
        found, answer = await post(client, "test", receiver="mail")
        message = "the receiver mail has no recipient: the channel email is not ready: not set up"
        assert (found, answer["error"]["message"]) == (409, message)


async def test_what_was_given_up_is_listed_and_sent_again(tmp_path: Path) -> None:
    async with serving(tmp_path, SETTINGS) as (bench, client):
        bench.slack.failures = [Dead("is_archived")]
        await client.send(message="x", channel="slack")
        await bench.slack.attempts.get()
        async with asyncio.timeout(10):
            while not (letters := (await client.get("/notifications/dead"))["dead"]):
                await asyncio.sleep(0.005)
        (letter,) = letters
        assert (letter["channel"], letter["target"], letter["reason"]) == ("slack", "#ops", "is_archived")
        assert letter["given_up_at"] == "2027-01-15T08:00:00.000Z"
        assert await post(client, "dead/replay", ids=[letter["id"], 99]) == (
            202,
            {"replayed": [letter["id"]], "unknown": [99]},
        )
        assert (await bench.slack.accepted.get()).notification.text == "x"
        assert await post(client, "dead/replay", all=True) == (202, {"replayed": [], "unknown": []})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[", "the body is no JSON: Input data was truncated"),
        (b"{}", "channel: name either a channel or a receiver"),
        (b'{"channel": "email", "receiver": "x"}', "channel: name either a channel or a receiver"),
        (
            b'{"channel": "slak"}',
            'channel: "slak" is none of websocket, sse, email, slack, webhook, alertmanager (did you mean slack?)',
        ),
        (b'{"chanel": "email"}', "chanel: unknown key (did you mean channel?)"),
        (b'{"channel": 1}', "channel: must be a text, is 1"),
        (
            msgspec.json.encode({"channel": "email", "message": "x" * 4001}),
            "message: has 4,001 characters, at most 4,000 are taken",
        ),
    ],
)
def test_faults_of_a_drill_are_told(body: bytes, message: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_test(body)
    assert (caught.value.status, caught.value.message) == (400, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", "the body must be a JSON object"),
        (b"{}", "ids: name either ids or all"),
        (b'{"ids": [1], "all": true}', "ids: name either ids or all"),
        (b'{"all": false}', "all: can only be true, is false"),
        (b'{"ids": []}', "ids: must be a list of 1 to 1000 whole numbers"),
        (b'{"ids": [true]}', "ids: must be a list of 1 to 1000 whole numbers"),
        (b'{"ids": [99999999999999999999]}', "ids: must be a list of 1 to 1000 whole numbers"),
        (b'{"id": [1]}', "id: unknown key (did you mean ids?)"),
    ],
)
def test_faults_of_a_replay_are_told(body: bytes, message: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_replay(body)
    assert (caught.value.status, caught.value.message) == (400, message)


def test_what_may_be_asked_for() -> None:
    assert parse_replay(b'{"ids": [1, 2]}') == [1, 2]
    assert parse_replay(b'{"all": true}') is None
    assert parse_test(b'{"receiver": "team", "target": "a@x"}')[:3] == ("", "team", "a@x")
