"""The front on real sockets and both event loops: what it answers itself, what it leaves to aiohttp, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.security import newcomers as newcomers_module
from hxp_enterprise_llm.security.body import BodyBudget, read_body
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.front.front import MOST_BODY_BYTES, MOST_WAITING_BYTES
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.model import JSON_BODY, Asked, LeanPost, OpenStream, Route, StepAside
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.security.problems import Problem, encode_json
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics
from tests.unit.security.serving import Answer, read_answer

HOST = b"Host: localhost\r\n"
LIMIT = 400_000
ASIDE = b"Keep-Alive: 5\r\n"
"""A header that means nothing and makes a request one for aiohttp."""


class Echo(asyncio.Protocol):
    """What a stream is: a protocol that has the connection from now on."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Service:
    """Routes that say who answered: the lean handler, or the one that aiohttp runs."""

    def __init__(self) -> None:
        self.lean: list[bytes] = []
        self.usual: list[bytes] = []
        self.read: list[str] = []
        """Paths of the heads that were read for a stream."""
        self.go = asyncio.Event()
        self.go.set()
        self.budget = BodyBudget()
        self.registry = CollectorRegistry()

    def routes(self) -> list[Route]:
        post = LeanPost(self.answer, lambda: LIMIT, self.budget)
        return [
            Route("POST", "/events", self.post, "publish", "", JSON_BODY, lean=post),
            Route("GET", "/sse/{stream}", self.get, "read", "", upgrade="sse", lean=self.stream),
            Route("GET", "/ws/{channel}", self.get, "read", "", upgrade="websocket", lean=self.stream),
            Route("GET", "/other", self.get, "open", ""),
        ]

    async def answer(self, asked: Asked, body: bytes) -> tuple[int, bytes]:
        self.lean.append(body)
        return await self._result(body)

    async def post(self, request: web.Request) -> web.Response:
        body = await read_body(request, limit=LIMIT, budget=self.budget)
        self.usual.append(body)
        status, content = await self._result(body)
        return web.Response(body=content, status=status, content_type="application/json")

    async def _result(self, body: bytes) -> tuple[int, bytes]:
        await self.go.wait()
        if body.startswith(b"full"):
            raise Problem(503, "log_full", "no space", "free some", headers={"Retry-After": "30"})
        if body.startswith(b"fault"):
            raise ZeroDivisionError
        return 202, encode_json({"size": len(body)})

    def stream(self, asked: Asked) -> OpenStream:
        self.read.append(asked.path)
        name = next(iter(asked.match_info.values()))
        if name == "refused":
            raise Problem(404, "unknown", "is none")

        def take(transport: asyncio.Transport, key: str) -> None:
            if name == "aside":
                raise StepAside
            echo = Echo()
            transport.set_protocol(echo)
            echo.connection_made(transport)
            head = f"HTTP/1.1 200 OK\r\nX-Query: {asked.query.get('q', '')}\r\nX-Key: {key}\r\n\r\n"
            transport.write(head.encode())

        return take

    async def get(self, request: web.Request) -> web.Response:
        self.usual.append(request.path.encode())
        return web.json_response({})

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def counted(self, route: str, status: int) -> float:
        return self.sample("citadel_http_requests_total", route=route, status=str(status))


@contextlib.asynccontextmanager
async def serving(
    security: SecurityConfig | None = None, *, first: float = 15.0, drain: float = 0.1
) -> AsyncIterator[tuple[Service, Listener]]:
    service, policy = Service(), Policy.of(security or SecurityConfig())
    app = build_app(service.routes(), policy=lambda: policy, metrics=ServiceMetrics(service.registry))
    listener = Listener(app, "127.0.0.1", 0, name="test", drain=drain, first_request=first)
    await listener.start()
    try:
        yield service, listener
    finally:
        await listener.stop()
        assert service.budget.held == 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


def post(body: bytes, more: bytes = b"") -> bytes:
    head = b"POST /events HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n" + more
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def ask(listener: Listener, sent: bytes) -> Answer:
    reader, writer = await asyncio.open_connection(*listener.address)
    try:
        writer.write(sent)
        async with asyncio.timeout(30):
            return await read_answer(reader)
    finally:
        writer.close()


@pytest.mark.parametrize("body", [b"{}", b"full", b"fault"])
@pytest.mark.parametrize("origin", [b"", b"Origin: http://localhost\r\n", b"Origin: https://portal.example.org\r\n"])
async def test_both_ways_give_the_same_answer_with_the_same_headers(body: bytes, origin: bytes) -> None:
    security = SecurityConfig(allowed_origins=["https://portal.example.org"])
    async with serving(security) as (service, listener):
        lean, usual = await ask(listener, post(body, origin)), await ask(listener, post(body, origin + ASIDE))
        assert (service.lean, service.usual) == ([body], [body])
        assert lean.status == usual.status
        assert all(answer.headers.pop("date").endswith(" GMT") for answer in (lean, usual))
        assert lean.headers == usual.headers
        if body != b"fault":  # carries a reference of its own
            assert lean.body == usual.body
        assert ("access-control-allow-origin" in lean.headers) is origin.startswith(b"Origin: https")
        assert service.counted("/events", lean.status) == 2


