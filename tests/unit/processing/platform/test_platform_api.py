"""GET /api/v2/… on a real server, and by way of a gateway in another process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.event.processing.platform.api import routes
from hxp_enterprise_llm.event.processing.platform.days import hour_name
from hxp_enterprise_llm.event.processing.platform.engine import PlatformEngine
from hxp_enterprise_llm.event.processing.platform.keeping import StateFile
from hxp_enterprise_llm.event.streaming.relay import Relay
from hxp_enterprise_llm.event.views import PLATFORM_VIEWS
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics
from hxp_enterprise_llm.telemetry.platform_metrics import PlatformMetrics

from ..events import NOW, event
from ..virtual import VirtualClock, opened, until
from .test_platform_engine import CONFIG, NO_PRICES


@asynccontextmanager
async def served(path: Path, *, whole: bool = True) -> AsyncIterator[TestClient[Any, Any]]:
    clock = VirtualClock()
    log = await opened(clock)
    await log.append([event(1, "memory.tier.access", NOW, tier="redis", hit=True, agent="a")])
    metrics = PlatformMetrics(CollectorRegistry())
    engine = PlatformEngine(
        CONFIG, log, StateFile(path / "state"), clock=clock, metrics=metrics, prices=NO_PRICES, sleep=clock.sleep
    )
    app = build_app(
        routes(engine), policy=lambda: Policy.of(SecurityConfig()), metrics=ServiceMetrics(CollectorRegistry())
    )
    task = asyncio.create_task(engine.run_follow())
    try:
        if whole:
            await until(lambda: engine.ready)
        else:
            task.cancel()
        async with TestClient(TestServer(app)) as client:
            yield client
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await engine.close()


@pytest.mark.parametrize("view", PLATFORM_VIEWS, ids=lambda view: view.path)
async def test_each_view_answers(tmp_path: Path, view: Any) -> None:
    async with served(tmp_path) as client:
        answer = await client.get(view.path)
        assert answer.status == 200
        assert isinstance(await answer.json(), dict)
        wrong = await client.get(view.path, params={"windw": "1"})
        assert wrong.status == 400
        assert (await wrong.json())["error"]["message"] == f"'windw' is no parameter of {view.path}"


async def test_the_window_is_in_hours(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        body = await (await client.get("/api/v2/memory/tier-stats", params={"window_hours": "7"})).json()
        assert (body["window_hours"], body["tier_hit_rates"]["redis"]) == (7, 1.0)
        for wrong in ("0", "169", "-1", "x", "1.5", "", "²"):
            answer = await client.get("/api/v2/memory/tier-stats", params={"window_hours": wrong})
            assert answer.status == 400
            error = (await answer.json())["error"]
            assert error["code"] == "bad_window"
            assert error["message"] == f"window_hours: {wrong!r} is no number of hours from 1 to 168"


async def test_the_tiers_of_a_time_that_is_over_are_those_of_its_whole_hours(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        get = partial(client.get, "/api/v2/memory/tier-stats")
        hour = int(NOW) // 3600 * 3600
        found = await (await get(params={"from": str(hour + 60), "to": str(hour + 120)})).json()
        whole = hour_name(hour // 3600), hour_name(hour // 3600 + 1)
        assert (found["window_hours"], found["from"], found["to"]) == (1, *whole)
        assert found["tier_hit_rates"]["redis"] == 1.0
        before = await (await get(params={"from": str(hour - 7200), "to": str(hour)})).json()
        assert (before["window_hours"], before["answered"], before["flow"]) == (2, 0, [])
        both = await get(params={"from": "-6h", "window_hours": "3"})
        assert (both.status, (await both.json())["error"]["code"]) == (400, "bad_parameter")
        assert (await get(params={"to": "soon"})).status == 400


async def test_until_the_state_is_whole_it_says_so(tmp_path: Path) -> None:
    async with served(tmp_path, whole=False) as client:
        answer = await client.get("/api/v2/tokens")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        assert (await answer.json())["error"]["code"] == "platform_rebuilding"


async def test_a_gateway_elsewhere_gives_the_same_answers(tmp_path: Path) -> None:
    async with served(tmp_path) as client, aiohttp.ClientSession() as session:
        app = build_app(
            Relay(str(client.make_url("")), session).routes(PLATFORM_VIEWS),
            policy=lambda: Policy.of(SecurityConfig()),
            metrics=ServiceMetrics(CollectorRegistry()),
        )
        async with TestClient(TestServer(app)) as front:
            for path in ("/api/v2/agents", "/api/v2/memory/tier-stats?window_hours=3", "/api/v2/tokens?x=1"):
                mine, theirs = await client.get(path), await front.get(path)
                assert (theirs.status, await theirs.json()) == (mine.status, await mine.json()), path
