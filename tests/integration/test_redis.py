"""Streams of a real Redis server as a way in: entries become events, none is lost and none doubled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hxp_enterprise_llm.config.sources import RedisConfig, RedisStreamConfig
from tests.integration.daemon import running, url
from tests.integration.test_nats import stored
from tests.integration.test_pollers import settings, status_of, until_state
from tests.redis import RedisServer, redis_server

STREAM = "agents:events"


def config(server: RedisServer, *streams: RedisStreamConfig, **more) -> RedisConfig:
    return RedisConfig(endpoint=server.address, streams=list(streams) or [RedisStreamConfig(stream=STREAM)], **more)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path / "redis") as started:
        yield started


async def test_entries_are_events_on_every_way_out(tmp_path, server, session):
    async with running(settings(tmp_path, redis=config(server))) as program, server.client() as client:
        base, gateway = url(program, "processing"), url(program, "streaming")
        await until_state(session, base, "redis", "ok")
        id = await client.xadd(STREAM, {"agent": "planner", "note": "begun"})
        (event,) = await stored(session, base, "agents.events", 1)
        assert (event["id"], event["source"], event["subject"]) == (f"{STREAM}/{id}", "/sources/redis", STREAM)
        assert event["data"] == {"agent": "planner", "note": "begun"}
        async with session.ws_connect(f"{gateway}/ws/events?last=9&type=agents.events") as socket:
            assert (await socket.receive_json())["id"] == event["id"]
        state = (await status_of(session, gateway))["redis"]
        assert [(each["stream"], each["entries"]) for each in state["data"]] == [(STREAM, 1)]
        assert (await client.xpending(STREAM, "citadel"))["pending"] == 0