@pytest.mark.parametrize("step", [1, 7, 50])
async def test_a_request_in_pieces_is_one_request(step: int) -> None:
    async with serving() as (service, listener):
        reader, writer = await asyncio.open_connection(*listener.address)
        sent = post(b"x" * 60)
        for at in range(0, len(sent), step):
            writer.write(sent[at : at + step])
            await writer.drain()
            await asyncio.sleep(0.001)
        assert (await read_answer(reader)).json == {"size": 60}
        assert (service.lean, service.usual) == ([b"x" * 60], [])
        writer.close()


async def test_requests_in_a_row_are_answered_in_their_order() -> None:
    async with serving() as (service, listener):
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(b"".join(post(b"x" * size) for size in range(1, 200)))
        for size in range(1, 200):
            assert (await read_answer(reader)).json == {"size": size}
        assert service.usual == []
        # What comes behind them may be for aiohttp; it has the connection then.
        writer.write(post(b"a") + b"GET /other HTTP/1.1\r\n" + HOST + b"\r\n" + post(b"b"))
        assert (await read_answer(reader)).json == {"size": 1}
        assert (await read_answer(reader)).json == {}
        assert (await read_answer(reader)).json == {"size": 1}
        assert service.usual == [b"/other", b"b"]
        writer.close()


async def test_who_sends_ahead_is_not_read_without_bound() -> None:
    async with serving() as (service, listener):
        service.go.clear()
        reader, writer = await asyncio.open_connection(*listener.address)
        requests = [post(b"x" * 100_000) for _ in range(200)]
        writer.write(b"".join(requests))
        await until(lambda: bool(service.lean))
        (front,) = listener._reception
        held = [0]
        while len(held) < 50:
            await asyncio.sleep(0.002)
            held.append(len(front._held))
        assert max(held) < MOST_WAITING_BYTES + 2 * 256 * 1024
        service.go.set()
        for _ in requests:
            assert (await read_answer(reader)).json == {"size": 100_000}
        assert service.usual == []
        writer.close()


async def test_who_does_not_read_its_answers_is_asked_nothing_more() -> None:
    async with serving() as (service, listener):
        # Connections have their buffer from the socket that they came in by.
        listener._servers[0].sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, listener.address)
        reader, writer = await asyncio.open_connection(sock=sock, limit=2**12)
        count = 2000
        writer.write(post(b"full") * count)
        before = -1
        while before != len(service.lean):
            before = len(service.lean)
            await asyncio.sleep(0.3)
        assert before < count
        for _ in range(count):
            assert (await read_answer(reader)).status == 503
        writer.close()


async def test_who_never_reads_its_answers_is_cut_off_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers_module, "LAST_SECONDS", 0.2)
    async with serving(first=0.2) as (service, listener):
        listener._newcomers._keep_alive = 0.2
        listener._servers[0].sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, listener.address)
        sent = asyncio.create_task(asyncio.get_running_loop().sock_sendall(sock, post(b"full") * 2000))
        await until(lambda: len(service.lean) > 50)
        await until(lambda: len(listener._reception) == 0)
        sent.cancel()
        await asyncio.gather(sent, return_exceptions=True)
        sock.close()


async def test_a_large_body_is_aiohttp_s() -> None:
    async with serving() as (service, listener):
        for size, status in ((MOST_BODY_BYTES, 202), (MOST_BODY_BYTES + 1, 202), (LIMIT + 1, 413)):
            assert (await ask(listener, post(b"x" * size))).status == status
        assert list(map(len, service.lean)) == [MOST_BODY_BYTES]
        assert list(map(len, service.usual)) == [MOST_BODY_BYTES + 1]


@pytest.mark.parametrize("first", [10, 500, 1_000_000])
async def test_bodies_beyond_the_budget_are_refused_by_aiohttp(first: int) -> None:
    async with serving() as (service, listener):
        service.budget.total = 1000
        reader, writer = await asyncio.open_connection(*listener.address)
        sent = post(b"x" * 50_000)
        writer.write(sent[:first])
        await asyncio.sleep(0.05)
        writer.write(sent[first:])
        answer = await read_answer(reader)
        assert (answer.status, answer.error["code"]) == (503, "too_many_bodies")
        assert (service.lean, service.counted("/events", 503)) == ([], 1)
        writer.close()


