"""Secrets that would be known again wherever they came out: by any route, fault, file, metric, line or command."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from hxp_enterprise_llm.event.log.sqlite.segment import SegmentReader, segment_paths
from hxp_enterprise_llm.event.model import BEGINNING, Offset
from hxp_enterprise_llm.security.keys import digest_of
from tests.integration.daemon import Daemon

MAIL = "CANARYmail7f3a91c2"
TOKEN = "xoxb-CANARYtoken5d20b8e4"
WEBHOOK = "CANARYhook90ac63f1"
KEY = "hxk_ci_CANARYkey" + "e" * 34
OTHER_KEY = "hxk_far_CANARYfar" + "f" * 34
CANARIES = (MAIL, TOKEN, WEBHOOK, KEY, OTHER_KEY)

CONFIG = """
performance: {{log_level: DEBUG}}
security: {{api_keys_file: {keys}}}
monitoring: {{api_key_file: {directory}/far}}
real_time_notifications:
  email:
    {{host: 127.0.0.1, port: {smtp}, tls: none, username: ops, password_file: {directory}/mail, to: [a@example.org]}}
  slack: {{api_url: "http://127.0.0.1:{slack}/api/", {way}}}
"""
WAYS = {
    "token": 'token_file: {directory}/token, channel: "#ops"',
    "webhook": "webhook_url_file: {directory}/hook",
}


async def parrot_mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A mail server that refuses every log-in with what it was told, as it came and in clear text."""
    writer.write(b"220 parrot\r\n")
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while line := (await reader.readline()).strip():
            if line.upper().startswith(b"EHLO"):
                writer.write(b"250-parrot\r\n250 AUTH PLAIN\r\n")
            elif line.upper().startswith(b"AUTH PLAIN"):
                clear = b64decode(line.split()[-1]).replace(b"\0", b" ")
                writer.write(b"535 5.7.8 I do not like " + line.split()[-1] + b" nor " + clear + b"\r\n")
            else:
                writer.write(b"221 bye\r\n")
    writer.close()


async def parrot_slack(request: web.Request) -> web.Response:
    """A Slack that says everything back."""
    said = f"{request.path} {request.headers.get('Authorization', '')}"
    if request.path.startswith("/api/"):
        return web.json_response({"ok": False, "error": said}, headers={"X-Said": said})
    return web.Response(status=404, text="x" * 60 + said)


@asynccontextmanager
async def parrots() -> AsyncIterator[tuple[int, int]]:
    """Ports of the mail server and of Slack."""
    mail = await asyncio.start_server(parrot_mail, "127.0.0.1", 0)
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", parrot_slack)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield mail.sockets[0].getsockname()[1], runner.addresses[0][1]
    finally:
        mail.close()
        await runner.cleanup()


def write_secrets(directory: Path, slack: int) -> Path:
    """The files with the secrets; answers that of the keys, which holds none."""
    directory.mkdir()
    hook = f"http://127.0.0.1:{slack}/services/{WEBHOOK}"
    for name, text in (("mail", MAIL), ("token", TOKEN), ("hook", hook), ("far", OTHER_KEY)):
        (directory / name).write_text(text + "\n", encoding="utf-8")
        (directory / name).chmod(0o600)
    scopes = ["read", "publish", "notify", "dashboards:refresh", "metrics"]
    entry = {"id": "ci", "sha256": digest_of(KEY).hex(), "scopes": scopes}
    keys = directory / "keys.yaml"
    keys.write_text(f"- {json.dumps(entry)}\n", encoding="utf-8")
    return keys


def forms(canary: str) -> Iterator[bytes]:
    """A canary as it could be written."""
    yield canary.encode()
    for before in range(3):
        # Its own digits alone, whatever stands around it.
        yield b64encode(bytes(before) + canary.encode())[4:-4]


def canaries_in(what: bytes) -> list[str]:
    return [canary for canary in CANARIES if any(form in what for form in forms(canary))]


