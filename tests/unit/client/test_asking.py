"""One question to a service."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from hxp_enterprise_llm.client import asking
from hxp_enterprise_llm.client.answers import Unreachable


async def test_a_service_that_says_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_PATIENCE", 0.2)
    ended = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await ended.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/x", hang)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = str(server.make_url("/x"))
        async with asyncio.timeout(30):
            with pytest.raises(Unreachable, match="Timeout"):
                await asking.ask(session, url, dict[str, Any])
        ended.set()
