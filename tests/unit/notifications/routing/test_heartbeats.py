"""Signs of life: sent while all is well, withheld when nobody could be told anything."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.unit.notifications.engines import Bench
from tests.unit.notifications.routing.serving import configured
from tests.unit.notifications.support import until


@asynccontextmanager
async def switch(status: int = 200):
    """A dead man's switch; answers its URL and the methods that it was asked with."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.method)
        return web.Response(status=status, headers={"Location": "/"} if status == 302 else {})

    app = web.Application()
    app.router.add_route("*", "/beat", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/beat", asked
    await runner.cleanup()


async def results(bench: Bench, result: str, least: float = 1) -> None:
    metric = bench.metrics.routing.heartbeats.labels("deadman", result)

    async def reached() -> bool:
        return metric._value.get() >= least

    await until(reached)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_url_is_asked(tmp_path: Path, method: str) -> None:
    async with switch() as (url, asked):
        bench = Bench(tmp_path, configured(heartbeats={"deadman": {"url": url, "method": method}}))
        async with bench.running():
            await results(bench, "sent")
        assert asked == [method]


@pytest.mark.parametrize("status", [500, 302])
async def test_a_switch_that_refuses_is_counted(tmp_path: Path, status: int) -> None:
    async with switch(status) as (url, asked):
        bench = Bench(tmp_path, configured(heartbeats={"deadman": {"url": url}}))
        async with bench.running():
            await results(bench, "failed")
        assert len(asked) == 1


async def test_a_receiver_is_told_that_the_watchdog_fires_again_and_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, configured(heartbeats={"deadman": {"receiver": "team", "every": "1s"}}))
    async with bench.running():
        first = (await bench.slack.accepted.get()).notification
        bench.clock.advance(1)
        second = (await bench.slack.accepted.get()).notification
    assert [(each.title, each.kind, each.thread) for each in (first, second)] == [
        ("Watchdog", "firing", "heartbeat-deadman")
    ] * 2
    assert first.id != second.id


async def test_a_sick_engine_gives_no_sign_of_life(tmp_path: Path) -> None:
    bench = Bench(tmp_path, configured())

    async def sick() -> bool:
        return bench.engine.health().status == "degraded"

    async with bench.running():
        await bench.tick(error_rate=0.0)
        await bench.log.close()
        await until(sick)
        beat: dict[str, Any] = {"deadman": {"receiver": "team"}}
        bench.engine.prepare(configured(heartbeats=beat))()
        await results(bench, "withheld")
        assert bench.slack.attempts.empty()
