"""A log in memory, a server for it, and a RemoteLog that speaks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.event.log import MemoryLog, RemoteLog
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.metrics import LogMetrics
from tests.unit.log.support import LogServer


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
