"""Requests that are answered without a task, and those whose head was seen just before."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.front import door
from hxp_enterprise_llm.security.keys import ApiKey, Keyring, digest_of, new_key
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.model import JSON_BODY, Asked, Begin, Begun, LeanPost, Route
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.security.problems import Problem, encode_json
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics
from tests.unit.security.front.test_front import post, until
from tests.unit.security.serving import read_answer


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def new_id(self) -> str:
        return "id"


class Service:
    """Answers without a task what begins with `b`, refuses `p`, sends `n` on to its coroutine, holds back `h`."""

    def __init__(self) -> None:
        self.prepared: list[str] = []
        self.begun: list[bytes] = []
        self.asked: list[bytes] = []
        self.held: list[Begun] = []
        self.policy = Policy.of(SecurityConfig())
        self.budget = BodyBudget()
        self.registry = CollectorRegistry()
        self.clock = Clock()

    def prepare(self, asked: Asked) -> Begin:
        self.prepared.append(asked.path)
        return self.begin

    def begin(self, body: bytes, told: Begun) -> bool:
        if body[:1] not in b"bpnh":
            return False
        self.begun.append(body)
        answer = {b"b": (202, encode_json({"begun": True})), b"p": Problem(503, "full", "no"), b"n": None}
        if body[:1] == b"h":
            self.held.append(told)
        else:
            asyncio.get_running_loop().call_soon(told, answer[body[:1]])
        return True

    async def answer(self, asked: Asked, body: bytes) -> tuple[int, bytes]:
        self.asked.append(body)
        return 202, encode_json({"begun": False})

    async def usual(self, request: web.Request) -> web.Response:
        return web.json_response({"usual": True})

    def count(self, status: int) -> float:
        labels = {"route": "/events", "status": str(status)}
        return self.registry.get_sample_value("citadel_http_requests_total", labels) or 0.0


@contextlib.asynccontextmanager
async def serving(drain: float = 0.1) -> AsyncIterator[tuple[Service, Listener]]:
    service = Service()
    lean = LeanPost(service.answer, lambda: 10_000, service.budget, service.prepare)
    routes = [Route("POST", "/events", service.usual, "publish", "", JSON_BODY, lean=lean)]
    metrics = ServiceMetrics(service.registry)
    app = build_app(routes, policy=lambda: service.policy, metrics=metrics, clock=service.clock)
    listener = Listener(app, "127.0.0.1", 0, name="test", drain=drain)
    await listener.start()
    try:
        yield service, listener
    finally:
        await listener.stop()
        assert service.budget.held == 0


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def ask(self, sent: bytes) -> tuple[int, object]:
        self.writer.write(sent)
        async with asyncio.timeout(10):
            answer = await read_answer(self._reader)
        return answer.status, answer.json


@contextlib.asynccontextmanager
async def connected(listener: Listener) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(*listener.address)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def test_each_body_is_answered_by_whoever_takes_it() -> None:
    async with serving() as (service, listener), connected(listener) as client:
        assert await client.ask(post(b"b1")) == (202, {"begun": True})
        assert await client.ask(post(b"n1")) == (202, {"begun": False})
        assert await client.ask(post(b"x1")) == (202, {"begun": False})
        status, problem = await client.ask(post(b"p1"))
        assert (status, isinstance(problem, dict) and problem["error"]["code"]) == (503, "full")
        assert (service.begun, service.asked) == ([b"b1", b"n1", b"p1"], [b"n1", b"x1"])
        assert (service.count(202), service.count(503)) == (3, 1)


async def test_requests_in_a_row_keep_their_order() -> None:
    async with serving() as (_, listener), connected(listener) as client:
        bodies = [b"bnx"[n % 3 : n % 3 + 1] + b"%d" % n for n in range(30)]
        client.writer.write(b"".join(map(post, bodies)))
        for body in bodies:
            assert await client.ask(b"") == (202, {"begun": body[:1] == b"b"})


async def test_a_head_that_was_just_admitted_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    parse = door.parse
    monkeypatch.setattr(door, "parse", lambda text: read.append(text) or parse(text))
    async with serving() as (service, listener), connected(listener) as client:
        for _ in range(5):
            assert (await client.ask(post(b"b1")))[0] == 202
        for body in (b"b22", b"b", b"b" * 5000):
            assert (await client.ask(post(body)))[0] == 202
        assert (len(read), service.prepared) == (1, ["/events"])
        assert service.begun[-3:] == [b"b22", b"b", b"b" * 5000]
        assert (await client.ask(post(b"b22", b"X-More: 1\r\n")))[0] == 202
        assert (len(read), service.prepared) == (2, ["/events", "/events"])


async def test_a_body_beyond_the_limit_is_aiohttp_s_also_behind_a_head_like_it() -> None:
    async with serving() as (service, listener), connected(listener) as client:
        assert (await client.ask(post(b"b1")))[0] == 202
        assert await client.ask(post(b"b" * 10_001)) == (200, {"usual": True})
        assert service.begun == [b"b1"]


async def test_requests_of_different_sizes_in_pieces_and_in_a_row() -> None:
    async with serving() as (service, listener), connected(listener) as client:
        bodies = [b"b" * size for size in (1, 12, 345, 9, 10, 99, 100, 5)]
        sent = b"".join(map(post, bodies))
        for size in (1, 7, 60, 1000):
            for start in range(0, len(sent), size):
                client.writer.write(sent[start : start + size])
                await asyncio.sleep(0)
            assert [(await client.ask(b""))[0] for _ in bodies] == [202] * len(bodies)
        assert service.begun == bodies * 4


async def test_a_request_like_the_last_one_may_come_in_pieces_or_with_the_next() -> None:
    async with serving() as (service, listener), connected(listener) as client:
        sent = post(b"b1")
        assert (await client.ask(sent))[0] == 202
        for at in range(1, len(sent)):
            client.writer.write(sent[:at])
            await asyncio.sleep(0)
            assert (await client.ask(sent[at:]))[0] == 202
        client.writer.write(sent * 3 + sent[:20])
        assert [(await client.ask(b""))[0] for _ in range(3)] == [202] * 3
        assert (await client.ask(sent[20:]))[0] == 202
        assert service.begun == [b"b1"] * (len(sent) + 4)


async def test_another_policy_holds_from_the_next_request() -> None:
    async with serving() as (service, listener), connected(listener) as client:
        assert (await client.ask(post(b"b1")))[0] == 202
        service.policy = replace(service.policy, anonymous="none")
        assert (await client.ask(post(b"b1")))[0] == 401


async def test_a_key_that_expires_is_refused_from_that_moment() -> None:
    async with serving() as (service, listener), connected(listener) as client:
        secret = new_key("ci")
        key = ApiKey("ci", digest_of(secret), frozenset({"publish"}), expires=1010.0)
        service.policy = replace(service.policy, anonymous="none", keys=Keyring([key]))
        sent = post(b"b1", b"X-API-Key: " + secret.encode() + b"\r\n")
        assert (await client.ask(sent))[0] == 202
        service.clock.now = 1009.9
        assert (await client.ask(sent))[0] == 202
        service.clock.now = 1010.0
        assert (await client.ask(sent))[0] == 401


async def test_a_stop_waits_for_what_is_being_answered() -> None:
    async with serving(drain=5.0) as (service, listener), connected(listener) as client:
        asking = asyncio.create_task(client.ask(post(b"h1")))
        await until(lambda: bool(service.held))
        stopping = asyncio.create_task(listener.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        service.held[0]((202, encode_json({})))
        assert (await asking)[0] == 202
        await stopping


async def test_a_stop_does_not_wait_for_ever() -> None:
    async with serving(drain=0.05) as (service, listener), connected(listener) as client:
        client.writer.write(post(b"h1"))
        await until(lambda: bool(service.held))
        await listener.stop()
        service.held[0]((202, encode_json({})))  # too late: nobody hears it, nothing breaks
        assert service.budget.held == 0


async def test_a_client_that_left_is_counted_as_gone() -> None:
    async with serving() as (service, listener):
        async with connected(listener) as client:
            client.writer.write(post(b"h1"))
            await until(lambda: bool(service.held))
            reset = struct.pack("ii", 1, 0)  # an end alone would only mean that it has said everything
            client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            client.writer.transport.abort()
            await until(lambda: not len(listener._reception))
        service.held[0]((202, encode_json({})))
        assert service.count(499) == 1