class Heard:
    """Everything that came out, by where."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}
        self.count = 0

    def hear(self, where: str, what: bytes) -> None:
        self.count += 1
        if canaries := canaries_in(what):
            self.found[where] = canaries


async def ask(session: aiohttp.ClientSession, heard: Heard, method: str, url: str, **how: object) -> None:
    """One request; what of the answer comes within half a second is heard."""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(0.5), session.request(method, url, **how) as answer:
            heard.hear(f"headers of {method} {url}", repr(answer.raw_headers).encode())
            async for part in answer.content.iter_any():
                heard.hear(f"{method} {url}", part)


CREDENTIALS = (
    {},
    {"X-API-Key": KEY},
    {"Authorization": f"Bearer {KEY}"},
    {"X-API-Key": KEY + "x"},
    {"Authorization": f"Basic {b64encode(KEY.encode()).decode()}"},
    {"X-API-Key": KEY, "Authorization": f"Bearer {OTHER_KEY}"},
    {"X-API-Key": OTHER_KEY, "Origin": "http://evil.example"},
    {"X-API-Key": KEY, "Host": "evil.example"},
)


async def every_route(session: aiohttp.ClientSession, heard: Heard, base: str) -> int:
    """Each route of a service with good and bad credentials and bodies; answers how many there are."""
    async with session.get(f"{base}/openapi.json") as answer:
        paths = (await answer.json())["paths"]
    calls = [(method.upper(), path) for path, item in paths.items() for method in item if method in ("get", "post")]
    json_body = {"Content-Type": "application/json"}

    async def call(method: str, path: str) -> None:
        url = base + path.replace("{", "").replace("}", "")
        for headers in CREDENTIALS:
            body = (
                {"data": b'{"x": [1', "headers": {**json_body, **headers}} if method == "POST" else {"headers": headers}
            )
            await ask(session, heard, method, url, **body)
        if method == "POST":
            for data in (b"{}", b'[{"type": "demo.x", "data": {}}]', b"\x1f\x8b\xff"):
                await ask(session, heard, method, url, data=data, headers={**json_body, "X-API-Key": KEY})

    await asyncio.gather(*(call(*each) for each in calls))
    return len(calls)


async def failed_deliveries(session: aiohttp.ClientSession, base: str) -> None:
    """Send by mail and by Slack, and wait until both have been refused."""
    for channel in ("email", "slack"):
        message = {"message": "hello", "channel": channel, "priority": "critical"}
        async with session.post(f"{base}/notifications/send", json=message) as answer:
            assert answer.status == 202, await answer.text()
    async with asyncio.timeout(30):
        while True:
            async with session.get(f"{base}/notifications/channels") as answer:
                channels = {each["name"]: each for each in (await answer.json())["channels"]}
            if all(channels[name]["last_delivery"] for name in ("email", "slack")):
                return
            await asyncio.sleep(0.05)


async def command(heard: Heard, *arguments: str, environ: dict[str, str] | None = None) -> bytes:
    """The output of a command line, heard."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hxp_enterprise_llm.cli.main",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **(environ or {})},
    )
    output, _ = await process.communicate()
    heard.hear("hxp " + " ".join(arguments), output)
    return output


@pytest.mark.parametrize("way", WAYS)
async def test_no_secret_comes_out_anywhere(tmp_path: Path, way: str) -> None:
    heard = Heard()
    async with AsyncExitStack() as stack:
        smtp, slack = await stack.enter_async_context(parrots())
        directory = tmp_path / "secrets"
        keys = write_secrets(directory, slack)
        config = tmp_path / "data-streaming-api.yaml"
        chosen = WAYS[way].format(directory=directory)
        text = CONFIG.format(keys=keys, directory=directory, smtp=smtp, slack=slack, way=chosen)
        config.write_text(text, encoding="utf-8")
        daemon = await stack.enter_async_context(Daemon(tmp_path / "data", "--config", str(config)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        await failed_deliveries(session, daemon.gateway)
        counts = [await every_route(session, heard, base) for base in (daemon.gateway, daemon.events)]
        assert sum(counts) > 30
        await command(heard, "config", "show", str(config))
        (tmp_path / "key").write_text(KEY, encoding="utf-8")
        (tmp_path / "key").chmod(0o600)
        shown = await command(heard, "top", "--once", "--url", daemon.gateway, "--key-file", str(tmp_path / "key"))
        assert shown
        (directory / "mail").chmod(0o644)
        os.kill(daemon.pid, 1)  # a reload that is refused because of the file
        async with asyncio.timeout(30):
            while not any("config.refused" in line or "refused" in line for line in daemon.output):
                await asyncio.sleep(0.05)
        assert await daemon.end() == 0
        heard.hear("standard error", "".join(daemon.output).encode())
        assert any("delivery" in line for line in daemon.output)
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            heard.hear(str(path), path.read_bytes())
    for event in stored(tmp_path / "data" / "processing" / "log"):
        heard.hear("the log", event)
    assert heard.found == {}
    assert heard.count > 200


def stored(directory: Path) -> Iterator[bytes]:
    """What the log's files hold compressed."""
    events = 0
    for path in segment_paths(directory):
        with closing(SegmentReader(path, sealed=False)) as segment:
            for chunk in segment.chunks(BEGINNING, Offset(2**53)):
                events += len(chunk.events)
                yield from chunk.events.raws
    assert events


def test_the_canaries_would_be_known_again() -> None:
    for canary in CANARIES:
        for around in ("", "u", "us"):
            assert canaries_in(b64encode(f"{around}{canary}{around}".encode())) == [canary]
        assert canaries_in(f"a {canary} b".encode()) == [canary]
