"""GET /analytics on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.event.processing.api import routes
from hxp_enterprise_llm.event.processing.engine import AnalyticsEngine
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics

from .events import event
from .virtual import VirtualClock, engine_of, opened


@asynccontextmanager
async def served(engine: AnalyticsEngine) -> AsyncIterator[TestClient[Any, Any]]:
    app = build_app(
        routes(engine),
        policy=lambda: Policy.of(SecurityConfig()),
        metrics=ServiceMetrics(CollectorRegistry()),
    )
    async with TestClient(TestServer(app)) as client:
        yield client


async def engine_with_a_failure() -> AnalyticsEngine:
    clock = VirtualClock()
    log = await opened(clock)
    await log.append([event(1, "llm.request.failed", latency_ms=12), event(2, "llm.request.completed")])
    engine = engine_of(log, clock)
    await engine.rebuild()
    return engine


async def test_the_snapshot_as_it_is_now() -> None:
    async with served(await engine_with_a_failure()) as client:
        answer = await client.get("/analytics")
        body = await answer.json()
    assert answer.status == 200
    assert next(iter(body)) == "service"
    assert body["service"] == "event-processing"
    assert body["metrics"]["error_rate"] == 0.5
    assert body["metrics"]["latency"] == 12
    assert body["metrics"]["memory_percent"] is None
    assert list(body["windows"]) == ["10s", "1m", "5m"]
    assert (body["events_total"], body["lag"], body["position"]) == (2, 0, 6)


async def test_one_window_alone() -> None:
    async with served(await engine_with_a_failure()) as client:
        body = await (await client.get("/analytics", params={"window": "5m"})).json()
    assert list(body["windows"]) == ["5m"]
    assert body["windows"]["5m"]["error_rate"] == 0.5


BAD = [
    (
        "window=2m",
        {
            "code": "unknown_window",
            "message": "window: '2m' is not computed",
            "hint": "ask for one of 10s, 1m, 5m; others go into analytics.windows",
            "allowed": ["10s", "1m", "5m"],
        },
    ),
    (
        "windw=1m",
        {
            "code": "unknown_parameter",
            "message": "'windw' is no parameter of /analytics",
            "hint": "it takes `window`",
            "allowed": ["window"],
        },
    ),
]


@pytest.mark.parametrize(("query", "error"), BAD)
async def test_a_bad_query_says_what_is_allowed(query: str, error: dict[str, Any]) -> None:
    async with served(await engine_with_a_failure()) as client:
        answer = await client.get(f"/analytics?{query}")
        assert answer.status == 400
        assert (await answer.json())["error"] == error


async def test_before_the_windows_are_filled_there_is_no_answer_that_looks_like_one() -> None:
    clock = VirtualClock()
    async with served(engine_of(await opened(clock), clock)) as client:
        answer = await client.get("/analytics")
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "2"
        assert (await answer.json())["error"]["code"] == "analytics_rebuilding"


async def test_reading_is_enough_to_ask() -> None:
    clock = VirtualClock()
    (route,) = routes(engine_of(await opened(clock), clock), service="other")
    assert (route.method, route.path, route.scope) == ("GET", "/analytics", "read")
