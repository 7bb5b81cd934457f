"""The real daemon tells people and programs: drills by each channel, templates of the operator, dead letters."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import msgspec
from aiosmtpd.controller import Controller

from tests.integration.daemon import Daemon
from tests.integration.test_mail_once import Inbox
from tests.ports import free_port
from tests.unit.notifications.servers import Hook

CONFIG = """
real_time_notifications:
  notification_channels: [websocket, sse, email, webhook]
  templates: {templates}
  email: {{host: 127.0.0.1, port: {port}, tls: none, from: citadel@example.org, to: [oncall@example.org]}}
  webhook:
    endpoints:
      - {{name: pager, url: "{hook}", secret_file: {secret}}}
"""


class Picky(Inbox):
    """Refuses for good while it is told to."""

    refuses = False

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:
        if self.refuses:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"


async def hxp(daemon: Daemon, *arguments: str) -> tuple[int, str]:
    """A command of the program against the daemon."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hxp_enterprise_llm.cli.main", "notify", *arguments, "--url", daemon.gateway),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_people_and_programs_are_told(tmp_path: Path) -> None:
    inbox = Picky()
    server = Controller(inbox, hostname="127.0.0.1", port=free_port())
    server.start()
    templates, secret, config = tmp_path / "templates", tmp_path / "secret", tmp_path / "data-streaming-api.yaml"
    templates.mkdir()
    (templates / "title.j2").write_text("Citadel says: {{ title }}")
    secret.write_text("k3y-of-the-pager")
    secret.chmod(0o600)
    async with Hook().running() as hook:
        text = CONFIG.format(port=server.port, templates=templates, hook=hook.url, secret=secret)
        config.write_text(text)
        try:
            async with Daemon(tmp_path / "data", "--config", str(config)) as daemon:
                status, output = await hxp(daemon, "test", "email", "--message", "is anybody there?")
                assert (status, output.splitlines()[1]) == (0, "  email oncall@example.org: delivered")
                (mail,) = inbox.messages
                assert mail["Subject"] == "Citadel says: Test notification"
                assert "This is a test" in mail.get_payload(0).get_payload()
                status, output = await hxp(daemon, "test", "webhook", "--target", "pager")
                assert (status, output.splitlines()[1]) == (0, "  webhook pager: delivered")
                headers, body = await hook.seen.get()
                assert headers["X-Citadel-Signature"].startswith("v1=")
                assert msgspec.json.decode(body)["alerts"][0]["labels"]["test"] == "true"
                assert (await hxp(daemon, "test", "websocket"))[0] == 0
                await dead_letters(daemon, inbox)
                await a_bad_template_changes_nothing(daemon, templates)
        finally:
            server.stop()


async def dead_letters(daemon: Daemon, inbox: Picky) -> None:
    """A mail that is refused for good is listed with its reason, and sent again when that is repaired."""
    inbox.refuses = True
    async with aiohttp.ClientSession() as session:
        body = {"message": "important", "channel": "email"}
        async with session.post(f"{daemon.gateway}/notifications/send", json=body) as answer:
            assert answer.status == 202
    async with asyncio.timeout(30):
        while "550 no such user" not in (output := (await hxp(daemon, "dead"))[1]):
            await asyncio.sleep(0.05)
    status, refused = await hxp(daemon, "test", "email")
    assert (status, "failed: the mail server says 550 no such user" in refused) == (1, True)
    inbox.refuses = False
    before = len(inbox.messages)
    assert await hxp(daemon, "replay", output.split()[0]) == (0, f"queued again: {output.split()[0]}\n")
    async with asyncio.timeout(30):
        while len(inbox.messages) == before:
            await asyncio.sleep(0.05)
    assert (await hxp(daemon, "dead"))[1] == "nothing was given up\n"


async def a_bad_template_changes_nothing(daemon: Daemon, templates: Path) -> None:
    """A reload with a template that cannot work is refused with file and line."""
    (templates / "title.j2").write_text("{{ titel }}")
    os.kill(daemon.pid, signal.SIGHUP)
    async with asyncio.timeout(30):
        while not any("title.j2" in line and "titel" in line for line in daemon.output):
            await asyncio.sleep(0.05)
    assert (await hxp(daemon, "test", "email"))[0] == 0
