"""Webhooks against a server that answers as told: payload, signature, classes of failures, no redirect, no secret."""

from __future__ import annotations

import asyncio
import gzip
import hmac
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from aiohttp import web

from hxp_enterprise_llm.config.delivery import WebhookConfig, WebhookEndpoint
from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.notifications.channels.factory import channel_factory
from hxp_enterprise_llm.event.notifications.channels.http import BLOCKED_SECONDS
from hxp_enterprise_llm.event.notifications.channels.model import ChannelFault, Dead, Retry
from hxp_enterprise_llm.event.notifications.channels.webhook import Endpoint, WebhookChannel, signature
from hxp_enterprise_llm.event.notifications.model import Alert
from hxp_enterprise_llm.security.egress import Egress
from tests.unit.notifications.servers import HOOK_SECRET as CANARY
from tests.unit.notifications.servers import Hook, raw_server, silent
from tests.unit.notifications.support import NOW, config, delivery
from tests.unit.notifications.test_email import Password as Text


def channel(url: str, secret: str = "", *, most_alerts: int = 0, egress: Egress | None = None) -> WebhookChannel:
    endpoint = Endpoint("pager", Text(url), Text(secret) if secret else None, most_alerts)
    return WebhookChannel([endpoint], time=lambda: NOW, egress=egress or Egress(), page_url="https://us.example")


def alert(number: int, status: str = "firing", **more: Any) -> Alert:
    values = {
        "fingerprint": f"{number:016x}",
        "episode": f"e{number}",
        "status": status,
        "priority": "critical",
        "labels": {"alertname": "errors", "severity": "critical", "agent": f"a{number}"},
        "annotations": {"summary": "too many"},
        "starts_at": NOW - 60,
        "ends_at": NOW if status == "resolved" else None,
    }
    return Alert(**(values | more))


async def payload(hook: Hook) -> dict[str, Any]:
    return msgspec.json.decode((await hook.seen.get())[1])


async def test_the_payload_is_alertmanagers(hook: Hook) -> None:
    """Key by key what Alertmanager 0.25 sends, which a receiver may take for it."""
    told = delivery("pager", "webhook", alerts=(alert(1), alert(2, "resolved")), group_labels={"alertname": "errors"})
    await channel(hook.url).send(told, 5)
    assert await payload(hook) == {
        "receiver": "pager",
        "status": "firing",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "errors", "severity": "critical", "agent": "a1"},
                "annotations": {"summary": "too many"},
                "startsAt": "2027-01-15T07:59:00.000Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "",
                "fingerprint": "0000000000000001",
            },
            {
                "status": "resolved",
                "labels": {"alertname": "errors", "severity": "critical", "agent": "a2"},
                "annotations": {"summary": "too many"},
                "startsAt": "2027-01-15T07:59:00.000Z",
                "endsAt": "2027-01-15T08:00:00.000Z",
                "generatorURL": "",
                "fingerprint": "0000000000000002",
            },
        ],
        "groupLabels": {"alertname": "errors"},
        "commonLabels": {"alertname": "errors", "severity": "critical"},
        "commonAnnotations": {"summary": "too many"},
        "externalURL": "https://us.example",
        "version": "4",
        "groupKey": '{}:{alertname="errors"}',
        "truncatedAlerts": 0,
    }


async def test_too_many_alerts_are_counted(hook: Hook) -> None:
    told = delivery("pager", "webhook", alerts=tuple(alert(n) for n in range(5)), truncated=3, receiver="team")
    await channel(hook.url, most_alerts=2).send(told, 5)
    found = await payload(hook)
    assert (len(found["alerts"]), found["truncatedAlerts"], found["receiver"]) == (2, 6, "team")


async def test_a_message_by_hand_is_an_alert_and_a_drill_says_so(hook: Hook) -> None:
    told = delivery("pager", "webhook", kind="message", type="test", rule="", title="hello", test=True)
    await channel(hook.url).send(told, 5)
    found = await payload(hook)
    (only,) = found["alerts"]
    assert only["labels"] == {"alertname": "test", "severity": "critical", "test": "true"}
    assert only["annotations"] == {"summary": "hello", "description": "error_rate is 0.31"}
    assert found["status"] == "firing"


