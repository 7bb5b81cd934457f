"""The metrics page of the running program, with clients and events, read by promtool's lint and by the parsers."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families as parse

from tests.integration.daemon import Daemon

SEED_MISNAMED = {"streaming_connections_total", "websocket_connections_total", "sse_connections_total"}
EXPECTED = {
    "citadel_event_loop_lag_seconds",
    "citadel_streaming_channel_bytes",
    "citadel_streaming_channel_lag_events",
    "citadel_streaming_channel_messages",
    "citadel_streaming_channel_writes",
    "citadel_streaming_connections_limit",
    "citadel_streaming_delivery_duration_seconds",
    "citadel_streaming_errors",
    "citadel_streaming_filters",
    "citadel_streaming_filters_limit",
    "citadel_streaming_hub_lag_events",
    "citadel_streaming_recoveries",
    "citadel_streaming_recovered_messages",
    "citadel_streaming_subscriptions",
    "citadel_streaming_subscriptions_behind",
}


async def lint(page: bytes) -> set[str]:
    run = await asyncio.to_thread(
        subprocess.run, ["promtool", "check", "metrics"], input=page, capture_output=True, timeout=30, check=False
    )
    return set(run.stderr.decode().splitlines())


async def test_the_live_page_passes_the_lint_and_has_no_label_of_a_client(tmp_path: Path) -> None:
    async with Daemon(tmp_path) as daemon, aiohttp.ClientSession() as session:
        stream = await session.get(f"{daemon.gateway}/sse/events?filter=data.n%3E0&last=0")
        socket = await session.ws_connect(f"{daemon.gateway}/ws/events")
        events = [{"type": "demo.hello", "data": {"n": n}} for n in range(1, 6)]
        async with session.post(f"{daemon.events}/events", json=events) as answer:
            assert answer.status == 202
        async with asyncio.timeout(30):
            while "demo.hello" not in await socket.receive_str():
                pass
        async with session.get(f"{daemon.gateway}/metrics") as answer:
            page = await answer.read()
        stream.close()
        await socket.close()
    assert await lint(page) == {f'{name} non-counter metrics should not have "_total" suffix' for name in SEED_MISNAMED}
    families = {family.name: family for family in parse(page.decode())}
    assert families.keys() >= EXPECTED
    sent = families["citadel_streaming_channel_messages"].samples
    assert {sample.labels["channel"] for sample in sent} == {"events"}
    assert b"data.n" not in page
    assert b"127.0.0.1" not in page
