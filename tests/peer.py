"""A real server that answers as an engine, a Prometheus or a gateway does, and misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.ports import free_port

SYSTEM = {
    "active_nodes": 1284,
    "active_edges": 5310,
    "query_rate": 41.5,
    "cache_hit_rate": 0.87,
    "memory_usage": 61.2,
    "cpu_usage": 23.9,
    "response_time": 12.4,
    "timestamp": "2026-01-02T03:04:05Z",
}


class Peer:
    """`answers` by path: JSON or text. `mode`: well, slow, broken, redirect, endless, drip, packed, cut or garbage."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {"/system": SYSTEM}
        self.mode = "well"
        self.asked: list[str] = []
        self._server: TestServer | None = None
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen; each time on the same port."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._server = TestServer(app, port=self._port)
        await self._server.start_server(shutdown_timeout=0.1)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.close()
            self._server = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        if self.mode != "well":
            return await getattr(self, f"_{self.mode}")(request)
        found = self.answers.get(request.query.get("query") or request.path)
        if found is None:
            return web.Response(status=404, text="no such thing")
        if isinstance(found, str):
            return web.Response(text=found)
        return web.json_response(found)

    async def _slow(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    async def _broken(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text="Traceback\x1b[31m (most recent call last)" + "x" * 5000)

    async def _redirect(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data/"})

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b'{"a":' * 20_000)

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    async def _packed(self, request: web.Request) -> web.StreamResponse:
        body = gzip.compress(json.dumps(SYSTEM).encode())
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async def _cut(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _garbage(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"\xff\xfe[" * 10_000)


@asynccontextmanager
async def serving() -> AsyncIterator[Peer]:
    peer = Peer()
    await peer.start()
    try:
        yield peer
    finally:
        await peer.stop()
