"""RemoteLog against the API of the log as it is served, with a SQLite log behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.processing import IngestConfig, LogConfig
from hxp_enterprise_llm.event.log import RemoteLog, SqliteLog
from hxp_enterprise_llm.event.log.model import Ahead, BatchTooLarge, EpochChanged, Gone
from hxp_enterprise_llm.event.log.remote.answers import RemoteRefused
from hxp_enterprise_llm.event.model import BEGINNING, EARLIEST, Encoded, Event, Offset, TypePatterns, decode, encode
from hxp_enterprise_llm.event.sources.api import routes
from hxp_enterprise_llm.event.sources.ingest import Ingest
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import LogMetrics, ProcessingMetrics, ServiceMetrics


def events(start: int, count: int, type: str = "test.tick") -> list[Encoded]:
    """Events as a program of ours makes them: with a time."""
    now = "2026-11-20T17:34:31.250Z"
    return [
        encode(Event(id=str(n), source="/test", type=type, time=now, data={"n": n}))
        for n in range(start, start + count)
    ]


@pytest.fixture
async def owner(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    metrics = LogMetrics(CollectorRegistry())
    log = SqliteLog(tmp_path / "log", config=LogConfig(reserve_bytes=0), clock=SystemClock(), metrics=metrics)
    await log.open()
    yield log
    await log.close()


@pytest.fixture
async def remote(owner: SqliteLog) -> AsyncIterator[RemoteLog]:
    registry, clock = CollectorRegistry(), SystemClock()
    config = IngestConfig(max_future="36500d", max_age="36500d")
    ingest = Ingest(owner, SchemaCatalogue.load(), config, clock, ProcessingMetrics(registry))
    policy = Policy.of(SecurityConfig())
    app = build_app(routes(ingest, owner, BodyBudget()), policy=lambda: policy, metrics=ServiceMetrics(registry))
    listener = Listener(app, "127.0.0.1", 0, name="test")
    await listener.start()
    host, port = listener.address
    async with aiohttp.ClientSession() as session:
        log = RemoteLog(f"http://{host}:{port}", session=session, clock=clock, ahead_grace=0.1)
        await log.open()
        yield log
        await log.close(within=0.1)
    await listener.stop(1.0)


async def test_append_read_and_follow_over_the_api(remote: RemoteLog, owner: SqliteLog) -> None:
    assert remote.limits == owner.limits
    answer = await remote.append(events(0, 50))
    again = await remote.append(events(49, 2))
    assert [appended.duplicate for appended in again] == [True, False]
    assert again[0].offset == answer[49].offset
    batch = await remote.read(BEGINNING, 20)
    assert [decode(one.raw).id for one in batch.events] == [str(n) for n in range(20)]
    assert batch.events == (await owner.read(BEGINNING, 20)).events
    assert batch.next == answer[19].offset
    found: list[str] = []
    async with asyncio.timeout(30):
        async for batch in remote.follow(EARLIEST):
            found += [decode(one.raw).id for one in batch.events]
            if len(found) == 51:
                await owner.append(events(51, 1))
            if len(found) == 52:
                break
    assert found == [str(n) for n in range(52)]
    assert await remote.bounds() == await owner.bounds()
    assert (await remote.health()).durable


async def test_a_filter_is_applied_on_this_side(remote: RemoteLog) -> None:
    await remote.append(events(0, 5, "test.a") + events(5, 5, "test.b"))
    batch = await remote.read(BEGINNING, types=TypePatterns(["test.b"]))
    assert [decode(one.raw).id for one in batch.events] == ["5", "6", "7", "8", "9"]
    assert batch.next == batch.head


async def test_cursors_that_cannot_be_served(remote: RemoteLog, owner: SqliteLog) -> None:
    await remote.append(events(0, 5))
    bounds = await owner.bounds()
    with pytest.raises(Ahead) as ahead:
        await remote.read(Offset(bounds.head + 1))
    with pytest.raises(EpochChanged) as changed:
        await remote.read(BEGINNING, epoch="another")
    await owner.trim(bounds.head)
    with pytest.raises(Gone) as gone:
        await remote.read(BEGINNING)
    assert ahead.value.bounds == changed.value.bounds == bounds
    assert gone.value.bounds == await owner.bounds()


async def test_a_follower_outlives_the_log_being_opened_again(remote: RemoteLog, owner: SqliteLog) -> None:
    """The owner lets go and takes hold again: the stream ends, another connection goes on after the last event."""
    await owner.append(events(0, 5))
    found: list[str] = []
    async with asyncio.timeout(30):
        async for batch in remote.follow(BEGINNING):
            found += [decode(one.raw).id for one in batch.events]
            if len(found) == 5 and batch.events:
                await owner.close()
                await owner.open()
                await owner.append(events(5, 1))
            if len(found) == 6:
                break
    assert found == [str(n) for n in range(6)]


async def test_what_the_api_refuses(remote: RemoteLog) -> None:
    with pytest.raises(BatchTooLarge):
        await remote.append(events(0, 5000))
    with pytest.raises(RemoteRefused) as caught:
        await remote.append([encode(Event(id="1", source="/test", type="no such type!"))])
    assert (caught.value.status, caught.value.code) == (400, "invalid_events")
