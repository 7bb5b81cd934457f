"""RemoteLog reading from a far side that restarts, hangs, lags or lies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from hxp_enterprise_llm.event.log import MemoryLog, RemoteLog
from hxp_enterprise_llm.event.log.following import PROGRESS_SECONDS
from hxp_enterprise_llm.event.log.model import (
    Ahead,
    LogUnavailable,
)
from hxp_enterprise_llm.event.log.remote.lines import asked_types
from hxp_enterprise_llm.event.model import BEGINNING, EARLIEST, Offset, TypePatterns
from tests.unit.log.support import LogServer, event, events, eventually, ids, refusal


async def test_a_server_error_at_reading(log: RemoteLog, server: LogServer) -> None:
    for call in (lambda: log.read(BEGINNING), log.bounds):
        server.answers = [refusal(500, "internal", "oh")]
        with pytest.raises(LogUnavailable, match="answered 500 internal: oh"):
            await call()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"1 {}\n",
        b"# epoch 1 2\n",
        b"# epoch 1 x 0\n",
        b"# epoch 1 5 0\n99999999999999999999 {}\n",
        b"# epoch 1 5 0\n-1 {}\n",
        b'# epoch 1 5 0\n3 {"type":"a"}\n3 {"type":"a"}\n',
        b"# epoch 1 5 0\n3 not json\n",
        b"# epoch 1 5 0\n3 {}\n",
        b'# epoch 1 5 0\n3 {"type":"\xff"}\n',
        b"# epoch 1 5 3\n# epoch 1 5 2\n",
        b"! shrug\n",
        b"! gone\n",
        b"! gone {}\n",
        b"# epoch 1 5 0\n" + b"x" * 1_100_000,
        b"<html>not a log</html>\n",
    ],
)
async def test_nonsense_in_a_stream_ends_the_connection(log: RemoteLog, server: LogServer, body: bytes) -> None:
    """A read says so; a follower connects again and goes on."""
    await log.append([event("real")])
    server.answers = [web.Response(body=body)]
    with pytest.raises(LogUnavailable):
        await log.read(BEGINNING)
    server.answers = [web.Response(body=body)]
    found: list[str] = []
    async with asyncio.timeout(30):
        async for batch in log.follow(EARLIEST):
            found += [one.raw.decode() for one in batch.events if b"real" in one.raw]
            if found:
                break
    assert len(found) == 1


async def test_a_read_that_was_cut_keeps_what_came(log: RemoteLog, server: LogServer) -> None:
    server.answers = [web.Response(body=b'# epoch 1 9 0\n3 {"type":"a"}\n5 {"ty')]
    batch = await log.read(BEGINNING)
    assert ([one.offset for one in batch.events], batch.next, batch.head) == ([3], 3, 9)


@pytest.mark.parametrize(
    ("patterns", "asked"),
    [
        (None, ""),
        (["llm.*", "host.cpu"], "llm.*,host.cpu"),
        (["llm.*", "*"], ""),
        ([], ""),
        (["no pattern"], ""),
        ([f"t{number}" for number in range(101)], ""),
        (["x" * 1500, "y" * 600], ""),
    ],
)
def test_types_are_asked_for_when_the_far_side_will_understand(patterns: list[str] | None, asked: str) -> None:
    assert asked_types(None if patterns is None else TypePatterns(patterns)) == asked


async def test_a_follower_outlives_restarts_of_the_far_side(
    log: RemoteLog, server: LogServer, memory: MemoryLog
) -> None:
    """What was appended while the line was cut is there soon after it is back, once and in order: nobody waits for a
    sign of life, which would come after ten seconds."""
    found: list[str] = []

    async def follow() -> None:
        async for batch in log.follow(BEGINNING):
            found.extend(ids(batch))

    async def has(count: int) -> None:
        await eventually(lambda: len(found) == count, within=PROGRESS_SECONDS / 2)

    following = asyncio.ensure_future(follow())
    for start in range(0, 30, 10):
        await memory.append(events(start, 5))
        await has(start + 5)
        await server.stop()
        await memory.append(events(start + 5, 5))
        await server.start()
        await has(start + 10)
    assert found == [str(n) for n in range(30)]
    following.cancel()
    await asyncio.wait([following])


async def test_a_silent_stream_is_taken_for_dead(log: RemoteLog, server: LogServer, memory: MemoryLog) -> None:
    """The far side hangs without closing: after the time of silence another connection is tried."""
    connections = 0
    original = server._stream

    async def hang_first(request: web.Request) -> web.StreamResponse:
        nonlocal connections
        connections += 1
        if connections > 1:
            return await original(request)
        await asyncio.sleep(60)
        raise AssertionError("nobody waits so long")

    await server.stop()
    server._stream = hang_first  # type: ignore[method-assign]
    await server.start()
    await memory.append([event(1)])
    async with asyncio.timeout(30):
        async for batch in log.follow(BEGINNING):
            if batch.events:
                break
    assert ids(batch) == ["1"]
    assert connections >= 2


async def test_ahead_of_a_member_that_lags(log: RemoteLog, server: LogServer, memory: MemoryLog) -> None:
    """Another member has acknowledged this offset; this one catches up within the grace."""
    log._ahead_grace = 60.0
    await memory.append([event(1)])
    head = (await log.bounds()).head
    reading = asyncio.ensure_future(log.read(Offset(head + 5)))
    following = asyncio.ensure_future(anext(aiter(log.follow(Offset(head + 5)))))
    await asyncio.sleep(0.05)
    assert not reading.done()
    assert not following.done()
    await memory.append([event(2)])
    for waiting in (reading, following):
        batch = await waiting
        assert (batch.events, batch.next) == ((), head + 5)


async def test_ahead_that_stays(log: RemoteLog) -> None:
    with pytest.raises(Ahead):
        await log.read(Offset(99))
    with pytest.raises(Ahead):
        await anext(log.follow(Offset(99)))


async def test_a_reader_that_stops_holds_the_far_side_back(
    log: RemoteLog, server: LogServer, memory: MemoryLog
) -> None:
    """TCP is the queue: the server waits in its write, and everything arrives once the reader goes on."""
    written = 0
    original = web.StreamResponse.write

    async def counting(self: web.StreamResponse, data: Any) -> None:
        nonlocal written
        await original(self, data)
        written += len(data)

    web.StreamResponse.write = counting  # type: ignore[method-assign]
    try:
        batches = log.follow(BEGINNING)
        await anext(batches)
        for start in range(0, 400, 10):
            await memory.append(events(start, 10, size=100_000))
        before = -1
        while written != before:  # it goes on until the buffers are full, then no more
            before = written
            await asyncio.sleep(0.1)
        assert written < 30_000_000
        found: list[str] = []
        async with asyncio.timeout(30):
            while len(found) < 400:
                found += ids(await anext(batches))
        assert found == [str(n) for n in range(400)]
    finally:
        web.StreamResponse.write = original  # type: ignore[method-assign]
