"""Where subscribers stand: on the status pages and on the page of metrics, as the same numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.event.log.model import LogUnavailable
from hxp_enterprise_llm.event.model import TypePatterns
from hxp_enterprise_llm.event.streaming.channel import Channel, Options, Position
from hxp_enterprise_llm.event.streaming.figures import figures, lag
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.channels import ChannelFigures
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics
from tests.unit.streaming.gateways import read_sse, serving, until
from tests.unit.streaming.test_subscription import Scene


class Reader:
    """A subscriber that stands where the test puts it."""

    def __init__(self, cursor: int) -> None:
        self.cursor, self.live = cursor, False


@pytest.fixture
def channel() -> Iterator[Channel]:
    loop = asyncio.new_event_loop()
    position = Position()
    position.offset = 100
    yield Channel(
        "all", TypePatterns(["*"]), position=position, options=Options(), scheduler=loop, written=lambda *_: None
    )
    loop.close()


def test_the_slowest_of_a_family_is_its_lag(channel: Channel) -> None:
    assert figures("all", [channel]) == ChannelFigures("all", 0, 0, 0)
    channel.subscribers |= {Reader(40), Reader(90)}
    assert figures("all", [channel]) == ChannelFigures("all", 2, 2, 60)


def test_who_is_ahead_of_the_hub_has_no_lag(channel: Channel) -> None:
    channel.subscribers.add(Reader(140))
    assert lag(channel) == 0


async def test_a_quiet_live_subscriber_has_no_lag() -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        async with session.get(served.http("/sse/system_alerts")):
            await served.publish(*["host.cpu"] * 20)
            await until(lambda: served.gateway.hub.position.offset == 20)
            label = {"channel": "system_alerts"}
            assert served.sample("citadel_streaming_subscriptions", **label) == 1
            assert served.sample("citadel_streaming_subscriptions_behind", **label) == 0
            assert served.sample("citadel_streaming_channel_lag_events", **label) == 0
            _, _, body = await served.get("/streams/status")
            assert body["channels"]["system_alerts"]["lag"] == 0
        await until(lambda: served.open == 0)
        assert served.sample("citadel_streaming_subscriptions", **label) == 0


async def test_filters_in_use_and_their_limit_are_gauges_and_no_label() -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        async with session.get(served.http("/sse/events?filter=data.n>3")):
            assert served.sample("citadel_streaming_filters") == 1
            assert served.sample("citadel_streaming_filters_limit") == 1000
            assert served.sample("citadel_streaming_subscriptions", channel="events") == 1
        await until(lambda: served.open == 0)
        assert served.sample("citadel_streaming_filters") == 0


async def test_a_client_that_comes_back_is_counted_with_what_it_is_given() -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        await served.publish(*["host.cpu"] * 5)
        await until(lambda: served.gateway.hub.position.offset == 5)
        epoch = served.gateway.hub.position.epoch
        async with session.get(served.http(f"/sse/events?after={epoch}.2")) as answer:
            await read_sse(answer.content, 3)
            assert served.sample("citadel_streaming_recoveries_total", recovered="yes") == 1
            assert served.sample("citadel_streaming_recovered_messages_total") == 3
        async with session.get(served.http(f"/sse/events?after={epoch}.2000")) as answer:
            await until(lambda: served.sample("citadel_streaming_recoveries_total", recovered="no") == 1)
        async with session.get(served.http("/sse/events?last=2")) as answer:
            await read_sse(answer.content, 2)
        assert served.sample("citadel_streaming_recoveries_total", recovered="yes") == 1
        flow = {"channel": "events", "transport": "sse"}
        assert served.sample("citadel_streaming_channel_messages_total", **flow) == 5
        assert served.sample("citadel_streaming_channel_writes_total", **flow) == 2


async def test_a_read_that_fails_is_counted() -> None:
    scene = Scene()
    scene.log.script.append(LogUnavailable("away", maybe_stored=False))
    subscription = await scene.connect(2)
    await until(lambda: subscription.live)
    counted = subscription._services.metrics.errors.labels("catch_up")
    assert counted._value.get() == 1


def test_flows_are_looked_up_once_and_bounded_by_the_channels() -> None:
    registry = CollectorRegistry()
    metrics = StreamingMetrics(registry, SystemClock())
    for _ in range(3):
        metrics.sent("events", "sse", 10, 2, 500)
    flow = {"channel": "events", "transport": "sse"}
    values = [
        registry.get_sample_value(f"citadel_streaming_channel_{name}_total", flow)
        for name in ("messages", "writes", "bytes")
    ]
    assert values == [30, 6, 1500]
