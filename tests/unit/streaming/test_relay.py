"""Views of another process: the same answer, or a plain word on why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.streaming import OptimizationConfig
from hxp_enterprise_llm.event.streaming import relay
from hxp_enterprise_llm.event.streaming.relay import Relay
from hxp_enterprise_llm.event.streaming.service import connector_to_the_log
from hxp_enterprise_llm.event.views import EXPORT_VIEW, PLATFORM_VIEWS, RETRY_VIEW, STATUS_VIEW
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


@pytest.mark.parametrize(
    ("config", "connections"),
    [
        (OptimizationConfig(), 1),
        (OptimizationConfig(optimization_strategies=["data_compression"]), 3),
        (OptimizationConfig(enabled=False), 3),
    ],
)
async def test_connections_are_kept_unless_pooling_is_off(config: OptimizationConfig, connections: int) -> None:
    seen: set[object] = set()

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        seen.add(request.transport.get_extra_info("peername"))
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/{rest:.*}", answer)
    async with TestServer(app) as server, aiohttp.ClientSession(connector=connector_to_the_log(config)) as session:
        front = gateway(Relay(str(server.make_url("")), session).routes(PLATFORM_VIEWS))
        async with TestClient(TestServer(front)) as client:
            for _ in range(3):
                assert (await client.get("/api/v2/agents")).status == 200
    assert len(seen) == connections


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
    monkeypatch.setattr(relay, "SECONDS", 1.0)
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
            answer = await client.get("/api/v2/agents")
            assert answer.status == 503
            error = (await answer.json())["error"]
            assert error["message"] == "event processing gives no answer: Connection refused"


@asynccontextmanager
async def between(app: web.Application, *views: Any) -> AsyncIterator[TestClient[Any, Any]]:
    """A gateway that asks `app`."""
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        front = gateway(Relay(str(server.make_url("")), session).routes(views))
        async with TestClient(TestServer(front)) as client:
            yield client


async def test_a_source_is_asked_again_by_way_of_the_gateway() -> None:
    asked: list[tuple[str, str]] = []

    async def peer(request: web.Request) -> web.StreamResponse:
        asked.append((request.method, request.rel_url.raw_path))
        return web.json_response({"name": request.path}, status=202 if request.method == "POST" else 200)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", peer)
    async with between(app, STATUS_VIEW, RETRY_VIEW) as client:
        assert (await client.get("/sources/status")).status == 200
        assert (await client.post("/sources/engine_system/retry")).status == 202
        assert (await client.post("/sources/a%2F%3Fb/retry")).status == 202
    paths = ["/sources/status", "/sources/engine_system/retry", "/sources/a%2F%3Fb/retry"]
    assert asked == list(zip(("GET", "POST", "POST"), paths, strict=True))


async def test_a_file_comes_as_it_is_and_of_any_length() -> None:
    piece, pieces = b"x" * 1024 * 1024, relay.MOST_BYTES // 1024**2 + 2

    async def peer(request: web.Request) -> web.StreamResponse:
        assert request.query_string == "what=events&from=-1d"
        headers = {"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": 'attachment; filename="a.csv"'}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for _ in range(pieces if request.method == "GET" else 0):
            await response.write(piece)
        return response

    app = web.Application()
    app.router.add_get(EXPORT_VIEW.path, peer)
    async with between(app, EXPORT_VIEW) as client:
        answer = await client.get(f"{EXPORT_VIEW.path}?what=events&from=-1d")
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="a.csv"'
        assert len(await answer.read()) == pieces * len(piece)
        head = await client.head(f"{EXPORT_VIEW.path}?what=events&from=-1d")
        assert head.headers["Content-Disposition"] == 'attachment; filename="a.csv"'


@pytest.mark.parametrize("lie", ["cut", "silent"])
async def test_half_a_file_does_not_look_like_a_whole_one(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "SILENCE_SECONDS", 1.0)

    async def peer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Disposition": "attachment", "Content-Type": "text/csv"})
        await response.prepare(request)
        await response.write(b"time,metric\n")
        if lie == "silent":
            await asyncio.Event().wait()
        assert request.transport is not None
        request.transport.abort()
        return response

    app = web.Application()
    app.router.add_get(EXPORT_VIEW.path, peer)
    async with between(app, EXPORT_VIEW) as client:
        answer = await client.get(EXPORT_VIEW.path)
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_a_refused_export_is_refused_in_the_same_words() -> None:
    async def peer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"code": "export_busy"}}, status=503, headers={"Retry-After": "10"})

    app = web.Application()
    app.router.add_get(EXPORT_VIEW.path, peer)
    async with between(app, EXPORT_VIEW) as client:
        answer = await client.get(EXPORT_VIEW.path)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
        assert (await answer.json())["error"]["code"] == "export_busy"
