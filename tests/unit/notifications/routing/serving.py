"""A running engine and its routes, by real HTTP."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.event.notifications.api import routes
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics
from tests.unit.notifications.engines import Bench
from tests.unit.notifications.routing.ways import settings
from tests.unit.notifications.support import RecordingChannel


def configured(**parts: Any) -> NotificationsConfig:
    """The usual rule, and what a test is about."""
    rule = {"name": "critical_alert", "condition": "error_rate > 0.2", "channel": "slack", "priority": "critical"}
    return settings(**({"notification_rules": [rule]} | parts))


class Http:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self.url = session, url

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        async with self._session.request(method, path, json=body) as answer:
            content = await answer.read()
            assert answer.status == status, content
            return await answer.json() if content else None

    async def get(self, path: str, status: int = 200) -> Any:
        return await self.ask("GET", path, status=status)

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        return await self.ask("POST", path, body, status)


@asynccontextmanager
async def serving(bench: Bench):
    """The engine of a bench, running, with its routes."""
    policy = Policy.of(SecurityConfig())
    table = routes(bench.engine, clock=bench.clock, budget=BodyBudget())
    app = build_app(table, policy=lambda: policy, metrics=ServiceMetrics(CollectorRegistry()))
    listener = Listener(app, "127.0.0.1", 0, name="test")
    await listener.start()
    host, port = listener.address[:2]
    url = f"http://{host}:{port}"
    try:
        async with bench.running(), aiohttp.ClientSession(url) as session:
            yield Http(session, url)
    finally:
        await listener.stop(1)


def with_mail(bench: Bench) -> RecordingChannel:
    """Make the e-mail of a bench ready, and answer it."""
    bench.email.readiness = bench.slack.readiness
    bench.email.targets = ("ops@x",)
    return bench.email
