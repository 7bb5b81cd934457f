from __future__ import annotations

import asyncio
import gzip
import random
import socket
import struct
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from hxp_enterprise_llm.security import body as module
from hxp_enterprise_llm.security.body import BodyBudget, read_body
from hxp_enterprise_llm.security.inflate import Inflater
from hxp_enterprise_llm.security.model import JSON_BODY, Route
from hxp_enterprise_llm.security.problems import Problem, json_response
from tests.unit.security.serving import Served, read_answer, serving

LIMIT = 20 * 1024 * 1024
JSON = {"Content_Type": "application/json"}


class Sink:
    """A route that reads bodies and tells what became of them."""

    def __init__(self, total: int = 128 * 1024 * 1024) -> None:
        self.budget = BodyBudget(total)
        self.held_in_handler = 0
        self.problems: list[Problem] = []
        self.ended = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        try:
            body = await read_body(request, limit=LIMIT, budget=self.budget)
        except Problem as problem:
            self.problems.append(problem)
            raise
        finally:
            self.held_in_handler = self.budget.held
            self.ended.set()
        return json_response({"size": len(body), "sum": sum(body[:1000])})

    def routes(self) -> list[Route]:
        return [Route("POST", "/", self.handle, "publish", "", body=JSON_BODY)]


@pytest.fixture
async def sink() -> Sink:
    return Sink()


@pytest.fixture
async def served(sink: Sink) -> AsyncIterator[Served]:
    async with serving(sink.routes()) as found:
        yield found
    assert sink.budget.held == 0


async def test_a_plain_body_is_read(served: Served, sink: Sink) -> None:
    assert (await served.ask("POST", "/", b"\1" * 500, **JSON)).json == {"size": 500, "sum": 500}
    assert sink.held_in_handler == 500


async def test_a_chunked_body_is_read(served: Served) -> None:
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await served.raw(head + b"3\r\n\1\1\1\r\n2\r\n\1\1\r\n0\r\n\r\n")).json == {"size": 5, "sum": 5}


async def test_no_body_is_an_empty_one(served: Served) -> None:
    assert (await served.ask("POST", "/", None, **JSON)).json == {"size": 0, "sum": 0}
    assert (await served.ask("POST", "/", b"", **JSON, Content_Encoding="gzip")).json == {"size": 0, "sum": 0}


async def test_a_compressed_body_is_read(served: Served) -> None:
    text = bytes(range(250)) * 10_000
    answer = await served.ask("POST", "/", gzip.compress(text, 1), **JSON, Content_Encoding="gzip")
    assert answer.json == {"size": len(text), "sum": sum(text[:1000])}


async def test_a_body_of_21_mib_is_refused_before_it_is_read(served: Served) -> None:
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 22020096\r\n\r\n"
    answer = await served.raw(head)
    assert answer.status == 413
    assert answer.error == {
        "code": "body_too_large",
        "message": "the body has 22,020,096 bytes, at most 20,971,520 are taken",
        "hint": "send it in several requests",
        "limit": LIMIT,
    }


async def test_a_chunked_body_of_21_mib_is_refused_as_it_comes(served: Served, sink: Sink) -> None:
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + bytes(1024 * 1024) + b"\r\n"
    answer = await served.raw(head + chunk * 21 + b"0\r\n\r\n")
    assert answer.error["message"] == "the body has more than 20,971,520 bytes, at most 20,971,520 are taken"
    assert sink.held_in_handler <= LIMIT


