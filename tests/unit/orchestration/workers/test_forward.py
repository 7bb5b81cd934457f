"""Requests handed on: bodies streamed both ways, and an honest end when the first process fails."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.orchestration.workers.forward import Forwarding, open_session
from hxp_enterprise_llm.orchestration.workers.private import OURS
from hxp_enterprise_llm.orchestration.workers.sockets import SocketDirectory
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.local import HANDED_ON, asker_of
from hxp_enterprise_llm.security.model import JSON_BODY, Route
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics


async def echo(request: web.Request) -> web.StreamResponse:
    """Sends back each part of the body as it comes."""
    response = web.StreamResponse(headers={"Set-Cookie": "a=1", "Connection": "X-Private", "X-Private": "1"})
    await response.prepare(request)
    async for data in request.content.iter_any():
        await response.write(data)
    return response


async def who(request: web.Request) -> web.Response:
    """Says who asks, and which headers came along."""
    return web.json_response([list(asker_of(request)), sorted(request.headers)])


async def cut(request: web.Request) -> web.StreamResponse:
    """Begins to answer and dies."""
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"half")
    assert request.transport is not None
    request.transport.abort()
    return response


@asynccontextmanager
async def served(app: web.Application, sock: socket.socket | None = None):
    listener = Listener(app, "127.0.0.1", 0, name="test")
    await listener.start(sock)
    try:
        yield f"http://127.0.0.1:{listener.address[1]}"
    finally:
        await listener.stop()


@pytest.fixture
async def worker(tmp_path):
    """The address of a process that hands everything on to the application above."""
    directory = SocketDirectory(tmp_path)
    routes = [
        Route("POST", "/echo", echo, "open", "", JSON_BODY),
        Route("GET", "/who", who, "open", ""),
        Route("GET", "/cut", cut, "open", ""),
    ]
    first = build_app(routes, policy=lambda: OURS, metrics=ServiceMetrics(CollectorRegistry()))
    session = open_session(directory.address("first.sock"))
    metrics = ServiceMetrics(CollectorRegistry())
    app = build_app(Forwarding(session).routes(), policy=lambda: OURS, metrics=metrics)
    async with served(app) as base, session:
        async with served(first, directory.listen("first.sock")):
            yield base
        directory.remove("first.sock")
    directory.close()


async def test_bodies_are_streamed_both_ways(worker):
    """The first part is back before the second is sent."""
    back = asyncio.Event()

    async def parts():
        yield b"one"
        await back.wait()
        yield b"two"

    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session, asyncio.timeout(10):
        async with session.post(f"{worker}/echo", data=parts(), headers=headers) as answer:
            assert await answer.content.readany() == b"one"
            back.set()
            assert await answer.content.read() == b"two"
        assert answer.headers["Set-Cookie"] == "a=1"
        assert "X-Private" not in answer.headers


async def test_the_client_is_named_and_nobody_can_claim_a_name(worker):
    """Address, version and target are the client's; headers of the hop and a forged name stay behind."""
    headers = {HANDED_ON: '["9.9.9.9", "9.9.9.9", 1, 1, 1, "/"]', "X-Mine": "1", "Connection": "X-Hop", "X-Hop": "1"}
    async with aiohttp.ClientSession() as session, session.get(f"{worker}/who?a=%20b", headers=headers) as answer:
        asker, names = await answer.json()
    assert asker == ["127.0.0.1", "127.0.0.1", int(worker.rpartition(":")[2]), [1, 1], "/who?a=%20b"]
    assert "X-Mine" in names
    assert "X-Hop" not in names


async def test_an_answer_that_is_cut_is_cut_here_too(worker):
    """Half an answer never looks like a whole one."""
    async with aiohttp.ClientSession() as session, session.get(f"{worker}/cut") as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_without_a_first_process_there_is_a_clear_answer(tmp_path):
    """502 with the cause, to be tried again."""
    async with open_session(str(tmp_path / "none.sock")) as session:
        routes = Forwarding(session).routes()
        app = build_app(routes, policy=lambda: OURS, metrics=ServiceMetrics(CollectorRegistry()))
        async with served(app) as base, aiohttp.ClientSession() as client, client.get(f"{base}/health") as answer:
            assert answer.status == 502
            assert answer.headers["Retry-After"] == "1"
            assert (await answer.json())["error"]["code"] == "first_process_gone"
