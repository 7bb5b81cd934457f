"""What the pages about notifications show is tried as it stands there: configurations, rules, commands, snippets.

Only addresses are other ones: those of the peers, which are real programs on free ports.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
import pytest
import yaml
from aiohttp import web
from click.testing import CliRunner, Result

from hxp_enterprise_llm.cli.main import main
from tests.integration.daemon import Daemon
from tests.integration.test_alertmanager import alertmanager, alerts
from tests.unit.notifications.servers import Hook, MailServer
from tests.unit.notifications.support import until

DOCS = Path(__file__).parents[2] / "docs"
SECTION = "real_time_notifications"
_FENCED = re.compile(r"^```(?:yaml|python|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^    .*\n|^\n(?=    ))+", re.MULTILINE)
PASSWORD, SECRET = "opensesame", "k3y-of-the-pager"


def blocks(page: str) -> list[str]:
    """What is set apart on a page, without its indentation."""
    text = (DOCS / page).read_text()
    indented = _INDENTED.findall(_FENCED.sub("", text))
    parts = [part for each in indented for part in re.split(r"\n\n(?=\S)", textwrap.dedent(each))]
    return _FENCED.findall(text) + parts


def block(page: str, beginning: str) -> str:
    """The one that begins so."""
    (found,) = (each for each in blocks(page) if each.lstrip("\n").startswith(beginning))
    return found


def configurations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each documented configuration of the gateway's notifications, with its page."""
    for page in ("notifications.md", "rules.md", "routing.md", "delivery.md"):
        for each in blocks(page):
            if each.lstrip("\n").startswith(SECTION):
                yield page, yaml.safe_load(each)


def hxp(*arguments: str) -> Result:
    """A command of ours that needs no daemon."""
    return CliRunner().invoke(main, arguments)


def test_every_configuration_is_taken(tmp_path: Path) -> None:
    """All of them in one file, as they do not contradict each other: what two of them say, they say alike."""
    found = list(configurations())
    assert [page for page, _ in found] == [
        "notifications.md",
        "notifications.md",
        "rules.md",
        "routing.md",
        *["delivery.md"] * 3,
    ]
    whole: dict[str, Any] = {}
    for _, each in found:
        whole |= each[SECTION]
    rules = [rule for _, each in found for rule in each[SECTION].get("notification_rules", ())]
    whole["notification_rules"] = [rule | {"name": f"{rule['name']}_{at}"} for at, rule in enumerate(rules)]
    whole["notification_channels"] = ["websocket", "sse", "email", "slack", "webhook", "alertmanager"]
    whole["heartbeats"] = yaml.safe_load(block("routing.md", "heartbeats:"))["heartbeats"]
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump({SECTION: whole}))
    checked = hxp("check-config", str(file))
    assert checked.exit_code == 0, checked.output


def test_the_rule_passes_its_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rules = yaml.safe_load(block("rules.md", SECTION))[SECTION]["notification_rules"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"rules": rules}))
    (tmp_path / "tests.yaml").write_text(block("rules.md", "rule_files:"))
    tested = hxp("rules", "test", "tests.yaml")
    assert tested.exit_code == 0, tested.output
    assert hxp("rules", "lint", "rules.yaml").exit_code == 0


def test_the_files_of_prometheus_and_alertmanager_are_what_they_take(tmp_path: Path) -> None:
    lines = block("routing.md", "# prometheus.yml").strip("\n").splitlines()
    column = lines[0].index("# alertmanager.yml")
    (tmp_path / "prometheus.yml").write_text("\n".join(line[:column].rstrip() for line in lines))
    receivers = "\n".join(line[column:] for line in lines)
    (tmp_path / "alertmanager.yml").write_text(f"{receivers}\nroute: {{receiver: citadel}}\n")
    for command in (("promtool", "check", "config", "prometheus.yml"), ("amtool", "check-config", "alertmanager.yml")):
        checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr


