"""Lists and states of the streams."""

from __future__ import annotations

from typing import Any

import aiohttp

from hxp_enterprise_llm.config.streaming import HighFrequencyConfig, SseConfig, StreamingConfig
from tests.unit.streaming.gateways import numbers, read_sse, serving, until


async def test_streams_begins_with_the_four_websocket_channels() -> None:
    async with serving() as served:
        status, _, body = await served.get("/streams")
        assert status == 200
        assert list(body) == ["streams", "sse", "high_frequency", "channels"]
        assert body["streams"] == ["metrics_updates", "system_alerts", "business_events", "performance_data"]
        assert body["sse"][0] == "real_time_metrics"
        assert body["high_frequency"][0] == "system_metrics"
        assert body["channels"]["events"] == {"types": ["*"], "description": "Everything, in the order of the log"}


async def test_every_listed_name_is_a_channel() -> None:
    async with serving() as served:
        _, _, body = await served.get("/streams")
        listed = {*body["streams"], *body["sse"], *body["high_frequency"]}
        assert listed <= set(body["channels"])


def channel_rate(body: dict[str, Any], name: str) -> float:
    rate: float = body["channels"][name]["messages_per_second"]
    return rate


async def test_status_counts_subscribers_messages_and_filters() -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        async with session.get(served.http("/sse/system_metrics?filter=data.n>0")) as answer:
            (offset,) = await served.publish("host.cpu")
            await read_sse(answer.content, 1)
            _, _, body = await served.get("/streams/status")
            assert (body["status"], body["reason"], body["offset"]) == ("ok", "", offset)
            assert (body["filtered_channels"], body["connections"]) == (1, {"websocket": 0, "sse": 1})
            assert (body["behind_head"], body["most_filtered_channels"]) == (0, 1000)
            assert body["max_connections"] == {"websocket": 200, "sse": 100}
            assert body["messages_per_second"] >= channel_rate(body, "system_metrics")
            channel = body["channels"]["system_metrics"]
            assert channel.pop("messages_per_second") >= 0
            assert channel.pop("ring_bytes") > 50
            assert channel == {
                "subscribers": 1,
                "behind": 0,
                "lag": 0,
                "ring_events": 1,
                "settled": offset,
                "messages": 1,
            }
            assert body["channels"]["metrics_updates"]["ring_events"] == 0
        delivered = served.sample("citadel_streaming_messages_delivered_total", channel="system_metrics")
        assert delivered == 1
        assert served.sample("citadel_streaming_sent_bytes_total") > 100
        assert served.sample("data_streaming_latency_seconds_count") == 1
        flow = {"channel": "system_metrics", "transport": "sse"}
        assert served.sample("citadel_streaming_channel_messages_total", **flow) == 1
        assert served.sample("citadel_streaming_channel_writes_total", **flow) == 1
        assert served.sample("citadel_streaming_channel_bytes_total", **flow) > 100


async def test_high_frequency_answers_the_latest_events() -> None:
    async with serving() as served:
        offsets = await served.publish(*["host.cpu"] * 12)
        await until(lambda: served.gateway.hub.position.offset == offsets[-1])
        status, _, body = await served.get("/streams/high_frequency/system_metrics")
        assert (status, body["stream"], body["update_rate"]) == (200, "system_metrics", 1)
        assert [event["offset"] for event in body["events"]] == offsets[2:]
        _, _, body = await served.get("/streams/high_frequency/system_metrics?last=1")
        assert [event["data"]["n"] for event in body["events"]] == [12]
        status, _, body = await served.get("/streams/high_frequency/system_metrics?last=5000")
        assert (status, body["error"]["message"]) == (400, "last: '5000' is not a number from 1 to 4,096")


async def test_high_frequency_answers_move_on_at_the_update_rate() -> None:
    url = "/streams/high_frequency/system_metrics?last=1"
    async with serving() as served:
        first = await served.publish("host.cpu")
        await until(lambda: served.gateway.hub.position.offset == first[-1])
        assert [event["offset"] for event in (await served.get(url))[2]["events"]] == first
        second = await served.publish("host.cpu")
        await until(lambda: served.gateway.hub.position.offset == second[-1])
        assert [event["offset"] for event in (await served.get(url))[2]["events"]] == first
        served.clock.advance(1.0)
        assert [event["offset"] for event in (await served.get(url))[2]["events"]] == second


async def test_high_frequency_answers_do_not_wait_for_what_memory_has_lost() -> None:
    config = StreamingConfig(high_frequency_streams=HighFrequencyConfig(buffer_size=2))
    async with serving(config) as served:
        for _ in range(2):
            offsets = await served.publish(*["host.cpu"] * 4)
            await until(lambda latest=offsets[-1]: served.gateway.hub.position.offset == latest)
            _, _, body = await served.get("/streams/high_frequency/system_metrics?last=2")
            assert [event["offset"] for event in body["events"]] == offsets[2:]


async def test_high_frequency_is_a_stream_for_who_accepts_one() -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        url, accept = served.http("/streams/high_frequency/system_metrics"), {"Accept": "text/event-stream"}
        async with session.get(url, headers=accept) as answer:
            await served.publish("host.cpu")
            assert numbers(await read_sse(answer.content, 1)) == [1]
        await until(lambda: served.open == 0)
        async with session.head(url, headers=accept) as answer:
            assert answer.status == 200
            assert answer.content_type == "text/event-stream"
        assert served.open == 0


async def test_unknown_and_disabled_high_frequency_streams() -> None:
    async with serving() as served:
        status, _, body = await served.get("/streams/high_frequency/system_metric")
        assert (status, body["error"]["hint"]) == (404, "Did you mean system_metrics?")
        status, _, body = await served.get("/streams/high_frequency/events")
        assert (status, body["error"]["code"]) == (404, "unknown_stream")
    config = StreamingConfig(high_frequency_streams=HighFrequencyConfig(enabled=False))
    async with serving(config) as served:
        status, _, body = await served.get("/streams/high_frequency/system_metrics")
        assert (status, body["error"]["code"]) == (404, "disabled")


async def test_websocket_status() -> None:
    async with serving(StreamingConfig(sse=SseConfig(enabled=False))) as served, aiohttp.ClientSession() as session:
        async with session.ws_connect(served.ws("/ws/events")):
            _, _, body = await served.get("/websocket/status")
        assert body.pop("messages_per_second") == 0
        assert body == {
            "enabled": True,
            "connections": 1,
            "max_connections": 200,
            "behind": 0,
            "lag": 0,
            "heartbeat_interval": 30,
            "message_size_limit": 1048576,
            "channels": {"events": 1},
        }
