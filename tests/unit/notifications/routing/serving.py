"""A running engine and its routes, by real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.api import routes
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.listener import Listener
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics
from tests.unit.notifications.engines import Bench
from tests.unit.notifications.routing.ways import settings
from tests.unit.notifications.support import NOW, RecordingChannel


def configured(**parts: Any) -> NotificationsConfig:
    """The usual rule, and what a test is about."""
    rule = {"name": "critical_alert", "condition": "error_rate > 0.2", "channel": "slack", "priority": "critical"}
    return settings(**({"notification_rules": [rule]} | parts))


def webhook(*alerts: dict[str, Any]) -> dict[str, Any]:
    """Alertmanager's, version 4."""
    return {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "us", "alerts": list(alerts)}


def disk(status: str = "firing", **more: Any) -> dict[str, Any]:
    """An alert from outside."""
    return {
        "status": status,
        "labels": {"alertname": "DiskFull", "severity": "critical", "node": "n1"},
        "annotations": {"summary": "n1 is full"},
        "startsAt": rfc3339(NOW - 60),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "javascript:alert(1)",
        "fingerprint": "aaaa",
        **more,
    }


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
async def listening(bench: Bench) -> AsyncIterator[str]:
    """The routes of a bench's engine; where they are."""
    policy = Policy.of(SecurityConfig())
    table = routes(bench.engine, clock=bench.clock, budget=BodyBudget())
    app = build_app(table, policy=lambda: policy, metrics=ServiceMetrics(CollectorRegistry()))
    listener = Listener(app, "127.0.0.1", 0, name="test")
    await listener.start()
    host, port = listener.address[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await listener.stop(1)


@asynccontextmanager
async def serving(bench: Bench) -> AsyncIterator[Http]:
    """The engine of a bench, running, with its routes."""
    async with listening(bench) as url, bench.running(), aiohttp.ClientSession(url) as session:
        yield Http(session, url)


def with_mail(bench: Bench) -> RecordingChannel:
    """Make the e-mail of a bench ready, and answer it."""
    bench.email.readiness = bench.slack.readiness
    bench.email.targets = ("ops@x",)
    return bench.email
