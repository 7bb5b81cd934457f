"""RemoteLog against a far side that is down, slow, restarted or lying."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.event.log import MemoryLog, RemoteLog
from hxp_enterprise_llm.event.log.model import (
    Ahead,
    BatchTooLarge,
    EventTooLarge,
    LogClosed,
    LogError,
    LogFull,
    LogUnavailable,
)
from hxp_enterprise_llm.event.log.remote.answers import RemoteRefused
from hxp_enterprise_llm.event.model import BEGINNING, EARLIEST, Offset
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.metrics import LogMetrics
from tests.unit.log.support import LogServer, event, events, eventually, ids, no_task_left, refusal


@pytest.fixture
async def memory() -> MemoryLog:
    log = MemoryLog(offset_step=5)
    await log.open()
    return log


@pytest.fixture
async def server(memory: MemoryLog) -> AsyncIterator[LogServer]:
    server = LogServer(memory)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def log(
    server: LogServer, session: aiohttp.ClientSession, registry: CollectorRegistry
) -> AsyncIterator[RemoteLog]:
    log = RemoteLog(
        server.url,
        session=session,
        clock=SystemClock(),
        metrics=LogMetrics(registry),
        ahead_grace=0.3,
        silence=0.3,
    )
    await log.open()
    yield log
    await log.close(within=0.1)


async def test_a_lost_answer_is_asked_for_again(log: RemoteLog, server: LogServer, memory: MemoryLog) -> None:
    """The events were stored, the connection was cut: the same ids are sent again and are repeats."""
    server.answer_lost = 2
    answer = await log.append(events(0, 3))
    assert server.posts == 3
    assert all(appended.duplicate for appended in answer)
    assert ids(await memory.read(BEGINNING)) == ["0", "1", "2"]


async def test_answers_that_stay_lost_until_the_deadline(log: RemoteLog, server: LogServer) -> None:
    server.answer_lost = 1000
    with pytest.raises(LogUnavailable) as caught:
        await log.append(events(0, 3), deadline=0.3)
    assert caught.value.maybe_stored
    server.answer_lost = 0
    assert all(appended.duplicate for appended in await log.append(events(0, 3)))


async def test_the_far_side_restarts_during_an_append(log: RemoteLog, server: LogServer) -> None:
    await server.stop()
    append = asyncio.ensure_future(log.append([event(1)]))
    await asyncio.sleep(0.05)
    await server.start()
    assert not (await append)[0].duplicate


async def test_a_far_side_that_is_down_has_stored_nothing(log: RemoteLog, server: LogServer) -> None:
    await server.stop()
    # Reading first: an append over a connection of before, which breaks, cannot know what became of it.
    for call in (log.read(BEGINNING), log.bounds(), log.open()):
        with pytest.raises(LogUnavailable, match="no connection"):
            await call
    with pytest.raises(LogUnavailable, match="no connection") as caught:
        await log.append([event(1)], deadline=0.2)
    assert not caught.value.maybe_stored
    health = await log.health()
    assert health.status == "down"
    assert "no connection" in health.reason


async def test_a_slow_far_side_may_have_stored(log: RemoteLog, server: LogServer) -> None:
    server.pause_seconds = 5
    async with asyncio.timeout(2):
        with pytest.raises(LogUnavailable) as caught:
            await log.append([event(1)], deadline=0.1)
    assert caught.value.maybe_stored


async def test_a_full_log(log: RemoteLog, server: LogServer, memory: MemoryLog) -> None:
    memory.fail_next(LogFull("no room"))
    with pytest.raises(LogFull, match="no room"):
        await log.append([event(1)])
    assert server.posts == 1


async def test_a_full_log_after_an_answer_was_lost(log: RemoteLog, server: LogServer) -> None:
    """The first try may have stored it: then "nothing is stored" would be a lie."""
    server.answers = [refusal(500, "internal"), refusal(503, "log_full", "no room")]
    with pytest.raises(LogUnavailable, match="no room") as caught:
        await log.append([event(1)])
    assert caught.value.maybe_stored


async def test_busy_answers_are_tried_again(log: RemoteLog, server: LogServer) -> None:
    server.answers = [
        refusal(503, "log_unavailable", retry_after=0),
        refusal(429, "too_many_requests"),
        web.Response(status=502, body=b"<html>bad gateway</html>", headers={"Retry-After": "soon"}),
    ]
    assert not (await log.append([event(1)]))[0].duplicate
    assert server.posts == 4


@pytest.mark.parametrize(
    "answer",
    [
        refusal(429, "too_many_requests", "wait", retry_after=60),
        refusal(503, "log_closed", "wait", retry_after=60),
        refusal(503, "log_unavailable", "wait", retry_after=60, maybe_stored=False),
    ],
)
async def test_a_retry_after_beyond_the_deadline_ends_it_at_once(
    log: RemoteLog, server: LogServer, answer: web.Response
) -> None:
    server.answers = [answer]
    async with asyncio.timeout(1):
        with pytest.raises(LogUnavailable, match=r"answered \d+ \w+: wait") as caught:
            await log.append([event(1)], deadline=5)
    assert not caught.value.maybe_stored


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(413, "batch_too_large", limit=10, found=20, unit="events"), BatchTooLarge(10, 20, "events")),
        (refusal(413, "event_too_large", limit=10, found=20, index=3), EventTooLarge(10, 20, 3)),
        (refusal(413, "body_too_large"), BatchTooLarge(0, len(event(1).raw) + 2, "bytes")),
    ],
)
async def test_too_large_for_the_far_side(
    log: RemoteLog, server: LogServer, answer: web.Response, error: LogError
) -> None:
    server.answers = [answer]
    with pytest.raises(type(error)) as caught:
        await log.append([event(1)])
    assert caught.value.args == error.args


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [(401, "unauthorized", "who are you"), (400, "invalid_events", "data.x"), (404, "unknown", "not found")],
)
async def test_refusals_are_not_tried_again(
    log: RemoteLog, server: LogServer, status: int, code: str, message: str
) -> None:
    for call in (lambda: log.append([event(1)]), lambda: log.read(BEGINNING), log.bounds, log.open):
        server.answers = [refusal(status, code, message)]
        with pytest.raises(RemoteRefused, match=f"answered {status} {code}: {message}") as caught:
            await call()
        assert (caught.value.status, caught.value.code) == (status, code)
    server.answers = [refusal(status, code, message)]
    with pytest.raises(RemoteRefused):
        await anext(log.follow(BEGINNING))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"events":[]}', b'{"events":[{"offset":"1","duplicate":false}]}', b"\xff", b"x" * 5_000_000]
)
async def test_an_answer_that_is_none_leaves_it_open(log: RemoteLog, server: LogServer, body: bytes) -> None:
    server.answers = [web.Response(status=202, body=body) for _ in range(20)]
    with pytest.raises(LogUnavailable) as caught:
        await log.append([event(1)], deadline=0.15)
    assert caught.value.maybe_stored
    server.answers = [web.Response(status=200, body=body)]
    with pytest.raises(LogUnavailable):
        await log.bounds()


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
    async with asyncio.timeout(5):
        async for batch in log.follow(EARLIEST):
            found += [one.raw.decode() for one in batch.events if b"real" in one.raw]
            if found:
                break
    assert len(found) == 1


async def test_a_read_that_was_cut_keeps_what_came(log: RemoteLog, server: LogServer) -> None:
    server.answers = [web.Response(body=b'# epoch 1 9 0\n3 {"type":"a"}\n5 {"ty')]
    batch = await log.read(BEGINNING)
    assert ([one.offset for one in batch.events], batch.next, batch.head) == ([3], 3, 9)


async def test_a_follower_outlives_restarts_of_the_far_side(
    log: RemoteLog, server: LogServer, memory: MemoryLog
) -> None:
    """What was appended while the line was cut is there within a second after it is back, once and in order."""
    found: list[str] = []

    async def follow() -> None:
        async for batch in log.follow(BEGINNING):
            found.extend(ids(batch))

    async def has(count: int) -> None:
        await eventually(lambda: len(found) == count, within=1.0)

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
    async with asyncio.timeout(5):
        async for batch in log.follow(BEGINNING):
            if batch.events:
                break
    assert ids(batch) == ["1"]
    assert connections == 2


async def test_ahead_of_a_member_that_lags(log: RemoteLog, server: LogServer, memory: MemoryLog) -> None:
    """Another member has acknowledged this offset; this one catches up within the grace."""
    await memory.append([event(1)])
    head = (await log.bounds()).head
    reading = asyncio.ensure_future(log.read(Offset(head + 5)))
    following = asyncio.ensure_future(anext(aiter(log.follow(Offset(head + 5)))))
    await asyncio.sleep(0.15)
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
        async with asyncio.timeout(20):
            while len(found) < 400:
                found += ids(await anext(batches))
        assert found == [str(n) for n in range(400)]
    finally:
        web.StreamResponse.write = original  # type: ignore[method-assign]


async def test_close_ends_a_pause_between_tries(log: RemoteLog, server: LogServer) -> None:
    server.answers = [refusal(500, "internal") for _ in range(100)]
    with no_task_left():
        append = asyncio.ensure_future(log.append([event(1)]))
        await eventually(lambda: server.posts > 0)
        async with asyncio.timeout(1):
            await log.close(within=0.05)
            with pytest.raises(LogUnavailable) as caught:
                await append
    assert caught.value.maybe_stored


async def test_close_ends_an_append_under_way(log: RemoteLog, server: LogServer) -> None:
    server.pause_seconds = 30
    append = asyncio.ensure_future(log.append([event(1)]))
    await eventually(lambda: server.posts > 0)
    async with asyncio.timeout(1):
        await log.close(within=0.05)
        with pytest.raises(LogUnavailable) as caught:
            await append
    assert caught.value.maybe_stored


async def test_before_it_is_open(session: aiohttp.ClientSession) -> None:
    log = RemoteLog("http://127.0.0.1:9", session=session, clock=SystemClock())
    with pytest.raises(LogClosed):
        await log.append([event(1)])
    assert (await log.health()).reason == "the log is closed"
    await log.close()


async def test_the_figures(log: RemoteLog, registry: CollectorRegistry) -> None:
    await log.append(events(0, 3))
    await log.append(events(2, 2))
    with pytest.raises(BatchTooLarge):
        await log.append(events(0, 5000))
    await log.bounds()

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("citadel_log_events_appended_total") == 4
    assert value("citadel_log_duplicates_total") == 1
    assert value("citadel_log_append_errors_total", reason="BatchTooLarge") == 1
    assert value("citadel_log_head_offset") == 20