class Switch:
    """A dead man's switch: counts the signs of life."""

    def __init__(self) -> None:
        self.signs, self.url = 0, ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Switch]:
        app = web.Application()
        app.router.add_get("/abc", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/abc"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.signs += 1
        return web.Response()


class House:
    """The daemon as the pages configure it, with everybody whom it tells."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.mail = MailServer(password=PASSWORD)
        self.pager, self.switch = Hook(), Switch()
        self.alertmanager = ""
        self.daemon: Daemon

    def configuration(self) -> dict[str, Any]:
        """The pages' own, with the peers' addresses, and one more rule with an escalation that comes soon."""
        pages = [each[SECTION] for page, each in configurations() if page != "rules.md"]
        whole = {name: value for page in pages for name, value in page.items() if name != "email"}
        mail = next(each[SECTION]["email"] for page, each in configurations() if page == "delivery.md")
        whole["email"] = mail | {"host": "127.0.0.1", "port": self.mail.port}
        whole["webhook"]["endpoints"][0] |= {
            "url": self.pager.url,
            "secret_file": str(self.secret_file("pager", SECRET)),
        }
        whole["alertmanager"]["urls"] = [self.alertmanager]
        whole["heartbeats"] = yaml.safe_load(block("routing.md", "heartbeats:"))["heartbeats"]
        whole["heartbeats"]["switch"] |= {"url": self.switch.url}
        whole["notification_channels"] = ["websocket", "sse", "email", "webhook", "alertmanager"]
        del whole["receivers"]["payments"], whole["routes"][1:], whole["heartbeats"]["chat"]
        whole["routes"][0]["escalate"][0]["after"] = "1s"
        return {SECTION: whole}

    def secret_file(self, name: str, content: str) -> Path:
        file = self.scratch / name
        file.write_text(content)
        file.chmod(0o600)
        return file

    @asynccontextmanager
    async def running(self) -> AsyncIterator[House]:
        self.secret_file("smtp-password", PASSWORD)
        authority = self.scratch / "authority.pem"
        self.mail.authority.cert_pem.write_to_path(authority)
        environ = {"CREDENTIALS_DIRECTORY": str(self.scratch), "SSL_CERT_FILE": str(authority)}
        peers = (self.mail.running(), self.pager.running(), self.switch.running(), alertmanager(self.scratch))
        async with peers[0], peers[1], peers[2], peers[3] as self.alertmanager:
            file = self.scratch / "gateway.yaml"
            file.write_text(yaml.safe_dump(self.configuration()))
            async with Daemon(self.scratch / "data", "--config", str(file), environ=environ) as self.daemon:
                yield self

    async def run(self, line: str, **replaced: str) -> str:
        """A line of a page in a shell; answers what it printed."""
        for documented, real in replaced.items():
            line = line.replace(documented, real)
        line = line.replace("http://127.0.0.1:9102", self.daemon.gateway).replace(
            "http://127.0.0.1:9100", self.daemon.events
        )
        if line.startswith("hxp"):
            line = f"{line.partition('#')[0]} --url {self.daemon.gateway}"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        process = await asyncio.create_subprocess_shell(
            line,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=os.environ | {"PATH": path},
        )
        output, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0, f"{line}: {output.decode()}"
        return output.decode()


def line_of(page: str, beginning: str) -> str:
    """The command of a page that begins so, on one line."""
    joined = (DOCS / page).read_text().replace("\\\n", " ")
    return next(line.strip() for line in joined.splitlines() if line.strip().startswith(beginning))


async def test_the_page_is_followed_from_the_first_mail_to_the_end_of_a_silence(tmp_path: Path) -> None:
    house = House(tmp_path)
    async with house.running(), aiohttp.ClientSession() as session:
        drill = await house.run(line_of("notifications.md", "hxp notify test email"))
        assert "email ops@example.org: delivered" in drill
        envelope, mail = await house.mail.received.get()
        assert (envelope.rcpt_tos, "[TEST]" in mail["Subject"]) == (["ops@example.org"], True)
        await house.run(line_of("notifications.md", "curl -X POST http://127.0.0.1:9100/events"))
        told = await asyncio.wait_for(house.mail.received.get(), 30)
        assert (told[0].rcpt_tos, "model_fails" in told[1]["Subject"]) == (["oncall@example.org"], True)
        await escalated(house)
        await until(partial(fires_at, house.alertmanager), within=30)
        await quiet_and_taken_on(house, session)
        assert house.switch.signs >= 1


async def escalated(house: House) -> None:
    """Nobody takes it on: `all` are told, a program with a signature that the documented lines find genuine."""
    headers, body = await asyncio.wait_for(house.pager.seen.get(), 30)
    assert msgspec.json.decode(body)["alerts"][0]["labels"]["alertname"] == "model_fails"
    names: dict[str, Any] = {
        "hmac": hmac,
        "hashlib": hashlib,
        "time": time,
        "secret": SECRET.encode(),
        "timestamp": headers["X-Citadel-Timestamp"],
        "body": body,
        "request": SimpleNamespace(headers=headers),
    }
    exec(block("delivery.md", "expected ="), names)
    assert (names["genuine"], names["fresh"]) == (True, True)


async def fires_at(url: str) -> bool:
    return [each["labels"]["alertname"] for each in await alerts(url)] == ["model_fails"]


async def quiet_and_taken_on(house: House, session: aiohttp.ClientSession) -> None:
    """The commands of the pages for silences and acknowledgements, and `why` has it all."""
    async with session.get(f"{house.daemon.gateway}/notifications/status") as answer:
        (rule,) = (await answer.json())["rules"]
    acknowledge = line_of("notifications.md", "curl -X POST http://127.0.0.1:9102/notifications/ack")
    await house.run(acknowledge, EPISODE=rule["episode"])
    id = (await house.run(line_of("notifications.md", "amtool"))).split()[-1]
    options = line_of("routing.md", "AM=").removeprefix("AM=")
    query, expire = (line_of("routing.md", f"amtool $AM silence {what}") for what in ("query", "expire"))
    assert id in await house.run(query.replace("$AM", options))
    await house.run(expire.replace("$AM", options), ID=id)
    why = await house.run(line_of("notifications.md", "hxp notify why"))
    for words in ("was told for oncall", "nobody has acknowledged it", "alice takes it on until", "silenced by"):
        assert words in why
    assert "firing to email oncall@example.org: sent, tried once" in why


@pytest.mark.parametrize("page", ["notifications.md", "routing.md", "delivery.md", "rules.md"])
def test_commands_of_ours_exist(page: str) -> None:
    """Each `hxp` command with its options, as far as --help knows them."""
    found = set(re.findall(r"hxp ((?:notify|rules) [a-z-]+)([^\n`#|]*)", (DOCS / page).read_text()))
    assert found
    for command, rest in found:
        helped = hxp(*command.split(), "--help")
        assert helped.exit_code == 0, command
        assert all(option in helped.stdout for option in re.findall(r"--[a-z-]+", rest)), (command, rest)
