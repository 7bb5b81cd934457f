"""A stop of the whole service while clients are connected: not ready first, polite refusals, every client told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import aiohttp
import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from hxp_enterprise_llm.event.streaming import leaving
from tests.integration.daemon import embedded_settings, running, url

DRAIN_SECONDS = 4.0
"""So long at least it takes until all are sent away: what is asked meanwhile must get its turn on a busy machine."""


async def test_the_service_is_not_ready_and_refuses_while_its_clients_are_sent_away(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(leaving, "LEAST_PER_SECOND", 0)
    settings = embedded_settings(tmp_path)
    assert settings.streaming is not None
    service = msgspec.structs.replace(settings.streaming.service, drain_seconds=DRAIN_SECONDS)
    settings = replace(settings, streaming=msgspec.structs.replace(settings.streaming, service=service))
    async with running(settings) as orchestrator:
        base = url(orchestrator, "streaming")
        address = base.replace("http", "ws") + "/ws/events"
        clients = [await connect(address) for _ in range(20)]
        async with aiohttp.ClientSession() as session:
            async with session.get(base + "/health/ready") as answer:
                assert answer.status == 200
            stop = asyncio.create_task(orchestrator.servers["streaming"].stop(30.0))
            await asyncio.sleep(0)
            async with session.get(base + "/health/ready") as answer:
                assert answer.status == 503
            async with session.get(base + "/sse/events") as answer:
                assert answer.status == 503
                assert answer.headers["Retry-After"] == "5"
                assert (await answer.json())["error"]["code"] == "stopping"
            await stop
        codes = []
        for client in clients:
            try:
                while True:
                    await client.recv()
            except ConnectionClosed as error:
                codes.append(error.rcvd.code if error.rcvd is not None else 0)
        assert codes == [1012] * 20
