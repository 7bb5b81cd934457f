"""A real gateway over a log in memory, served on a free port of loopback."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import EventLog
from hxp_enterprise_llm.event.model import Event, encode, rfc3339
from hxp_enterprise_llm.event.streaming.api import routes
from hxp_enterprise_llm.event.streaming.gateway import Gateway
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.runtime.tasks import Supervisor, TaskDied
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics, StreamingMetrics


async def until(condition: Callable[[], bool], within: float = 30.0) -> None:
    """Wait for a condition that the loop brings about; no answer depends on how long a step takes."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.001)


class LeapingClock(SystemClock):
    """The machine's clocks, whose monotonic one leaps ahead when it is told to."""

    leapt = 0.0

    def advance(self, seconds: float) -> None:
        self.leapt += seconds

    def monotonic(self) -> float:
        return super().monotonic() + self.leapt


class Served:
    """What a test needs of a gateway that runs."""

    def __init__(
        self,
        gateway: Gateway,
        log: Any,
        port: int,
        registry: CollectorRegistry,
        deaths: list[TaskDied],
        clock: LeapingClock | None = None,
    ):
        self.gateway, self.log, self.port, self.registry, self.deaths = gateway, log, port, registry, deaths
        self.clock = clock or LeapingClock()
        self._count = 0

    def http(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ws(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    async def publish(self, *types: str, **data: Any) -> list[int]:
        """Append an event of each type, numbered in `data.n`; answers their offsets."""
        events = []
        for type in types:
            self._count += 1
            events.append(
                encode(
                    Event(
                        id=str(self._count),
                        source="/test",
                        type=type,
                        time=rfc3339(time.time()),
                        data={"n": self._count, **data},
                    )
                )
            )
        return [answer.offset for answer in await self.log.append(events)]

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    @property
    def open(self) -> int:
        return sum(map(len, self.gateway.places.values()))

    async def get(self, path: str, **headers: str) -> tuple[int, Any, Any]:
        """Status, headers and the JSON of an answer."""
        async with aiohttp.ClientSession() as session, session.get(self.http(path), headers=headers) as answer:
            return answer.status, answer.headers, msgspec.json.decode(await answer.read())


@asynccontextmanager
async def serving(
    config: StreamingConfig | None = None, log: EventLog | None = None, *, start_within: float = 5.0
) -> AsyncIterator[Served]:
    config, registry, deaths = config or StreamingConfig(), CollectorRegistry(), list[TaskDied]()
    used = log or MemoryLog()
    if log is None:
        await used.open()
    supervisor = Supervisor(deaths.append)
    clock = LeapingClock()
    gateway = Gateway(
        config,
        used,
        clock=clock,
        metrics=StreamingMetrics(registry, clock),
        spawn=supervisor.spawn,
        random=random.Random(1),
    )
    policy = Policy.of(SecurityConfig())
    app = build_app(routes(gateway, clock), policy=lambda: policy, metrics=ServiceMetrics(registry))
    listener = Listener(app, "127.0.0.1", 0, name="test", drain=0.1)
    await gateway.start(start_within)
    await listener.start()
    try:
        yield Served(gateway, used, listener.address[1], registry, deaths, clock)
    finally:
        await gateway.stop(1.0)
        await listener.stop(5.0)
        await supervisor.stop()
        assert deaths == []


async def read_sse(content: aiohttp.StreamReader, count: int) -> list[dict[str, str]]:
    """The next blocks of a stream that carry an event, as their fields."""
    blocks: list[dict[str, str]] = []
    async with asyncio.timeout(30):
        while len(blocks) < count:
            block = (await content.readuntil(b"\n\n")).decode()
            fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
            if "data" in fields:
                blocks.append(fields)
    return blocks


def numbers(blocks: Sequence[dict[str, str]]) -> list[int]:
    return [msgspec.json.decode(block["data"])["data"]["n"] for block in blocks]
