"""A small real service in a thread of its own: the commands run their own event loop."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from hxp_enterprise_llm.cli.main import main


class Service:
    """Event processing and gateway in little: stores events, answers what it is told to."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.notifications: list[dict[str, Any]] = []
        self.decisions: list[dict[str, Any]] = []
        self.deliveries: list[dict[str, Any]] = []
        self.rules: list[dict[str, Any]] = []
        self.queries: list[dict[str, str]] = []
        self.answers: list[tuple[int, Any]] = []
        self.frames: list[list[str]] = []
        self.credentials: list[str] = []
        self.rows: list[tuple[int, bytes]] = []
        self.breaks: list[int] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _told(self) -> web.Response | None:
        if not self.answers:
            return None
        status, body = self.answers.pop(0)
        return web.json_response(body, status=status)

    async def publish(self, request: web.Request) -> web.StreamResponse:
        self.credentials.append(request.headers.get("Authorization", ""))
        lines = [json.loads(line) for line in (await request.read()).splitlines()]
        told = self._told()
        if told is not None:
            return told
        seen = {event["id"] for event in self.events}
        self.events += lines
        first = len(self.events) - len(lines) + 1
        answers = [{"offset": first + i, "duplicate": line["id"] in seen} for i, line in enumerate(lines)]
        return web.json_response({"events": answers, "epoch": "e1"}, status=202)

    async def notify(self, request: web.Request) -> web.StreamResponse:
        self.credentials.append(request.headers.get("Authorization", ""))
        self.notifications.append(await request.json())
        told = self._told()
        deliveries = [{"channel": "websocket", "state": "queued"}]
        return told or web.json_response({"id": "n-1", "deliveries": deliveries}, status=202)

    async def log(self, request: web.Request) -> web.StreamResponse:
        self.queries.append(dict(request.query))
        return self._told() or web.json_response({"decisions": self.decisions, "deliveries": self.deliveries})

    async def status(self, request: web.Request) -> web.StreamResponse:
        return self._told() or web.json_response({"rules": self.rules})

    async def drill(self, request: web.Request) -> web.StreamResponse:
        self.credentials.append(request.headers.get("Authorization", ""))
        self.notifications.append(await request.json())
        told = self._told()
        deliveries = [{"channel": "websocket", "target": "", "state": "delivered"}]
        return told or web.json_response({"id": "n-1", "delivered": True, "deliveries": deliveries})

    async def dead(self, request: web.Request) -> web.StreamResponse:
        self.credentials.append(request.headers.get("Authorization", ""))
        return self._told() or web.json_response({"dead": []})

    async def replay(self, request: web.Request) -> web.StreamResponse:
        self.notifications.append(await request.json())
        return self._told() or web.json_response({"replayed": [], "unknown": []}, status=202)

    async def follow(self, request: web.Request) -> web.StreamResponse:
        self.credentials.append(request.headers.get("Authorization", ""))
        self.queries.append(dict(request.query))
        told = self._told()
        if told is not None:
            return told
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for text in self.frames.pop(0) if self.frames else []:
            await socket.send_str(text)
        if not self.frames:
            # The last talk stays open until the client goes.
            await socket.receive()
        await socket.close(code=1012, message=b"restart")
        return socket

    async def export(self, request: web.Request) -> web.StreamResponse:
        """Rows behind `after`; each of `breaks` is a number of bytes after which the connection is cut."""
        self.queries.append(dict(request.query))
        told = self._told()
        if told is not None:
            return told
        after = int(request.query.get("after", 0))
        body = b"".join(line for offset, line in self.rows if offset > after)
        response = web.StreamResponse()
        await response.prepare(request)
        if self.breaks:
            await response.write(body[: self.breaks.pop(0)])
            await asyncio.sleep(0.05)
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.write(body)
        return response

    async def run(self, ready: Callable[[asyncio.Event], None]) -> None:
        app = web.Application()
        app.router.add_post("/events", self.publish)
        app.router.add_post("/notifications/send", self.notify)
        app.router.add_get("/notifications/log", self.log)
        app.router.add_get("/notifications/status", self.status)
        app.router.add_post("/notifications/test", self.drill)
        app.router.add_get("/notifications/dead", self.dead)
        app.router.add_post("/notifications/dead/replay", self.replay)
        app.router.add_get("/ws/{channel}", self.follow)
        app.router.add_get("/api/v2/export/analytics", self.export)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        end = asyncio.Event()
        ready(end)
        await end.wait()
        await runner.cleanup()


@pytest.fixture
def service() -> Iterator[Service]:
    made, up = Service(), threading.Event()
    handles: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def ready(end: asyncio.Event) -> None:
        handles.append((asyncio.get_running_loop(), end))
        up.set()

    thread = threading.Thread(target=lambda: asyncio.run(made.run(ready)), name="service")
    thread.start()
    assert up.wait(10)
    yield made
    loop, end = handles[0]
    loop.call_soon_threadsafe(end.set)
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def hxp() -> Callable[..., Result]:
    """Run a command line; answers what click's runner answers."""

    def run(*arguments: str, input: str | bytes | None = None, env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(main, list(arguments), input=input, env=env, catch_exceptions=False)

    return run
