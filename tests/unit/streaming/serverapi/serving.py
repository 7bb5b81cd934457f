"""The server API over a gateway and a log in memory, behind the edge, with keys of its own."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import msgspec
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.model import Event, encode
from hxp_enterprise_llm.event.sources.strict_json import read as read_json
from hxp_enterprise_llm.event.streaming import api as streaming_api
from hxp_enterprise_llm.event.streaming.gateway import Gateway
from hxp_enterprise_llm.event.streaming.serverapi.api import routes
from hxp_enterprise_llm.event.streaming.serverapi.who import Client, Who
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.runtime.tasks import Supervisor
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.keys import ApiKey, Keyring, digest_of
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import ApiMetrics, ServiceMetrics, StreamingMetrics
from tests.unit.streaming.gateways import until

BACKEND, READER, WRITER = "hxk_backend_1", "hxk_reader_1", "hxk_writer_1"
SCOPES = {BACKEND: {"read", "publish"}, READER: {"read"}, WRITER: {"publish"}}
KEYS = Keyring(ApiKey(key.split("_")[1], digest_of(key), frozenset(scopes)) for key, scopes in SCOPES.items())


class Api:
    """A program that uses the API."""

    def __init__(
        self,
        gateway: Gateway,
        log: MemoryLog,
        port: int,
        session: aiohttp.ClientSession,
        registry: CollectorRegistry,
        who: Who,
    ) -> None:
        self.gateway, self.log, self.port, self.session, self.registry = gateway, log, port, session, registry
        self.who = who

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def send(self, method: str, body: bytes, key: str = BACKEND) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json", "X-API-Key": key}
        async with self.session.post(f"{self.url}/api/{method}", data=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def ask(self, method: str, key: str = BACKEND, **members: Any) -> Any:
        """What a command is answered; it must be 200."""
        status, answer = await self.send(method, msgspec.json.encode(members), key)
        assert status == 200, answer
        return answer

    async def error(self, method: str, **members: Any) -> tuple[int, str]:
        answer = await self.ask(method, **members)
        assert list(answer) == ["error"], answer
        return answer["error"]["code"], answer["error"]["message"]

    async def events(self) -> list[dict[str, Any]]:
        batch = await self.log.read(0)
        return [{"offset": one.offset, **msgspec.json.decode(one.raw)} for one in batch.events]

    async def append(self, type: str, *ids: str, subject: str | None = None, data: Any = None) -> list[int]:
        """Store events that nobody published by the API, and wait until the gateway has them."""
        events = [encode(Event(id=id, source="/test", type=type, subject=subject, data=data)) for id in ids]
        offsets = [answer.offset for answer in await self.log.append(events)]
        await self.settled(offsets[-1])
        return offsets

    async def settled(self, offset: int) -> None:
        await until(lambda: self.gateway.hub.position.offset >= offset)


@asynccontextmanager
async def serving(
    config: StreamingConfig | None = None,
    log: MemoryLog | None = None,
    members: Callable[[str], Mapping[str, Client]] = lambda channel: {},
    *,
    start_within: float = 5.0,
) -> AsyncIterator[Api]:
    registry, clock, supervisor = CollectorRegistry(), SystemClock(), Supervisor(lambda death: None)
    used = log or MemoryLog()
    if log is None:
        await used.open()
    gateway = Gateway(
        config or StreamingConfig(),
        used,
        clock=clock,
        metrics=StreamingMetrics(registry, clock),
        spawn=supervisor.spawn,
        random=random.Random(1),
    )
    who = Who(gateway, clock=clock, node="here", members=members)
    api = routes(
        gateway, used, who, clock=clock, metrics=ApiMetrics(registry), budget=BodyBudget(), read_json=read_json
    )
    policy = replace(Policy.of(SecurityConfig()), keys=KEYS)
    api += streaming_api.routes(gateway, clock)
    app = build_app(api, policy=lambda: policy, metrics=ServiceMetrics(registry))
    listener = Listener(app, "127.0.0.1", 0, name="test", drain=0.1)
    await gateway.start(start_within)
    await listener.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Api(gateway, used, listener.address[1], session, registry, who)
    finally:
        await gateway.stop(1.0)
        await listener.stop(5.0)
        await supervisor.stop()
