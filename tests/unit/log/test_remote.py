"""RemoteLog appending to a far side that is down, slow, full or lying; its end."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.event.log import MemoryLog, RemoteLog
from hxp_enterprise_llm.event.log.model import (
    BatchTooLarge,
    EventTooLarge,
    LogClosed,
    LogError,
    LogFull,
    LogUnavailable,
)
from hxp_enterprise_llm.event.log.remote.answers import RemoteRefused
from hxp_enterprise_llm.event.model import BEGINNING
from hxp_enterprise_llm.runtime.clock import SystemClock
from tests.unit.log.support import LogServer, event, events, eventually, ids, no_task_left, refusal


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
        await log.append(events(0, 3), deadline=1.0)
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
    server.pause_seconds = 60
    async with asyncio.timeout(30):
        with pytest.raises(LogUnavailable) as caught:
            await log.append([event(1)], deadline=0.5)
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
    async with asyncio.timeout(20):
        with pytest.raises(LogUnavailable, match=r"answered \d+ \w+: wait") as caught:
            await log.append([event(1)], deadline=25)
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
        await log.append([event(1)], deadline=0.5)
    assert caught.value.maybe_stored
    # A try that has given up may still be under way and take one of them.
    server.answers = [web.Response(status=200, body=body) for _ in range(3)]
    with pytest.raises(LogUnavailable):
        await log.bounds()


async def test_close_ends_a_pause_between_tries(log: RemoteLog, server: LogServer) -> None:
    server.answers = [refusal(500, "internal") for _ in range(100)]
    with no_task_left():
        append = asyncio.ensure_future(log.append([event(1)], deadline=120))
        await eventually(lambda: server.posts > 0)
        async with asyncio.timeout(30):
            await log.close(within=0.05)
            with pytest.raises(LogUnavailable) as caught:
                await append
    assert caught.value.maybe_stored


async def test_close_ends_an_append_under_way(log: RemoteLog, server: LogServer) -> None:
    server.pause_seconds = 120
    append = asyncio.ensure_future(log.append([event(1)], deadline=120))
    await eventually(lambda: server.posts > 0)
    async with asyncio.timeout(30):
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
