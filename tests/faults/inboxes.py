"""Who is told: a mail server, a webhook and a Slack that keep what they accept, and refuse now and then."""

from __future__ import annotations

import asyncio
import random
import re
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from email import message_from_bytes
from email.policy import SMTP as SMTP_POLICY
from typing import Any, NamedTuple

from aiohttp import web
from aiosmtpd.smtp import SMTP

CALM, STORM = 0.0, 0.25
"""The share of requests that is refused for the moment."""


class Message(NamedTuple):
    """One message as it was accepted."""

    channel: str
    key: str
    """The same for every attempt to deliver the same thing."""
    unit: str
    kind: str
    """`firing` or `resolved`."""


class Inboxes:
    """All three. `unrest` is the share of requests that they refuse for the moment."""

    def __init__(self, rng: random.Random) -> None:
        self.accepted: list[Message] = []
        self.unrest = CALM
        self.refused = 0
        self.mail_port = 0
        self.url = ""
        self._rng = rng

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Inboxes]:
        async with AsyncExitStack() as stack:
            server = await asyncio.get_running_loop().create_server(self._smtp, "127.0.0.1", 0)
            stack.callback(server.close)
            self.mail_port = server.sockets[0].getsockname()[1]
            app = web.Application()
            app.router.add_post("/hook", self._hook)
            app.router.add_post("/api/{method}", self._slack)
            runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self

    def _refuses(self) -> bool:
        refuses = self._rng.random() < self.unrest
        self.refused += refuses
        return refuses

    def _smtp(self) -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SMTP(self, hostname="mail.test", timeout=20)

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
        if self._refuses():
            return "451 not now"
        mail = message_from_bytes(envelope.content or b"", policy=SMTP_POLICY)
        text = mail.get_body(("plain",)).get_content()
        kind = mail["Subject"].rpartition(": ")[2].partition(" ")[0]
        self.accepted.append(Message("email", str(mail["Message-ID"]).strip(), _unit(text), kind))
        return "250 taken"

    async def _hook(self, request: web.Request) -> web.Response:
        payload = await request.json()
        if self._refuses():
            return web.Response(status=503, headers={"Retry-After": "1"})
        key, alert = request.headers["Idempotency-Key"], payload["alerts"][0]
        self.accepted.append(Message("webhook", key, alert["labels"]["unit"], alert["status"]))
        return web.Response()

    async def _slack(self, request: web.Request) -> web.Response:
        message = await request.json()
        if self._refuses():
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "1"})
        if request.match_info["method"] == "chat.postMessage":
            small = message["blocks"][-1]["elements"][0]["text"]
            since = re.search(r"since (\S+)", small)
            assert since is not None, small
            kind = re.search(r"level: (firing|resolved)", message["text"])
            assert kind is not None, message["text"]
            unit = _unit(message["text"])
            self.accepted.append(Message("slack", f"{unit}/{since[1]}/{kind[1]}", unit, kind[1]))
        return web.json_response({"ok": True, "ts": "1.0", "channel": "C1"})


def _unit(text: str) -> str:
    found = re.search(r"unit-\d+", text)
    assert found is not None, text
    return found[0]