async def test_a_body_that_takes_long_is_aiohttp_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers_module, "BODY_SECONDS", 0.1)
    async with serving(first=0.2) as (service, listener):
        reader, writer = await asyncio.open_connection(*listener.address)
        sent = post(b"x" * 500)
        writer.write(sent[:300])
        await until(lambda: not len(listener._reception) and bool(listener._connections()))
        writer.write(sent[300:])
        assert (await read_answer(reader)).json == {"size": 500}
        assert (service.lean, service.usual) == ([], [b"x" * 500])
        writer.close()


async def test_between_requests_the_keep_alive_holds() -> None:
    async with serving(first=0.2) as (service, listener):
        listener._newcomers._keep_alive = 3.0
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(post(b"a"))
        await read_answer(reader)
        await asyncio.sleep(0.5)
        writer.write(post(b"b"))
        await read_answer(reader)
        begun = asyncio.get_running_loop().time()
        writer.write(b"POST /ev")
        assert await reader.read() == b""
        assert asyncio.get_running_loop().time() - begun > 1.5
        assert service.sample("citadel_http_half_open_closed_total", bound="deadline") == 0
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /other HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /sse/refused HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /sse/aside HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /sse/a HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET /ws/a HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /sse/a HTTP/1.1\r\n" + HOST + b"\r\nGET /other HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
)
async def test_what_the_lean_handler_does_not_take_is_answered_once(sent: bytes) -> None:
    async with serving() as (service, listener):
        assert (await ask(listener, sent)).status == 200
        assert service.usual
        path = sent.split()[1].decode()
        route = {"/s": "/sse/{stream}", "/w": "/ws/{channel}", "/o": "/other"}[path[:2]]
        await until(lambda: service.counted(route, 200) >= 1)
        assert service.counted(route, 200) == 1


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (post(b"{}", b"Origin: http://evil.example\r\n"), 403, "foreign_origin"),
        (post(b"{}").replace(b"localhost", b"evil.example"), 421, "foreign_host"),
        (post(b"{}", b"X-API-Key: wrong\r\n"), 401, "bad_credentials"),
        (post(b"{}", b"X-Forwarded-For: 192.0.2.1\r\n"), 401, "came_through_proxy"),
        (post(b"{}").replace(b"application/json", b"text/plain"), 415, "content_type"),
        (b"GET /sse/a HTTP/1.1\r\n" + HOST + b"Via: x\r\n\r\n", 401, "came_through_proxy"),
    ],
)
async def test_refusals_are_made_and_counted_once(sent: bytes, status: int, code: str) -> None:
    async with serving() as (service, listener):
        answer = await ask(listener, sent)
        assert (answer.status, answer.error["code"]) == (status, code)
        assert service.sample("citadel_http_refused_total", code=code) == 1
        assert (service.lean, service.usual) == ([], [])


async def test_a_stream_has_the_connection() -> None:
    async with serving() as (service, listener):
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(b"GET /sse/a?q=x%20y+z HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b"X-Query: x y z" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"GET /other HTTP/1.1\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"GET /other HTTP/1.1\r\n\r\n"
        assert (len(listener._reception), service.counted("/sse/{stream}", 200)) == (0, 1)
        writer.close()


async def test_a_name_that_could_be_a_step_in_the_path_is_aiohttp_s() -> None:
    async with serving() as (service, listener):
        await ask(listener, b"GET /sse/.. HTTP/1.1\r\n" + HOST + b"\r\n")
        assert service.counted("/sse/{stream}", 200) == service.usual.count(b"/sse/..")


async def test_who_has_said_everything_still_gets_its_answers() -> None:
    async with serving() as (service, listener):
        service.go.clear()
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(post(b"a") + post(b"bb") + b"POST /eve")
        writer.write_eof()
        await until(lambda: bool(service.lean))
        await asyncio.sleep(0.05)
        service.go.set()
        assert [(await read_answer(reader)).json["size"] for _ in range(2)] == [1, 2]
        assert await reader.read() == b""
        writer.close()


async def test_who_leaves_before_the_answer_or_in_the_middle_of_its_body_is_counted_so() -> None:
    async with serving() as (service, listener):
        service.go.clear()
        _, writer = await asyncio.open_connection(*listener.address)
        writer.write(post(b"a"))
        await until(lambda: bool(service.lean))
        # A reset: a mere end of what is said is no sign of having left.
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await until(lambda: not len(listener._reception))
        service.go.set()
        await until(lambda: service.counted("/events", 499) == 1)
        _, writer = await asyncio.open_connection(*listener.address)
        writer.write(post(b"a" * 100)[:-50])
        await until(lambda: any(front.waits_for_body for front in listener._reception))
        writer.transport.abort()
        await until(lambda: service.counted("/events", 499) == 2)
        assert service.counted("/events", 202) == 0


async def test_a_stop_lets_a_request_under_way_end_and_closes_the_rest() -> None:
    async with serving(drain=5.0) as (service, listener):
        service.go.clear()
        (busy, first), (idle, second), (half, third) = [await asyncio.open_connection(*listener.address) for _ in "123"]
        first.write(post(b"a") + post(b"never answered"))
        third.write(b"POST /eve")
        await until(lambda: bool(service.lean) and len(listener._reception) == 3)
        stopping = asyncio.create_task(listener.stop())
        assert await idle.read() == b""
        assert await half.read() == b""
        service.go.set()
        assert (await read_answer(busy)).json == {"size": 1}
        assert await busy.read() == b""
        await stopping
        assert service.lean == [b"a"]
        for writer in (first, second, third):
            writer.close()


async def test_a_stop_does_not_wait_for_ever() -> None:
    async with serving(drain=0.05) as (service, listener):
        service.go.clear()
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(post(b"a"))
        await until(lambda: bool(service.lean))
        async with asyncio.timeout(30):
            await listener.stop(1.0)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        await until(lambda: service.counted("/events", 499) == 1)
        writer.close()


async def test_a_connection_that_comes_in_during_the_stop_is_closed() -> None:
    async with serving() as (_, listener):
        await listener.stop()
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=theirs)
        await asyncio.get_running_loop().connect_accepted_socket(listener._reception.make, ours)
        assert await reader.read() == b""
        writer.close()


