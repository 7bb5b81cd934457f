"""Data streaming as the seed describes it: its configuration, and one event on exactly the channels that carry it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import msgspec
import pytest

from hxp_enterprise_llm.config.loader import load
from hxp_enterprise_llm.config.streaming import StreamingConfig, default_channels
from hxp_enterprise_llm.event.model import TypePatterns
from tests.unit.streaming.gateways import serving

SEED = Path(__file__).parents[1] / "data" / "seed003" / "data-streaming-api.yaml"


@pytest.fixture(scope="module")
def seed() -> StreamingConfig:
    return load(StreamingConfig, SEED, {}).config


def test_the_defaults_are_those_of_the_seed(seed):
    """What the seed's YAML says stands in the types too, but for where to listen and whom to ask."""
    ours, theirs = msgspec.to_builtins(StreamingConfig()), msgspec.to_builtins(seed)
    for config in (ours, theirs):
        config["service"].pop("host")
        config["service"].pop("workers")
        config.pop("monitoring")
    assert ours == theirs


def test_every_name_in_the_seed_is_a_channel(seed):
    """Channels, streams and high-frequency streams can all be had."""
    names = seed.websocket.channels + seed.sse.streams + seed.high_frequency_streams.streams
    assert set(names) <= set(seed.all_channels())
    assert len(names) == 12


ONE_OF_EACH = [
    "analytics.snapshot",
    "alert.firing",
    "notification.message",
    "business.metric",
    "llm.request.completed",
    "llm.request.failed",
    "agent.started",
    "tool.call.completed",
    "memory.tier.access",
    "knowledge.miss",
    "cost.recorded",
    "host.cpu",
    "dashboard.refreshed",
    "something.else",
]


@pytest.mark.parametrize("channel", sorted(default_channels()))
async def test_an_event_is_on_exactly_the_channels_that_carry_its_type(channel):
    """One event of each kind: a WebSocket and an SSE client get those that the channel's patterns name, in order."""
    patterns = TypePatterns(default_channels()[channel].types)
    wanted = [type for type in ONE_OF_EACH if patterns.matches(type)]
    async with serving() as served, aiohttp.ClientSession() as session:
        await served.publish(*ONE_OF_EACH)
        async with (
            session.ws_connect(served.ws(f"/ws/{channel}?after=0")) as web_socket,
            session.get(served.http(f"/sse/{channel}?after=0")) as stream,
            asyncio.timeout(10),
        ):
            by_web_socket = [(await web_socket.receive_json())["type"] for _ in wanted]
            by_sse = []
            while len(by_sse) < len(wanted):
                line = await stream.content.readline()
                if line.startswith(b"data: "):
                    by_sse.append(msgspec.json.decode(line[6:])["type"])
    assert by_web_socket == by_sse == wanted
