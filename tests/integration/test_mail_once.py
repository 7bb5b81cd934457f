"""An alert that fires reaches a real SMTP server exactly once, across a restart of the daemon."""

from __future__ import annotations

import asyncio
import email

import aiohttp
from aiosmtpd.controller import Controller

from tests.integration.daemon import Daemon
from tests.ports import free_port


class Inbox:
    """Keeps every message that the server accepts."""

    def __init__(self) -> None:
        self.messages: list[email.message.Message] = []

    async def handle_DATA(self, server, session, envelope) -> str:
        self.messages.append(email.message_from_bytes(envelope.content))
        return "250 OK"


CONFIG = """
real_time_notifications:
  notification_rules:
    - name: many_failures
      condition: error_rate > 0.5
      channel: email
      priority: critical
  email:
    host: 127.0.0.1
    port: {port}
    tls: none
    to: [oncall@example.org]
"""


async def fail(session: aiohttp.ClientSession, base: str, number: int) -> None:
    event = {"type": "llm.request.failed", "data": {"model": "m", "error": "timeout", "latency_ms": 8000 + number}}
    async with session.post(f"{base}/events", json=event) as answer:
        assert answer.status == 202, await answer.text()


async def rule_state(session: aiohttp.ClientSession, base: str) -> str:
    async with session.get(f"{base}/notifications/status") as answer:
        status = await answer.json()
    return next(rule["state"] for rule in status["rules"] if rule["name"] == "many_failures")


async def test_a_firing_alert_is_mailed_once_across_a_restart(tmp_path):
    """Firing, mailed; stopped and started again while it still fires: no second mail."""
    inbox = Inbox()
    server = Controller(inbox, hostname="127.0.0.1", port=free_port())
    server.start()
    config = tmp_path / "data-streaming-api.yaml"
    config.write_text(CONFIG.format(port=server.port))
    daemon = Daemon(tmp_path / "data", "--config", str(config))
    try:
        async with aiohttp.ClientSession() as session:
            await daemon.start()
            await fail(session, daemon.events, 0)
            async with asyncio.timeout(30):
                while not inbox.messages:
                    await asyncio.sleep(0.05)
            assert await daemon.end() == 0
            await daemon.start()
            await fail(session, daemon.events, 1)
            # Evaluated at least once more after the restart: `since` is kept and the state is still firing.
            async with asyncio.timeout(30):
                while not any("analytics" in line for line in await ticks(session, daemon)):
                    await asyncio.sleep(0.05)
            assert await rule_state(session, daemon.gateway) == "firing"
            assert await daemon.end() == 0
    finally:
        server.stop()
    assert [message["To"] for message in inbox.messages] == ["oncall@example.org"]
    assert "many_failures" in inbox.messages[0]["Subject"]


async def ticks(session: aiohttp.ClientSession, daemon: Daemon) -> list[str]:
    """The types of the newest snapshots since the last event of ours, once three ticks have passed."""
    async with session.get(f"{daemon.events}/events", params={"limit": 10_000}) as answer:
        events = (await answer.json())["events"]
    last = max(i for i, event in enumerate(events) if event["type"] == "llm.request.failed")
    snapshots = [event["type"] for event in events[last:] if event["type"] == "analytics.snapshot"]
    return snapshots if len(snapshots) >= 3 else []
