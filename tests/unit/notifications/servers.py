"""Real servers to deliver to: a mail server with faults on demand, and a Slack that answers as it is told."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import SMTP as SMTP_POLICY
from typing import Any

import trustme
from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session


class MailServer:
    """An SMTP server on a free port. `faults` maps RCPT or DATA to the answers given before it accepts."""

    def __init__(self, *, starttls: bool = True, implicit: bool = False, password: str = "") -> None:
        self.authority = trustme.CA()
        self._certificate = self.authority.issue_cert("127.0.0.1", "localhost")
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._certificate.configure_cert(self._context)
        self._starttls, self._implicit, self._password = starttls, implicit, password
        self.faults: dict[str, list[str]] = {}
        self.refused_recipients: dict[str, str] = {}
        self.hang_before_data_answer = False
        self.drops = 0
        """So many mails it takes, and is gone before it has said so."""
        self.hangs_for = ""
        """The recipient at whose name it falls silent."""
        self.hang_at_quit = False
        self.received: asyncio.Queue[tuple[Envelope, EmailMessage]] = asyncio.Queue()
        self.port = 0
        self._connections: list[SMTP] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[MailServer]:
        loop = asyncio.get_running_loop()
        context = self._context if self._implicit else None
        server = await loop.create_server(self._protocol, "127.0.0.1", self.port, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for connection in self._connections:
                for transport in (connection.transport, connection._original_transport):
                    if transport is not None:
                        transport.abort()
            handlers = [one._handler_coroutine for one in self._connections if one._handler_coroutine]
            for handler in handlers:
                handler.cancel()
            await asyncio.gather(*handlers, return_exceptions=True)

    def _protocol(self) -> SMTP:
        authenticates = bool(self._password)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # over implicit TLS the library believes that there is none
            connection = self._smtp(authenticates)
        self._connections.append(connection)
        return connection

    def _smtp(self, authenticates: bool) -> SMTP:
        return SMTP(
            self,
            hostname="mail.test",
            tls_context=self._context if self._starttls and not self._implicit else None,
            require_starttls=self._starttls and not self._implicit,
            authenticator=self._authenticate if authenticates else None,
            auth_required=authenticates,
            auth_require_tls=not self._implicit,
            timeout=20,
        )

    def _authenticate(self, server: object, session: object, envelope: object, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password.decode() == self._password, handled=False)

    async def handle_RCPT(
        self, server: object, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address == self.hangs_for:
            await asyncio.Event().wait()
        if self.faults.get("RCPT"):
            return self.faults["RCPT"].pop(0)
        if address in self.refused_recipients:
            return self.refused_recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.faults.get("DATA"):
            return self.faults["DATA"].pop(0)
        message: Message = message_from_bytes(envelope.content or b"", policy=SMTP_POLICY)
        assert isinstance(message, EmailMessage)
        self.received.put_nowait((envelope, message))
        if self.hang_before_data_answer:
            await asyncio.Event().wait()
        if self.drops > 0:
            self.drops -= 1
            server.transport.abort()
        return "250 taken"

    async def handle_QUIT(self, server: object, session: Session, envelope: Envelope) -> str:
        if self.hang_at_quit:
            await asyncio.Event().wait()
        return "221 Bye"


class SlackServer:
    """Answers chat.postMessage and a webhook. `answers` are given first; then it accepts."""

    def __init__(self) -> None:
        self.answers: list[web.Response | asyncio.Event] = []
        self.posts: asyncio.Queue[tuple[str, str, dict[str, Any]]] = asyncio.Queue()
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[SlackServer]:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.posts.put_nowait((request.path, request.headers.get("Authorization", ""), await request.json()))
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, asyncio.Event):
            await answer.wait()
        if isinstance(answer, web.Response):
            return answer
        if request.path.startswith("/api/"):
            return web.json_response({"ok": True, "ts": "1.0", "channel": "C1"})
        return web.Response(text="ok")


HOOK_SECRET = "canary-4711"
"""Part of the address of a Hook."""


class Hook:
    """A receiver: keeps what comes and answers what it is told, then 200."""

    def __init__(self) -> None:
        self.answers: list[web.Response | asyncio.Event] = []
        self.seen: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Hook]:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/{HOOK_SECRET}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.seen.put_nowait((dict(request.headers), await request.read()))
        answer = self.answers.pop(0) if self.answers else web.Response()
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return web.Response()
        return answer


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A peer that takes the connection and says nothing."""
    await reader.read()
    writer.close()


@asynccontextmanager
async def raw_server(handle: Any) -> AsyncIterator[int]:
    """A bare TCP server; answers its port."""
    open_connections: set[tuple[asyncio.Task[Any] | None, asyncio.StreamWriter]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_connections.add((asyncio.current_task(), writer))
        await handle(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task, writer in open_connections:
            writer.transport.abort()
            if task:
                task.cancel()
        await asyncio.gather(*(task for task, _ in open_connections if task), return_exceptions=True)
