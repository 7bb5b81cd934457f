"""Real WebSocket clients against a real gateway."""

from __future__ import annotations

import asyncio
import json

from websockets.asyncio.client import connect

from tests.unit.streaming.gateways import serving


async def test_a_client_gets_what_is_published_after_it_came() -> None:
    async with serving() as served:
        await served.publish("host.cpu")
        async with connect(served.ws("/ws/events")) as client:
            offsets = await served.publish("host.cpu", "llm.request.completed")
            first, second = [json.loads(await client.recv()) for _ in range(2)]
        assert [first["offset"], second["offset"]] == offsets
        assert list(first)[:3] == ["offset", "epoch", "specversion"]
        assert first["epoch"] == served.gateway.hub.position.epoch
        assert second["type"] == "llm.request.completed"
