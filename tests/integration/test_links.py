"""A mail leads to the page of its alert; where the page is changes on reload."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
from aiosmtpd.controller import Controller

from tests.integration.daemon import Daemon
from tests.integration.test_mail_once import CONFIG, Inbox, fail
from tests.integration.test_process import gauge
from tests.ports import free_port

_LINK = re.compile(r"^Page: (\S+)\r?$", re.M)
_RELOADED = "citadel_config_last_reload_success_timestamp_seconds"


def links(inbox: Inbox, number: int) -> list[str]:
    """The links of a mail's text, and each of them must be in its HTML."""
    text, html = (part.get_payload(decode=True).decode() for part in inbox.messages[number].get_payload())
    found = _LINK.findall(text)
    assert all(f'href="{url}"' in html for url in found)
    return found


async def arrived(inbox: Inbox, count: int) -> None:
    async with asyncio.timeout(30):
        while len(inbox.messages) < count:
            await asyncio.sleep(0.05)


async def drilled(session: aiohttp.ClientSession, daemon: Daemon, inbox: Inbox) -> list[str]:
    """The links of a drill's mail."""
    count = len(inbox.messages)
    async with session.post(f"{daemon.gateway}/notifications/test", json={"channel": "email"}) as answer:
        assert (await answer.json())["delivered"], await answer.text()
    await arrived(inbox, count + 1)
    return links(inbox, count)


async def reload(session: aiohttp.ClientSession, daemon: Daemon, config: Path, text: str) -> None:
    """Returns when the new configuration is in force: one reload a second is made, whatever is asked."""
    config.write_text(text)
    before = await gauge(session, daemon.gateway, _RELOADED)
    os.kill(daemon.pid, signal.SIGHUP)
    async with asyncio.timeout(30):
        while await gauge(session, daemon.gateway, _RELOADED) == before:
            await asyncio.sleep(0.05)


async def test_a_mail_leads_to_the_page_of_its_alert(tmp_path: Path) -> None:
    inbox, config = Inbox(), tmp_path / "data-streaming-api.yaml"
    server = Controller(inbox, hostname="127.0.0.1", port=free_port())
    server.start()
    plain = CONFIG.format(port=server.port)
    config.write_text(plain + "  external_url: https://citadel.example.org/\n")
    try:
        async with Daemon(tmp_path / "data", "--config", str(config)) as daemon, aiohttp.ClientSession() as session:
            await fail(session, daemon.events, 0)
            await arrived(inbox, 1)
            (url,) = links(inbox, 0)
            parts = urlsplit(url)
            assert (parts.scheme, parts.netloc, parts.path) == ("https", "citadel.example.org", "/view/alerts")
            async with session.get(f"{daemon.gateway}{parts.path}?{parts.query}") as answer:
                assert (answer.status, answer.content_type) == (200, "text/html")
            async with session.get(f"{daemon.gateway}/notifications/log", params=parse_qs(parts.query)) as answer:
                decided = (await answer.json())["decisions"]
            assert {each["alertname"] for each in decided} == {"many_failures"}
            assert url in await told(session, daemon)
            await reload(session, daemon, config, plain + "  external_url: https://new.example.org\n")
            assert await drilled(session, daemon, inbox) == ["https://new.example.org/view/alerts"]
            await reload(session, daemon, config, plain)
            assert await drilled(session, daemon, inbox) == []
            assert await daemon.end() == 0
    finally:
        server.stop()


async def told(session: aiohttp.ClientSession, daemon: Daemon) -> set[str]:
    """Where the stream's events of alerts, and Alertmanager's clients, are sent."""
    async with session.get(f"{daemon.events}/events", params={"limit": 10_000}) as answer:
        events = (await answer.json())["events"]
    found = {event["data"]["url"] for event in events if event["type"] == "alert.firing"}
    async with session.get(f"{daemon.gateway}/api/v2/alerts") as answer:
        assert {alert["generatorURL"] for alert in await answer.json()} == found
    return found
