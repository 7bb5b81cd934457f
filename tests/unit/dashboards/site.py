"""A small real service for tests: the dashboards' routes behind the real edge, and event streams out of a log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.dashboards.api import routes
from hxp_enterprise_llm.event.dashboards.prometheus import Prometheus
from hxp_enterprise_llm.event.dashboards.service import Dashboards
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.model import Offset, parse_patterns
from hxp_enterprise_llm.runtime.clock import Clock, SystemClock
from hxp_enterprise_llm.security.edge import build_app, ends_with_service
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import DashboardMetrics, ServiceMetrics
from tests.unit.dashboards.support import config


class Site(NamedTuple):
    """What is served."""

    log: MemoryLog
    dashboards: Dashboards
    port: int
    ports: dict[int, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Streams:
    """`/sse/events?after=&type=&page=` as the gateway has it."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self.refuse = False

    async def events(self, request: web.Request) -> web.StreamResponse:
        if self.refuse:
            return web.Response(status=503)
        epoch, _, after = request.query["after"].partition(".")
        # Without it a page does not count as one.
        assert request.query["page"]
        patterns = parse_patterns(request.query["type"].split(","))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        with ends_with_service(request):
            await response.prepare(request)
            await response.write(b"retry: 5000\n\n")
            async for batch in self._log.follow(Offset(int(after)), types=patterns, epoch=epoch):
                for event in batch.events:
                    head = b'{"offset":%d,"epoch":"%s",' % (event.offset, epoch.encode())
                    chunk = b"id: %s.%d\ndata: %s%s\n\n" % (epoch.encode(), event.offset, head, event.raw[1:])
                    await response.write(chunk)
        return response


@asynccontextmanager
async def serving(
    *,
    settings: StreamingConfig | None = None,
    log: MemoryLog | None = None,
    clock: Clock | None = None,
    port: int = 0,
    running: bool = True,
    patience: float = 5.0,
    prometheus: str = "",
) -> AsyncIterator[Site]:
    """The service on a free port of loopback; `running`: it follows the log and refreshes by itself."""
    log = log or MemoryLog()
    clock = clock or SystemClock()
    await log.open()
    registry = CollectorRegistry()
    settings = settings or config()
    asked = Prometheus(prometheus, Egress(), clock=clock) if prometheus else None
    dashboards = Dashboards(settings, log, clock=clock, metrics=DashboardMetrics(registry), prometheus=asked)
    ports: dict[int, str] = {}
    stream = Route("GET", "/sse/events", Streams(log).events, "read", "Events as they come", upgrade="sse")
    policy = Policy.of(SecurityConfig())
    app = build_app(
        [*routes(dashboards, node="citadel-1", ports=ports, patience=patience), stream],
        policy=lambda: policy,
        metrics=ServiceMetrics(registry),
    )
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0, auto_decompress=False)
    await runner.setup()
    task = asyncio.create_task(dashboards.run()) if running else None
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield Site(log, dashboards, runner.addresses[0][1], ports)
    finally:
        await runner.cleanup()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
