"""The seed's host: two services, its YAML and its `.env` as they stand, the gateway following over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.ports import free_port

SEED = Path(__file__).parents[1] / "data" / "seed003"


def seed_environment() -> dict[str, str]:
    """The seed's `.env`, read as systemd reads an EnvironmentFile."""
    text = next(SEED.glob("*.env")).read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", text, re.MULTILINE))


@asynccontextmanager
async def service(directory: Path, module: str, environ: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m MODULE` in a directory that has `config/services`, as the seed starts it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, cwd=directory, env={**os.environ, **environ}, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0


async def until(session: aiohttp.ClientSession, address: str, wanted) -> dict:
    """Ask until the answer is as wanted."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(address) as answer:
                    if wanted(body := await answer.json()):
                        return body
            await asyncio.sleep(0.05)


async def test_the_seed_as_it_stands(tmp_path):
    """The gateway may start first: it waits, says so, and serves as soon as event processing is there."""
    services = tmp_path / "config" / "services"
    services.mkdir(parents=True)
    (services / "data-streaming-api.yaml").write_bytes(next(SEED.glob("data-streaming-api.yaml")).read_bytes())
    processing, gateway = free_port(), free_port()
    environ = seed_environment() | {
        "DATA_STREAMING_API_PORT": str(gateway),
        "REAL_TIME_EVENT_PROCESSING_ENDPOINT": f"http://127.0.0.1:{processing}",
        "EVENT_PROCESSING_PORT": str(processing),
        "DATA_STREAMING_STATE_DIRECTORY": "state/gateway",
        "EVENT_PROCESSING_STATE_DIRECTORY": "state/processing",
    }
    base = f"http://127.0.0.1:{gateway}"
    async with (
        aiohttp.ClientSession() as session,
        service(tmp_path, "hxp_enterprise_llm.event.streaming.service", environ),
    ):
        waiting = await until(session, f"{base}/health", lambda body: "parts" in body)
        assert waiting["status"] == "degraded"
        assert "refuse" in waiting["parts"]["log"]["reason"] or "connect" in waiting["parts"]["log"]["reason"]
        async with session.get(f"{base}/sse/events") as answer:
            assert answer.status == 503

        async with service(tmp_path, "hxp_enterprise_llm.event.processing.service", environ):
            await until(session, f"{base}/health", lambda body: body["status"] == "healthy")
            async with session.ws_connect(f"{base}/ws/metrics_updates") as web_socket, asyncio.timeout(30):
                event = await web_socket.receive_json()
            assert event["type"] == "analytics.snapshot"
            async with session.get("http://127.0.0.1:8501/") as page:
                assert page.status == 200
                assert "text/html" in page.headers["Content-Type"]
            async with session.get(f"{base}/sources/status") as answer:
                sources = (await answer.json())["sources"]
            for name, status in [*((name, 202) for name in sources), ("nobody", 404)]:
                async with session.post(f"{base}/sources/{name}/retry") as answer:
                    assert answer.status == status, await answer.text()
            assert sources, "the seed's .env names a metrics server"
            async with session.get(f"{base}/api/v2/export/analytics?what=events&format=ndjson") as answer:
                assert "attachment" in answer.headers["Content-Disposition"]
                assert b"analytics.snapshot" in await answer.read()
            message = {"type": "test", "message": "Test notification", "channel": "websocket"}
            async with session.ws_connect(f"{base}/ws/system_alerts") as web_socket, asyncio.timeout(30):
                async with session.post(f"{base}/notifications/send", json=message) as answer:
                    assert answer.status == 202
                told = await web_socket.receive_json()
            assert told["data"]["message"] == "Test notification"


async def test_a_gateway_goes_on_after_event_processing_was_killed(tmp_path):
    """Its clients stay connected and get every event once, from before and after the kill."""
    processing, gateway = free_port(), free_port()
    environ = {
        "DATA_STREAMING_API_PORT": str(gateway),
        "REAL_TIME_EVENT_PROCESSING_ENDPOINT": f"http://127.0.0.1:{processing}",
        "EVENT_PROCESSING_PORT": str(processing),
        "DATA_STREAMING_STATE_DIRECTORY": "state/gateway",
        "EVENT_PROCESSING_STATE_DIRECTORY": "state/processing",
        "LIVE_DASHBOARD_ENABLED": "false",
    }
    base, events = f"http://127.0.0.1:{gateway}", f"http://127.0.0.1:{processing}/events"
    seen: list[int] = []
    async with (
        aiohttp.ClientSession() as session,
        service(tmp_path, "hxp_enterprise_llm.event.streaming.service", environ),
    ):
        first = await start(tmp_path, environ)
        await until(session, f"{base}/health", lambda body: body["status"] == "healthy")
        async with session.ws_connect(f"{base}/ws/events?type=bench.tick") as web_socket:
            await post(session, events, range(10))
            await read(web_socket, seen, 10)
            first.kill()
            await first.wait()
            second = await start(tmp_path, environ)
            await until(session, f"http://127.0.0.1:{processing}/health", lambda body: body["status"] == "healthy")
            await post(session, events, range(10, 20))
            await read(web_socket, seen, 20)
        second.terminate()
        assert await second.wait() == 0
    assert seen == list(range(20))


@asynccontextmanager
async def stranger(port: int) -> AsyncIterator[list[str]]:
    """Something else at the address of event processing: what it was asked for, and answered 404."""
    asked: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        return web.Response(status=404)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield asked
    finally:
        await runner.cleanup()


async def test_a_gateway_outlives_a_stranger_in_place_of_event_processing(tmp_path):
    """A proxy answers for what is away behind it: the gateway says so, and goes on once the log is there."""
    services = tmp_path / "config" / "services"
    services.mkdir(parents=True)
    (services / "data-streaming-api.yaml").write_text("live_dashboard: {ports: {}}\n")
    processing, gateway = free_port(), free_port()
    environ = {
        "DATA_STREAMING_API_PORT": str(gateway),
        "REAL_TIME_EVENT_PROCESSING_ENDPOINT": f"http://127.0.0.1:{processing}",
        "EVENT_PROCESSING_PORT": str(processing),
        "DATA_STREAMING_STATE_DIRECTORY": "state/gateway",
        "EVENT_PROCESSING_STATE_DIRECTORY": "state/processing",
    }
    base = f"http://127.0.0.1:{gateway}"
    async with (
        aiohttp.ClientSession() as session,
        service(tmp_path, "hxp_enterprise_llm.event.streaming.service", environ) as running,
    ):
        async with stranger(processing) as asked:
            waiting = await until(session, f"{base}/health", lambda body: "404" in body["parts"]["log"]["reason"])
            assert waiting["status"] == "degraded"
            async with asyncio.timeout(30):
                # Channels, dashboards, rules and the health each ask, and again.
                while asked.count("/events/bounds") < 16:
                    assert running.returncode is None
                    await until(session, f"{base}/health", lambda body: body["status"] == "degraded")
        async with service(tmp_path, "hxp_enterprise_llm.event.processing.service", environ):
            body = await until(session, f"{base}/health", lambda body: body["status"] == "healthy")
            assert body["parts"]["dashboards"]["status"] == "ok"


async def start(directory: Path, environ: dict[str, str]) -> asyncio.subprocess.Process:
    module = "hxp_enterprise_llm.event.processing.service"
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, cwd=directory, env={**os.environ, **environ}, stderr=asyncio.subprocess.DEVNULL
    )


async def post(session: aiohttp.ClientSession, address: str, numbers: range) -> None:
    batch = [{"type": "bench.tick", "data": {"seq": number}} for number in numbers]
    async with session.post(address, json=batch) as answer:
        assert answer.status == 202, await answer.text()


async def read(web_socket: aiohttp.ClientWebSocketResponse, seen: list[int], count: int) -> None:
    async with asyncio.timeout(30):
        while len(seen) < count:
            seen.append((await web_socket.receive_json())["data"]["seq"])