async def test_what_is_sent_is_signed_over_time_and_body(hook: Hook) -> None:
    await channel(hook.url, "k3y").send(delivery("pager", "webhook"), 5)
    headers, body = await hook.seen.get()
    expected = hmac.new(b"k3y", f"{int(NOW)}.".encode() + body, sha256).hexdigest()
    assert headers["X-Citadel-Timestamp"] == str(int(NOW))
    assert headers["X-Citadel-Signature"] == f"v1={expected}" == signature("k3y", str(int(NOW)), body)
    await channel(hook.url).send(delivery("pager", "webhook", attempts=2), 5)
    unsigned, _ = await hook.seen.get()
    assert "X-Citadel-Signature" not in unsigned
    assert unsigned["Idempotency-Key"] == headers["Idempotency-Key"]


@pytest.mark.parametrize(
    ("status", "kind", "failure", "after", "scope"),
    [
        (400, Dead, "clientError", None, None),
        (404, Dead, "clientError", None, None),
        (413, Dead, "clientError", None, None),
        (401, Retry, "authError", BLOCKED_SECONDS, "target"),
        (403, Retry, "authError", BLOCKED_SECONDS, "target"),
        (408, Retry, "serverError", None, "delivery"),
        (429, Retry, "rateLimited", None, "delivery"),
        (500, Retry, "serverError", None, "delivery"),
        (503, Retry, "serverError", None, "delivery"),
    ],
)
async def test_answers_are_told_apart(hook: Hook, status: int, kind: type, failure: str, after, scope) -> None:
    hook.answers = [web.Response(status=status, text="no\nway")]
    with pytest.raises(kind) as caught:
        await channel(hook.url).send(delivery("pager", "webhook"), 5)
    assert str(caught.value) == f"the webhook pager says HTTP {status} no way"
    assert caught.value.failure == failure
    assert getattr(caught.value, "after", None) == after
    assert getattr(caught.value, "scope", None) == scope