async def test_a_storm_of_one_address_is_let_in_and_one_that_says_nothing_is_not() -> None:
    security = SecurityConfig(max_half_open_per_address=5)
    async with serving(security, first=2.0) as (service, listener):
        pairs = [await asyncio.open_connection(*listener.address) for _ in range(60)]
        for _, writer in pairs:
            writer.write(post(b"a"))
        for reader, _ in pairs:
            assert (await read_answer(reader)).status == 202
        silent = [await asyncio.open_connection(*listener.address) for _ in range(6)]
        half = [await asyncio.open_connection(*listener.address) for _ in range(6)]
        for _, writer in half:
            writer.write(b"GET /other HT")
        ended = [asyncio.create_task(reader.read()) for reader, _ in silent + half]
        await until(lambda: service.sample("citadel_http_half_open_closed_total", bound="per_address") == 7)
        await until(lambda: sum(task.done() for task in ended) == 7)
        # Those that remain are good for a request as long as their time lasts.
        await until(lambda: service.sample("citadel_http_half_open_closed_total", bound="deadline") == 5)
        await asyncio.gather(*ended)
        assert listener._newcomers.closed == 12
        for _, writer in pairs + silent + half:
            writer.close()


async def test_a_unix_socket_is_aiohttp_s(tmp_path: Any) -> None:
    async with serving() as (service, listener):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(tmp_path / "s"))
        sock.listen()
        sock.setblocking(False)
        end = await listener.stand_in(sock)
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(post(b"a"))
        assert (await read_answer(reader)).status == 202
        assert (service.lean, service.usual) == ([], [b"a"])
        writer.close()
        await end()
        await end()
        sock.close()


async def test_connections_are_asked_for_a_sign_of_life_by_the_kernel() -> None:
    async with serving() as (_, listener):
        _, writer = await asyncio.open_connection(*listener.address)
        await until(lambda: len(listener._reception) == 1)
        (front,) = listener._reception
        assert front._transport is not None
        sock = front._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        writer.close()


@pytest.mark.parametrize(
    "scene",
    [
        test_requests_in_a_row_are_answered_in_their_order,
        test_who_sends_ahead_is_not_read_without_bound,
        test_who_does_not_read_its_answers_is_asked_nothing_more,
        test_a_large_body_is_aiohttp_s,
        test_between_requests_the_keep_alive_holds,
        test_a_stream_has_the_connection,
        test_who_has_said_everything_still_gets_its_answers,
        test_who_leaves_before_the_answer_or_in_the_middle_of_its_body_is_counted_so,
        test_a_stop_lets_a_request_under_way_end_and_closes_the_rest,
        test_a_stop_does_not_wait_for_ever,
        test_a_connection_that_comes_in_during_the_stop_is_closed,
        test_a_storm_of_one_address_is_let_in_and_one_that_says_nothing_is_not,
        test_connections_are_asked_for_a_sign_of_life_by_the_kernel,
    ],
)
def test_the_same_on_uvloop(scene: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())


def test_a_unix_socket_on_uvloop(tmp_path: Any) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_a_unix_socket_is_aiohttp_s(tmp_path))
