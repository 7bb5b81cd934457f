"""The three routes over a running engine, by real HTTP."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.delivery import EmailConfig, SlackConfig
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.model import BEGINNING, decode
from hxp_enterprise_llm.event.notifications.api import routes
from hxp_enterprise_llm.event.notifications.channels.factory import channel_factory
from hxp_enterprise_llm.event.notifications.channels.model import Retry
from hxp_enterprise_llm.event.notifications.engine import NotificationEngine
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.store.database import Store
from hxp_enterprise_llm.store.errors import StoreUnavailable
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics
from tests.unit.notifications.engines import Bench
from tests.unit.notifications.servers import MailServer, SlackServer
from tests.unit.notifications.support import config, metrics, rule, snapshot, until
from tests.unit.notifications.test_email import Password as Text


class Client:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, path: str) -> Any:
        async with self._session.get(path) as answer:
            assert answer.status == 200
            return await answer.json()

    async def send(self, **body: Any) -> tuple[int, Any]:
        async with self._session.post("/notifications/send", json=body) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def client_of(engine: NotificationEngine, clock: Any):
    policy = Policy.of(SecurityConfig())
    table = routes(engine, clock=clock, budget=BodyBudget())
    app = build_app(table, policy=lambda: policy, metrics=ServiceMetrics(CollectorRegistry()))
    listener = Listener(app, "127.0.0.1", 0, name="test")
    await listener.start()
    host, port = listener.address[:2]
    async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
        yield Client(session)
    await listener.stop(1)


@asynccontextmanager
async def serving(path: Path, settings: NotificationsConfig | None = None):
    bench = Bench(path, settings or config(rule()))
    async with bench.running(), client_of(bench.engine, bench.clock) as client:
        yield bench, client


SEED = {"type": "test", "message": "Test notification", "channel": "websocket"}


async def test_the_request_of_the_manual_becomes_an_event(tmp_path: Path) -> None:
    async with serving(tmp_path) as (bench, client):
        status, answer = await client.send(**SEED)
        assert (status, answer["deliveries"]) == (202, [{"channel": "websocket", "state": "queued"}])
        await bench.kinds("notification.message")
        assert await bench.events() == [
            (
                "notification.message",
                {"type": "test", "title": "test", "message": "Test notification", "priority": "info"},
            )
        ]
        assert decode((await bench.log.read(BEGINNING)).events[0].raw).id == answer["id"]


async def test_a_message_to_all_reaches_every_channel_that_is_ready(tmp_path: Path) -> None:
    async with serving(tmp_path) as (bench, client):
        _, answer = await client.send(message="hello", title="deploy", priority="critical")
        assert [one["channel"] for one in answer["deliveries"]] == ["websocket", "sse", "slack"]
        told = (await bench.slack.accepted.get()).notification
        assert (told.title, told.text, told.priority, told.type) == ("deploy", "hello", "critical", "message")
        await bench.kinds("notification.message")


async def test_a_message_to_people_is_no_event(tmp_path: Path) -> None:
    async with serving(tmp_path) as (bench, client):
        await client.send(message="hello", channel="slack")
        await bench.slack.accepted.get()
        assert await bench.events() == []


@pytest.mark.parametrize(
    ("settings", "body", "code", "message"),
    [
        ({}, {"channel": "email"}, "channel_off", "channel email cannot deliver: not set up"),
        (
            {"notification_channels": ["sse"]},
            {"channel": "slack"},
            "channel_off",
            "channel slack cannot deliver: it is not in real_time_notifications.notification_channels",
        ),
        (
            {"notification_channels": ["email"]},
            {"channel": "all"},
            "channel_off",
            "channel all cannot deliver: no channel is ready",
        ),
        ({"info_enabled": False}, {}, "priority_off", "info notifications are switched off"),
        ({"enabled": False}, {}, "notifications_off", "notifications are switched off"),
    ],
)
async def test_what_cannot_be_delivered_is_refused(
    tmp_path: Path, settings: dict, body: dict, code: str, message: str
) -> None:
    async with serving(tmp_path, config(**settings)) as (_, client):
        status, answer = await client.send(message="x", **body)
        assert status == 409
        assert (answer["error"]["code"], answer["error"]["message"]) == (code, message)
        assert answer["error"]["hint"]


async def test_a_faulty_request_is_refused_with_every_fault(tmp_path: Path) -> None:
    async with serving(tmp_path) as (bench, client):
        status, answer = await client.send(message="x", channel="webscoket", priority="urgent")
        assert status == 400
        assert [fault["path"] for fault in answer["error"]["faults"]] == ["channel", "priority"]
        assert "did you mean websocket?" in answer["error"]["message"]
        status, answer = await client.send(message="x" * 70_000)
        assert (status, answer["error"]["code"]) == (413, "body_too_large")
        assert await bench.rows("id") == []


async def test_a_store_that_cannot_take_it_is_said_before_anything_is_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as (bench, client):

        async def full(work: object) -> None:
            raise StoreUnavailable(bench.store.path, "database or disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(bench.store, "run", full)
            status, answer = await client.send(**SEED)
        assert (status, answer["error"]["code"]) == (503, "store_unavailable")
        assert "database or disk is full" in answer["error"]["message"]


async def test_the_status_begins_with_the_keys_of_the_manual(tmp_path: Path) -> None:
    async with serving(tmp_path) as (bench, client):
        await bench.tick(error_rate=0.5)
        await bench.slack.accepted.get()
        await until(lambda: _sent(bench, 4))
        status = await client.get("/notifications/status")
        assert list(status)[:2] == ["notifications_enabled", "delivery_channels"]
        assert status["notifications_enabled"] is True
        assert status["delivery_channels"] == ["websocket", "sse", "slack"]
        assert status["not_ready"] == {"email": "not set up"}
        assert status["rules"] == [
            {
                "name": "critical_alert",
                "condition": "error_rate > 0.2",
                "channel": "all",
                "priority": "critical",
                "state": "firing",
                "since": "2027-01-15T08:00:01.000Z",
                "episode": next(iter(bench.engine.alerts.values())).state.episode,
                "values": {"error_rate": 0.5},
                "health": "ok",
            }
        ]
        assert status["outbox"] == {"queued": 0, "in_flight": 0, "retry": 0, "merged": 0, "sent": 4, "dead": 0}
        assert status["last_snapshot"] == "2027-01-15T08:00:01.000Z"


async def _sent(bench: Bench, count: int) -> bool:
    return [row[0] for row in await bench.rows("state")] == ["sent"] * count


async def test_before_the_first_snapshot_a_rule_has_no_data(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, client):
        (one,) = (await client.get("/notifications/status"))["rules"]
        assert (one["state"], one["health"], one["reason"]) == (
            "ok",
            "no_data",
            "no metrics snapshot has arrived yet",
        )


async def test_the_status_counts_what_another_message_tells(tmp_path: Path) -> None:
    """A resolve that took the place of a firing notice which nobody got."""
    async with serving(tmp_path) as (bench, client):
        bench.slack.failures = [Retry("busy")] * 9
        await bench.tick(error_rate=0.5)
        await bench.slack.attempts.get()
        await bench.tick(error_rate=0.0)
        await until(lambda: _counts(client, "merged", 1))


async def _counts(client: Client, state: str, count: int) -> bool:
    return (await client.get("/notifications/status"))["outbox"][state] == count


async def test_each_channel_says_how_it_does(tmp_path: Path) -> None:
    async with serving(tmp_path, config(notification_channels=["slack", "email"])) as (bench, client):
        await client.send(message="x", channel="slack")
        await until(lambda: _sent(bench, 1))
        websocket, _, email, slack, *_ = (await client.get("/notifications/channels"))["channels"]
        assert websocket == {
            "name": "websocket",
            "enabled": False,
            "ready": False,
            "reason": "it is not in real_time_notifications.notification_channels",
            "recipients": 1,
            "deliveries": {},
            "last_delivery": None,
        }
        assert (email["enabled"], email["ready"], email["reason"]) == (True, False, "not set up")
        assert slack == {
            "name": "slack",
            "enabled": True,
            "ready": True,
            "recipients": 1,
            "deliveries": {"sent": 1},
            "last_delivery": {"state": "sent", "attempts": 1, "at": "2027-01-15T08:00:00.000Z", "error": ""},
        }


CANARY = "canary-8152"


async def test_secrets_are_nowhere_to_be_seen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Wrong passwords, revoked tokens and broken answers, with everything logged and every answer read."""
    caplog.set_level(logging.DEBUG)
    structlog.reset_defaults()
    slack, mail = SlackServer(), MailServer(password="right")
    log, store, clock = MemoryLog(), Store(tmp_path / "store.db"), SystemClock()
    await log.open()
    await store.open()
    async with slack.running(), mail.running():
        mail.authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        settings = config(
            rule(),
            email=EmailConfig(
                host="127.0.0.1", port=mail.port, username="u", to=["a@example.org"], ca_file=str(tmp_path / "ca.pem")
            ),
            slack=SlackConfig(channel="#ops", api_url=f"{slack.url}/api/"),
        )
        asked: list[tuple[str, str]] = []

        def read(file: str, credential: str) -> Text:
            asked.append((file, credential))
            return Text(f"{credential}-{CANARY}")

        with capture_logs() as lines:
            slack.answers = [web.json_response({"ok": False, "error": "invalid_auth"})]
            engine = NotificationEngine(
                settings, log, store, channel_factory(log, read, time=clock.time), clock=clock, metrics=metrics()
            )
            task = asyncio.create_task(engine.run())
            await log.append([snapshot(clock.time(), error_rate=0.9)])
            async with client_of(engine, clock) as client:

                async def both_refused() -> bool:
                    channels = (await client.get("/notifications/channels"))["channels"]
                    return all(one["deliveries"] == {"retry": 1} for one in channels[2:4])

                await until(both_refused)
                answers = repr([await client.get(f"/notifications/{name}") for name in ("status", "channels")])
            task.cancel()
            await asyncio.wait({task})
    await store.close()
    assert asked == [("", "smtp-password"), ("", "slack-bot-token"), ("", "slack-webhook-url")]
    reasons = {line["channel"]: line["reason"] for line in lines if line["event"] == "delivery.failed"}
    assert reasons["email"].startswith("the mail server refuses the log-in: 535")
    assert reasons["slack"] == "Slack refuses the token: invalid_auth"
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    for text in (repr(lines), caplog.text, answers, repr(stored)):
        assert CANARY not in text