@pytest.mark.parametrize(
    ("header", "after"),
    [
        ("7", 7.0),
        ("0.5", 1.0),
        ("86400", 3600.0),
        ("Wed, 21 Oct 2026 07:28:40 GMT", 40.0),
        ("Wed, 21 Oct 2026 07:27:00 GMT", None),
        ("Wed, 21 Oct 2026 07:28:40 -0000", None),
        ("Wed, 99 Oct 2026 07:28:40 GMT", None),
        ("0", None),
        ("soon", None),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
    ],
)
async def test_a_pause_that_is_asked_for_is_kept(hook: Hook, header: str, after: float | None) -> None:
    headers = {"Retry-After": header, "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    hook.answers = [web.Response(status=429, headers=headers)]
    with pytest.raises(Retry) as caught:
        await channel(hook.url).send(delivery("pager", "webhook"), 5)
    assert (caught.value.after, caught.value.scope) == (after, "delivery" if after is None else "target")


async def test_no_redirect_is_followed(hook: Hook) -> None:
    hook.answers = [web.Response(status=302, headers={"Location": "http://169.254.169.254/latest"})]
    with pytest.raises(Retry, match="no redirect is followed") as caught:
        await channel(hook.url).send(delivery("pager", "webhook"), 5)
    assert (caught.value.after, caught.value.scope) == (BLOCKED_SECONDS, "target")
    assert hook.seen.qsize() == 1


async def test_where_nobody_may_go_nothing_is_posted(hook: Hook) -> None:
    with pytest.raises(Retry, match="deny_private is set"):
        await channel(hook.url, egress=Egress(deny_private=True)).send(delivery("pager", "webhook"), 5)
    for address in ("169.254.169.254", "[::ffff:169.254.169.254]", "0.0.0.0"):
        with pytest.raises(Retry, match=r"it is link-local|address of no single host"):
            await channel(f"http://{address}/x").send(delivery("pager", "webhook"), 5)
    assert hook.seen.empty()


async def test_a_receiver_that_hangs_is_left(hook: Hook) -> None:
    hook.answers = [asyncio.Event()]
    with pytest.raises(Retry, match=r"did not answer within 0\.1 s") as caught:
        await channel(hook.url).send(delivery("pager", "webhook"), 0.1)
    assert caught.value.failure == "timeout"
    async with raw_server(silent) as port:
        with pytest.raises(Retry, match="did not answer"):
            await channel(f"http://127.0.0.1:{port}/").send(delivery("pager", "webhook"), 0.1)


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A refusal whose text has no end."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 9999999999\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def test_an_answer_without_end_or_packed_tightly_costs_nothing(hook: Hook) -> None:
    async with raw_server(endless) as port:
        with pytest.raises(Retry, match="HTTP 500 xxx") as caught:
            await channel(f"http://127.0.0.1:{port}/").send(delivery("pager", "webhook"), 5)
    assert len(str(caught.value)) < 400
    bomb = gzip.compress(bytes(1_000_000))
    hook.answers = [web.Response(status=400, body=bomb, headers={"Content-Encoding": "gzip"})]
    with pytest.raises(Dead):
        await channel(hook.url).send(delivery("pager", "webhook"), 5)


async def test_no_failure_shows_a_secret(hook: Hook) -> None:
    hook.answers = [web.Response(status=400, text=f"{CANARY} s3cret-key is wrong")]
    with pytest.raises(Dead) as caught:
        await channel(hook.url, "s3cret-key").send(delivery("pager", "webhook"), 5)
    assert str(caught.value) == "the webhook pager says HTTP 400 *** *** is wrong"
    with pytest.raises(Retry) as unreachable:
        await channel(f"http://127.0.0.1:1/{CANARY}", "s3cret-key").send(delivery("pager", "webhook"), 5)
    assert CANARY not in repr(unreachable.value)


async def test_a_receiver_that_is_configured_no_longer_is_no_recipient(hook: Hook) -> None:
    with pytest.raises(Dead, match="'old' is configured no longer"):
        await channel(hook.url).send(delivery("old", "webhook"), 5)


def make(*endpoints: WebhookEndpoint, secrets: dict[tuple[str, str], str] | None = None):
    known = secrets or {}

    def read(file: str, credential: str):
        found = known.get((file, credential))
        return None if found is None else Text(found)

    factory = channel_factory(MemoryLog(), read, time=lambda: NOW)
    webhooks = WebhookConfig(endpoints=list(endpoints))
    made = factory(config(notification_channels=["webhook"], webhook=webhooks))
    return next(each for each in made if each.name == "webhook")


def test_endpoints_and_their_secrets_come_from_the_configuration() -> None:
    assert make().readiness == (
        False,
        "nobody to post to: name receivers in real_time_notifications.webhook.endpoints",
    )
    made = make(
        WebhookEndpoint(name="a", url="https://a.example/x"),
        WebhookEndpoint(name="b", url_file="/b"),
        secrets={("/b", ""): "https://b.example/secret", ("", "webhook-secret-a"): "key"},
    )
    assert (made.targets, made.readiness) == (("a", "b"), (True, ""))


@pytest.mark.parametrize(
    ("endpoint", "fault"),
    [
        (WebhookEndpoint(name="a"), ": must have either url or url_file"),
        (WebhookEndpoint(name="a", url="https://x", url_file="/y"), ": must have either url or url_file"),
        (WebhookEndpoint(name="a", url="ftp://x"), ".url: must be a URL such as https://alerts.example.org/hook"),
        (WebhookEndpoint(name="a", url="https://x:0/"), ".url: must be a URL such as https://alerts.example.org/hook"),
        (
            WebhookEndpoint(name="a", url="https://u:p@x/"),
            ".url: must carry no user and no password: they would stand in every log of the way",
        ),
    ],
)
def test_an_endpoint_that_cannot_work_is_refused(endpoint: WebhookEndpoint, fault: str) -> None:
    with pytest.raises(ChannelFault) as caught:
        make(endpoint)
    assert str(caught.value) == f"real_time_notifications.webhook.endpoints[0]{fault}"
