"""Slack against a server that answers as told: classes of failures, escaping, limits, and no secret anywhere."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp import web

from hxp_enterprise_llm.config.delivery import SlackConfig
from hxp_enterprise_llm.event.notifications.channels.blocks import blocks, escaped, fallback_text
from hxp_enterprise_llm.event.notifications.channels.model import ChannelFault, Dead, Retry
from hxp_enterprise_llm.event.notifications.channels.slack import SlackChannel
from hxp_enterprise_llm.event.notifications.channels.slack_failures import BLOCKED_SECONDS
from hxp_enterprise_llm.event.notifications.channels.words import Worded
from hxp_enterprise_llm.event.notifications.links import linked
from hxp_enterprise_llm.event.notifications.model import Alert
from tests.unit.notifications.servers import SlackServer, raw_server, silent
from tests.unit.notifications.support import NOW, delivery, notification
from tests.unit.notifications.test_email import Password as Text

CANARY = "xoxb-canary-4711"


@pytest.fixture
async def slack():
    async with SlackServer().running() as server:
        yield server


def by_token(server: SlackServer) -> SlackChannel:
    return SlackChannel(SlackConfig(channel="#ops", api_url=f"{server.url}/api/"), Text(CANARY))


def by_webhook(server: SlackServer) -> SlackChannel:
    return SlackChannel(SlackConfig(), webhook_url=Text(f"{server.url}/services/{CANARY}"))


MAKERS = pytest.mark.parametrize("make", [by_token, by_webhook])


async def test_a_message_is_posted_with_the_token(slack: SlackServer) -> None:
    channel = by_token(slack)
    assert (channel.readiness, channel.targets) == ((True, ""), ("#ops",))
    await channel.send(delivery("#ops", "slack"), 5)
    path, authorization, body = slack.posts.get_nowait()
    assert (path, authorization) == ("/api/chat.postMessage", f"Bearer {CANARY}")
    assert body["channel"] == "#ops"
    assert body["text"] == "[CRITICAL] critical_alert: firing · error_rate is 0.31"
    assert body["blocks"] == [
        {
            "type": "section",
            "text": {"type": "mrkdwn", "text": "*[CRITICAL] critical_alert: firing*\nerror_rate is 0.31"},
        },
        {
            "type": "context",
            "elements": [
                {
                    "type": "mrkdwn",
                    "text": "error_rate &gt; 0.2 · error_rate = 0.31 · since 2027-01-15T07:59:00.000Z",
                }
            ],
        },
    ]


async def test_a_message_is_posted_to_the_webhook(slack: SlackServer) -> None:
    channel = by_webhook(slack)
    assert (channel.readiness, channel.targets) == ((True, ""), ("",))
    await channel.send(delivery("", "slack"), 5)
    path, authorization, body = slack.posts.get_nowait()
    assert (path, authorization) == (f"/services/{CANARY}", "")
    assert set(body) == {"text", "blocks"}


@MAKERS
async def test_a_rate_limit_is_kept_for_as_long_as_slack_says(slack: SlackServer, make) -> None:
    slack.answers = [
        web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "7"}),
        web.json_response({"ok": False, "error": "ratelimited"}, status=429),
    ]
    for after in (7.0, 30.0):
        with pytest.raises(Retry, match="Slack limits the rate") as caught:
            await make(slack).send(delivery("#ops", "slack"), 5)
        assert caught.value.after == after
    assert slack.posts.qsize() == 2


@MAKERS
@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=500, text="oops"),
        lambda: web.Response(status=502, text="<html>", content_type="text/html"),
        lambda: web.Response(status=503, text="{", content_type="application/json"),
    ],
)
async def test_a_broken_slack_is_tried_again(slack: SlackServer, make, answer) -> None:
    slack.answers = [answer()]
    with pytest.raises(Retry) as caught:
        await make(slack).send(delivery("#ops", "slack"), 5)
    assert caught.value.after is None
    assert slack.posts.qsize() == 1


@pytest.mark.parametrize(
    ("error", "kind", "after", "reason"),
    [
        ("channel_not_found", Dead, None, "Slack says channel_not_found"),
        ("msg_blocks_too_long", Dead, None, "Slack says msg_blocks_too_long"),
        ("invalid_auth", Retry, BLOCKED_SECONDS, "Slack refuses the token: invalid_auth"),
        ("token_revoked", Retry, BLOCKED_SECONDS, "Slack refuses the token: token_revoked"),
        ("internal_error", Retry, None, "Slack says internal_error"),
        ("something_new", Retry, None, "Slack says something_new"),
    ],
)
async def test_ok_false_is_told_apart(slack: SlackServer, error: str, kind: type, after, reason: str) -> None:
    # What is too long is tried once more, shorter.
    slack.answers = [web.json_response({"ok": False, "error": error}) for _ in range(2)]
    with pytest.raises(kind) as caught:
        await by_token(slack).send(delivery("#ops", "slack"), 5)
    assert str(caught.value) == reason
    assert getattr(caught.value, "after", None) == after


@pytest.mark.parametrize(
    ("status", "body", "kind", "after"),
    [
        (404, "no_service", Retry, BLOCKED_SECONDS),
        (403, "invalid_token", Retry, BLOCKED_SECONDS),
        (400, "invalid_payload", Dead, None),
        (410, "channel_is_archived", Dead, None),
    ],
)
async def test_refusals_of_a_webhook_are_told_apart(slack: SlackServer, status: int, body: str, kind, after) -> None:
    slack.answers = [web.Response(status=status, text=body)]
    with pytest.raises(kind, match=f"HTTP {status} {body}") as caught:
        await by_webhook(slack).send(delivery("", "slack"), 5)
    assert getattr(caught.value, "after", None) == after


@pytest.mark.parametrize(
    "answer", [lambda: web.Response(text="hello"), lambda: web.json_response([1]), lambda: web.json_response("x")]
)
async def test_an_answer_that_is_none_is_tried_again(slack: SlackServer, answer) -> None:
    slack.answers = [answer()]
    with pytest.raises(Retry, match="Slack"):
        await by_token(slack).send(delivery("#ops", "slack"), 5)


@MAKERS
async def test_a_slack_that_hangs_is_left(slack: SlackServer, make) -> None:
    slack.answers = [asyncio.Event()]
    with pytest.raises(Retry, match=r"Slack did not answer within 0\.1 s"):
        await make(slack).send(delivery("#ops", "slack"), 0.1)


@MAKERS
async def test_a_slack_that_takes_connections_and_says_nothing_is_left(make) -> None:
    async with raw_server(silent) as port:
        server = SlackServer()
        server.url = f"http://127.0.0.1:{port}"
        with pytest.raises(Retry, match="did not answer"):
            await make(server).send(delivery("#ops", "slack"), 0.1)


@MAKERS
async def test_no_failure_shows_a_secret(make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = SlackServer()
    async with server.running():
        server.answers = [web.Response(status=500, text="x"), web.json_response({"ok": False, "error": "x"})]
        sends = [make(server).send(delivery("#ops", "slack"), 5) for _ in range(3)]
        failures = await asyncio.gather(*sends, return_exceptions=True)
        assert any(isinstance(failure, Retry) for failure in failures)
        assert CANARY not in repr(failures)
    with pytest.raises(Retry, match="Slack cannot be reached") as caught:
        await make(server).send(delivery("#ops", "slack"), 5)
    assert CANARY not in repr(caught.value)
    assert CANARY not in caplog.text
    assert CANARY not in repr(vars(make(server)))


async def test_a_webhook_that_is_no_url_is_not_shown() -> None:
    with pytest.raises(Retry) as caught:
        await SlackChannel(SlackConfig(), webhook_url=Text(CANARY)).send(delivery("", "slack"), 1)
    assert CANARY not in repr(caught.value)
    assert "***" in str(caught.value)


def test_a_channel_that_is_not_set_up_says_what_is_missing() -> None:
    assert SlackChannel(SlackConfig(), Text("t")).readiness == (
        False,
        "a bot token is there but real_time_notifications.slack.channel is empty",
    )
    nothing = SlackChannel(SlackConfig(channel="#ops")).readiness
    assert not nothing.ready
    assert "slack-bot-token" in nothing.reason


def test_a_token_without_a_channel_leaves_the_webhook() -> None:
    assert SlackChannel(SlackConfig(), Text("t"), Text("https://hooks.example/x")).targets == ("",)


def test_the_token_never_travels_in_clear_text() -> None:
    with pytest.raises(ChannelFault) as caught:
        SlackChannel(SlackConfig(api_url="http://slack.example/api/"))
    assert str(caught.value) == (
        "real_time_notifications.slack.api_url: 'http://slack.example/api/' must begin with https://"
    )


def test_nobody_mentions_a_channel_or_hides_a_link() -> None:
    told = notification(title="<!channel> & <http://evil|good>", text="<!here>\n& more")
    text = "".join([fallback_text(told), *(str(block) for block in blocks(told))])
    assert "<" not in text
    assert "&lt;!channel&gt; &amp; &lt;http://evil|good&gt;" in text


def test_messages_keep_within_the_limits() -> None:
    told = notification(title="<" * 5000, text="&" * 50_000, condition=">" * 5000, reason="x" * 5000)
    section, context = blocks(told)
    assert len(section["text"]["text"]) <= 3000
    assert len(context["elements"][0]["text"]) <= 2000
    assert len(fallback_text(told)) <= 600


def test_a_message_by_hand_shows_its_time() -> None:
    told = notification("message", rule="", since=None)
    assert blocks(told)[1]["elements"][0]["text"] == "2027-01-15T08:00:00.000Z"
    assert escaped("abc", 10) == "abc"


KEPT = {"ts": "1.0", "channel": "C1"}


def refused(error: str) -> web.Response:
    return web.json_response({"ok": False, "error": error})


def posts(slack: SlackServer) -> list[tuple[str, dict]]:
    found = [slack.posts.get_nowait() for _ in range(slack.posts.qsize())]
    return [(path.removeprefix("/api/"), body) for path, _, body in found]


async def test_an_incident_is_one_message_that_is_changed_and_answered(slack: SlackServer) -> None:
    channel = by_token(slack)
    kept = await channel.send(delivery("#ops", "slack"), 5)
    assert kept == KEPT
    assert await channel.send(delivery("#ops", "slack", kind="resolved")._replace(kept=kept), 5) == KEPT
    (_, first), (update, changed), (answer, reply) = posts(slack)
    assert (update, answer) == ("chat.update", "chat.postMessage")
    assert (changed["ts"], changed["channel"]) == ("1.0", "C1")
    assert "critical_alert: resolved" in changed["text"]
    assert (reply["thread_ts"], reply["channel"], reply["reply_broadcast"]) == ("1.0", "C1", True)
    assert first["text"] != reply["text"]


async def test_what_is_not_critical_is_answered_in_its_thread_alone(slack: SlackServer) -> None:
    told = delivery("#ops", "slack", kind="resolved", priority="warning")._replace(kept=KEPT)
    await by_token(slack).send(told, 5)
    assert posts(slack)[1][1]["reply_broadcast"] is False


@pytest.mark.parametrize(
    "answers",
    [
        ["message_not_found"],
        ["cant_update_message"],
        ["edit_window_closed"],
        [None, "thread_not_found"],
    ],
)
async def test_a_message_that_is_gone_or_closed_is_followed_by_a_new_one(slack: SlackServer, answers) -> None:
    slack.answers = [
        refused(error) if error else web.json_response({"ok": True, "ts": "1.0", "channel": "C1"}) for error in answers
    ]
    slack.answers.append(web.json_response({"ok": True, "ts": "2.0", "channel": "C1"}))
    told = delivery("#ops", "slack", kind="resolved")._replace(kept=KEPT)
    assert await by_token(slack).send(told, 5) == {"ts": "2.0", "channel": "C1"}
    path, body = posts(slack)[-1]
    assert path == "chat.postMessage"
    assert (body["channel"], "thread_ts" in body) == ("#ops", False)


@pytest.mark.parametrize("error", ["msg_too_long", "msg_blocks_too_long", "invalid_blocks"])
async def test_what_slack_finds_too_long_is_sent_shorter(slack: SlackServer, error: str) -> None:
    slack.answers = [refused(error)]
    assert await by_token(slack).send(delivery("#ops", "slack"), 5) == KEPT
    (_, long), (_, short) = posts(slack)
    assert (bool(long["blocks"]), short["blocks"]) == (True, [])
    assert short["text"] == long["text"]


async def test_a_limit_holds_the_slack_channel_alone(slack: SlackServer) -> None:
    slack.answers = [web.json_response({"ok": False}, status=429, headers={"Retry-After": "7"})]
    with pytest.raises(Retry) as caught:
        await by_token(slack).send(delivery("#ops", "slack"), 5)
    assert (caught.value.scope, caught.value.failure) == ("target", "rateLimited")


async def test_a_failure_between_change_and_answer_is_tried_again(slack: SlackServer) -> None:
    slack.answers = [web.json_response({"ok": True}), web.Response(status=503)]
    told = delivery("#ops", "slack", kind="resolved")._replace(kept=KEPT)
    with pytest.raises(Retry):
        await by_token(slack).send(told, 5)
    assert await by_token(slack).send(told, 5) == KEPT
    assert [path for path, _ in posts(slack)] == ["chat.update", "chat.postMessage"] * 2


def test_many_alerts_are_listed_within_the_limits() -> None:
    alerts = tuple(
        Alert(
            fingerprint=f"{number:016}",
            episode=f"e{number}",
            status="firing",
            priority="critical",
            labels={"alertname": "<!channel>" * 20, "agent": "&" * 200},
            starts_at=NOW,
        )
        for number in range(99)
    )
    shown = blocks(notification(alerts=alerts))
    assert len(shown) == 3
    assert all(len(block["text"]["text"]) <= 3000 for block in shown[:2])
    assert "<" not in shown[1]["text"]["text"]


def test_words_of_a_template_are_cut_but_no_escape_is() -> None:
    worded = Worded("title", "text", slack="&lt;" * 2000)
    (section, _) = blocks(notification(), worded)
    text = section["text"]["text"]
    assert len(text) <= 2900
    assert text.rstrip("…").replace("&lt;", "") == ""


async def test_what_is_too_long_still_leads_to_the_page(slack: SlackServer) -> None:
    slack.answers = [web.json_response({"ok": False, "error": "msg_too_long"})]
    told = delivery("#ops", "slack")
    page = linked(told.notification, "https://citadel.example")
    await by_token(slack).send(told._replace(notification=page), 5)
    assert posts(slack)[-1][1]["text"].endswith("<https://citadel.example/view/alerts?episode=ep-1|Page>")