async def test_a_body_that_is_too_large_after_decompression_is_refused(served: Served) -> None:
    noise = b"".join(struct.pack("<I", number * 2654435761 % 2**32) for number in range(4096))
    body = gzip.compress(noise * (22 * 1024 * 1024 // len(noise)), 1)
    assert len(body) < LIMIT
    assert len(noise) * (22 * 1024 * 1024 // len(noise)) < 200 * len(body)
    answer = await served.ask("POST", "/", body, **JSON, Content_Encoding="gzip")
    assert (answer.status, answer.error["code"]) == (413, "body_too_large")


async def test_a_gzip_bomb_is_refused_without_being_unpacked(served: Served) -> None:
    bomb = gzip.compress(bytes(300_000_000))
    tracemalloc.start()
    try:
        answer = await served.ask("POST", "/", bomb, **JSON, Content_Encoding="gzip")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (answer.status, answer.error["code"]) == (413, "decompression_bomb")
    assert "which is over 200 times as much" in answer.error["message"]
    assert peak < 8 * 1024 * 1024


async def test_a_cut_off_gzip_body_is_refused(served: Served) -> None:
    body = gzip.compress(b"{}" * 100)[:-5]
    answer = await served.ask("POST", "/", body, **JSON, Content_Encoding="gzip")
    assert (answer.status, answer.error["code"]) == (400, "bad_encoding")
    assert answer.error["message"] == f"the body is no valid gzip: it is cut off after {len(body)} bytes"


async def test_a_client_that_vanishes_mid_body_is_noticed(served: Served, sink: Sink) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\nabc"
    )
    await writer.drain()
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()
    await sink.ended.wait()
    assert [(problem.status, problem.code) for problem in sink.problems] == [(400, "body_cut_off")]


async def test_broken_chunks_are_told(served: Served, sink: Sink) -> None:
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await served.raw(head + b"3\r\nabc\r\nzz\r\n")
    assert answer.status == 400


async def test_a_body_that_stalls_is_refused(served: Served, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEADLINE_SECONDS", 0.05)
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\nabc"
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(head)
    answer = await read_answer(reader)
    assert (answer.status, answer.error["code"]) == (408, "body_too_slow")
    assert answer.error["message"] == "the body arrives too slowly: 3 bytes in the time for it"
    assert answer.headers["connection"] == "close"
    writer.close()


async def test_each_100_kb_buy_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BYTES_PER_SECOND", 10)
    monkeypatch.setattr(module, "DEADLINE_SECONDS", 0.05)
    sink = Sink()
    async with serving(sink.routes()) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(
            b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n"
        )
        writer.write(b"\1" * 100)
        await writer.drain()
        # Longer than the deadline alone, far shorter than the ten seconds that 100 bytes buy.
        await asyncio.sleep(0.15)
        writer.write(b"\1" * 100)
        assert (await read_answer(reader)).status == 200
        writer.close()


async def test_bodies_in_flight_are_bounded_together() -> None:
    sink = Sink(total=1000)
    async with serving(sink.routes()) as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % 900 + bytes(800))
        await writer.drain()
        while sink.budget.held < 800:
            await asyncio.sleep(0)
        # Small ones have an eighth more.
        answer = await served.ask("POST", "/", bytes(326), **JSON)
        assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "too_many_bodies", "1")
        assert (await served.ask("POST", "/", bytes(200), **JSON)).status == 200
        writer.close()
    assert sink.budget.held == 0


async def test_many_compressed_bodies_make_one_step_a_turn() -> None:
    """However many arrive together, the loop comes round after each quarter of a megabyte."""
    bodies, megabytes = 8, 6
    budget, turns = BodyBudget(), 0
    packed = zlib.compress(random.Random(1).randbytes(32 * 1024) * (megabytes * 32), 1)

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def read() -> int:
        assembly = module._Assembly(LIMIT, budget.lease(), Inflater("deflate"))
        await module._feed(assembly, packed, budget.turn)
        return len(assembly.finish())

    counting = asyncio.create_task(count())
    try:
        assert await asyncio.gather(*(read() for _ in range(bodies))) == [megabytes * 1024 * 1024] * bodies
    finally:
        counting.cancel()
    assert turns >= bodies * (megabytes - 1) * 4


async def test_a_small_compressed_body_waits_for_nobody() -> None:
    """The turn is somebody else's all the while."""
    budget = BodyBudget()
    assembly = module._Assembly(LIMIT, budget.lease(), Inflater("gzip"))
    async with budget.turn, asyncio.timeout(30):
        await module._feed(assembly, gzip.compress(b"small" * 1000), budget.turn)
    assert assembly.finish() == b"small" * 1000


def test_small_bodies_come_in_where_large_ones_hold_all_there_is() -> None:
    budget = BodyBudget(1024 * 1024)
    large, another, small = budget.lease(), budget.lease(), budget.lease()
    assert large.take(1024 * 1024)
    assert not another.take(64 * 1024 + 1)
    assert small.take(64 * 1024)
    assert not small.take(1)
    assert another.take(64 * 1024)
    assert not budget.lease().take(1)
    large.release()
    assert small.take(512 * 1024)
