"""Views of another process: the same answer, or a plain word on why there is none."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.event.streaming import relay
from hxp_enterprise_llm.event.streaming.relay import Relay
from hxp_enterprise_llm.event.views import PLATFORM_VIEWS
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics


def gateway(views: list[Any]) -> web.Application:
    return build_app(views, policy=lambda: Policy.of(SecurityConfig()), metrics=ServiceMetrics(CollectorRegistry()))


async def liar(request: web.Request) -> web.StreamResponse:
    """A peer that does not do what it should, each path in its own way."""
    if request.path == "/api/v2/agents":
        return web.Response(text="<html>", content_type="text/html")
    if request.path == "/api/v2/tokens":
        raise web.HTTPFound("http://192.0.2.1/")
    if request.path == "/api/v2/costs":
        return web.json_response({"error": "who are you"}, status=401)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    if request.path == "/api/v2/models":
        for _ in range(20):
            await response.write(b" " * 1024 * 1024)
        return response
    await response.write(b"{")
    assert request.transport is not None
    request.transport.abort()
    return response


LIES = {
    "/api/v2/agents": "it answers 200 with text/html",
    "/api/v2/tokens": "it answers 302 with text/plain",
    "/api/v2/costs": "it refuses this gateway with 401; see monitoring.api_key_file",
    "/api/v2/models": "its answer is larger than 8,388,608 bytes",
    "/api/v2/business": "Response payload is not completed",
}


async def test_a_peer_that_lies_is_told_by_name_and_believed_in_nothing() -> None:
    app = web.Application()
    app.router.add_get("/{rest:.*}", liar)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        front = gateway(Relay(str(server.make_url("")), session).routes(PLATFORM_VIEWS))
        async with TestClient(TestServer(front)) as client:
            for path, reason in LIES.items():
                answer = await client.get(path)
                assert (answer.status, answer.headers["Retry-After"]) == (503, "2"), path
                error = (await answer.json())["error"]
                assert error["code"] == "processing_unreachable"
                assert reason in error["message"], path


async def test_a_peer_that_is_down_or_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "SECONDS", 0.2)
    asked = asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    app = web.Application()
    app.router.add_get("/{rest:.*}", never)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        front = gateway(relay.Relay(str(server.make_url("")), session).routes(PLATFORM_VIEWS))
        async with TestClient(TestServer(front)) as client:
            assert (await client.get("/api/v2/agents")).status == 503
            assert asked.is_set()
            await server.close()
            assert (await client.get("/api/v2/agents")).status == 503
