"""A real gateway with the Centrifuge protocol on a free port of loopback."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import EventLog
from hxp_enterprise_llm.event.sources.strict_json import read
from hxp_enterprise_llm.event.streaming.centrifuge.api import routes
from hxp_enterprise_llm.event.streaming.centrifuge.endpoint import Endpoint
from hxp_enterprise_llm.event.streaming.centrifuge.tokens import Verifier
from hxp_enterprise_llm.event.streaming.gateway import Gateway
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.runtime.tasks import Supervisor, TaskDied
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics, StreamingMetrics
from tests.ports import free_port
from tests.unit.streaming.gateways import Served


@asynccontextmanager
async def serving(
    config: StreamingConfig | None = None,
    log: EventLog | None = None,
    *,
    port: int = 0,
    verifier: Verifier | None = None,
    endpoints: list[Endpoint] | None = None,
) -> AsyncIterator[Served]:
    """`port`: that of an earlier life. `endpoints` is given the endpoint, for tests that look inside."""
    config, registry, deaths = config or StreamingConfig(), CollectorRegistry(), list[TaskDied]()
    used = log or MemoryLog()
    if log is None:
        await used.open()
    supervisor, clock = Supervisor(deaths.append), SystemClock()
    metrics = StreamingMetrics(registry, clock)
    chance = random.Random(1)
    gateway = Gateway(config, used, clock=clock, metrics=metrics, spawn=supervisor.spawn, random=chance)
    endpoint = Endpoint(
        config.centrifuge,
        used,
        gateway.hub,
        clock=clock,
        spawn=supervisor.spawn,
        random=chance,
        version="test",
        read_json=read,
        verifier=verifier,
    )
    if endpoints is not None:
        endpoints.append(endpoint)
    policy = Policy.of(SecurityConfig())
    app = build_app(
        routes(endpoint, gateway, budget=BodyBudget()), policy=lambda: policy, metrics=ServiceMetrics(registry)
    )
    listener = Listener(app, "127.0.0.1", port or free_port(), name="test", drain=0.1)
    await gateway.start()
    endpoint.start()
    await listener.start()
    try:
        yield Served(gateway, used, listener.address[1], registry, deaths)
    finally:
        await endpoint.stop()
        await gateway.stop(1.0)
        await listener.stop(5.0)
        await supervisor.stop()
        assert deaths == []
