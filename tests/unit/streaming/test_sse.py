"""Real event-stream clients against a real gateway."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import msgspec
import pytest

from hxp_enterprise_llm.config.streaming import LiveDashboardConfig, SseConfig, StreamingConfig
from tests.unit.streaming.gateways import numbers, read_sse, serving, until


async def test_head_retry_and_first_position() -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        (offset,) = await served.publish("host.cpu")
        await until(lambda: served.gateway.hub.position.offset == offset)
        async with session.get(served.http("/sse/events")) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Accel-Buffering"] == "no"
            assert "Access-Control-Allow-Origin" not in answer.headers
            first = await answer.content.readuntil(b"\n\n")
            epoch = served.gateway.hub.position.epoch
            assert first.decode() == f"retry: 5000\nid: {epoch}.{offset}\n\n"


async def test_events_have_ids_and_resume_by_last_event_id() -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        async with session.get(served.http("/sse/real_time_metrics")) as answer:
            await served.publish("host.cpu", "analytics.snapshot", "analytics.snapshot")
            first, second = await read_sse(answer.content, 2)
            assert numbers([first, second]) == [2, 3]
            event = json.loads(first["data"])
            assert first["id"] == f"{event['epoch']}.{event['offset']}"
        # The browser repeats the address with the header: the header wins.
        headers = {"Last-Event-ID": first["id"]}
        async with session.get(served.http("/sse/real_time_metrics?last=9"), headers=headers) as answer:
            assert numbers(await read_sse(answer.content, 1)) == [3]
        async with session.get(served.http(f"/sse/real_time_metrics?lastEventId={first['id']}")) as answer:
            assert numbers(await read_sse(answer.content, 1)) == [3]


async def test_a_reset_carries_the_cursor_to_go_on_from() -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        await served.publish("host.cpu")
        async with session.get(served.http("/sse/events"), headers={"Last-Event-ID": "old.7"}) as answer:
            reset, event = await read_sse(answer.content, 2)
        epoch = served.gateway.hub.position.epoch
        assert (reset["event"], reset["id"]) == ("reset", f"{epoch}.0")
        assert json.loads(reset["data"]) == {
            "reason": "epoch_changed", "epoch": epoch, "first": 1, "head": 1, "after": 0,
        }  # fmt: skip
        assert numbers([event]) == [1]


async def test_keep_alive_comes_as_a_comment() -> None:
    async with (
        serving(StreamingConfig(sse=SseConfig(keep_alive_interval=0.05))) as served,
        aiohttp.ClientSession() as session,
        session.get(served.http("/sse/events")) as answer,
        asyncio.timeout(10),
    ):
        await answer.content.readuntil(b"\n\n")
        assert [await answer.content.readuntil(b"\n\n") for _ in range(2)] == [b": keep-alive\n\n"] * 2


async def test_one_more_than_the_limit_and_a_client_that_vanishes() -> None:
    async with serving(StreamingConfig(sse=SseConfig(max_connections=1))) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(f"GET /sse/events HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        status, headers, body = await served.get("/sse/events")
        assert (status, headers["Retry-After"]) == (503, "5")
        assert body["error"]["hint"] == "Try again in 5 seconds, or raise sse.max_connections."
        writer.transport.abort()
        await until(lambda: served.open == 0)
        assert served.sample("sse_connections_total") == 0
        assert served.gateway.hub.channels["events"].subscribers == set()


async def test_dashboard_pages_count_apart_within_the_limit() -> None:
    """One more page is refused while other clients are let in; a place is free again when a page is closed."""
    config = StreamingConfig(live_dashboard=LiveDashboardConfig(max_connections=1))
    async with serving(config) as served, aiohttp.ClientSession() as session:
        page = await session.get(served.http("/sse/events?page=system_health"))
        assert page.status == 200
        status, _, body = await served.get("/sse/events?page=system_health")
        assert (status, body["error"]["limit"]) == (503, 1)
        assert body["error"]["hint"] == "Try again in 5 seconds, or raise live_dashboard.max_connections."
        other = await session.get(served.http("/sse/events"))
        assert other.status == 200
        page.close()
        await until(lambda: served.open == 1)
        page = await session.get(served.http("/sse/events?page=system_health"))
        assert page.status == 200
        more = msgspec.structs.replace(config, live_dashboard=LiveDashboardConfig(max_connections=2))
        served.gateway.prepare(more)()
        second = await session.get(served.http("/sse/events?page=system_health"))
        assert second.status == 200
        for answer in (page, other, second):
            answer.close()


async def test_a_client_that_talks_too_much_is_cut_off() -> None:
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(f"GET /sse/events HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"x" * 100_000)
        await until(lambda: served.open == 0)
        writer.close()
        reason = {"transport": "sse", "reason": "protocol_error"}
        assert served.sample("citadel_streaming_connections_closed_total", **reason) == 1


async def test_a_request_with_a_body_is_refused() -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        async with session.get(served.http("/sse/events"), data=b"hello") as answer:
            assert answer.status in (400, 415)
        assert served.open == 0


async def test_unknown_stream_disabled_and_bad_parameter() -> None:
    async with serving() as served:
        status, _, body = await served.get("/sse/system_statsu")
        assert (status, body["error"]["hint"]) == (404, "Did you mean system_status?")
        status, _, body = await served.get("/sse/events?afer=1")
        assert (status, body["error"]["hint"]) == (400, "Did you mean after?")
    async with serving(StreamingConfig(sse=SseConfig(enabled=False))) as served:
        status, _, body = await served.get("/sse/events")
        assert (status, body["error"]["code"]) == (404, "disabled")


async def test_our_own_page_may_read_the_stream() -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        origin = {"Origin": f"http://127.0.0.1:{served.port}"}
        async with session.get(served.http("/sse/events"), headers=origin) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == origin["Origin"]
        async with session.get(served.http("/sse/events"), headers={"Origin": "http://evil.example"}) as answer:
            assert answer.status == 403
        await until(lambda: served.open == 0)


async def test_farewell_gives_a_later_retry_and_ends_the_stream() -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        async with session.get(served.http("/sse/events")) as answer:
            await answer.content.readuntil(b"\n\n")
            await served.gateway.stop(5.0)
            comment, retry = (await answer.content.read()).decode().strip().split("\n")
        assert comment == ": the server restarts"
        assert 5000 <= int(retry.removeprefix("retry: ")) < 10_000
        assert served.open == 0


@pytest.mark.parametrize("wait", ["earliest", "0"])
async def test_from_the_beginning(wait: str) -> None:
    async with serving() as served, aiohttp.ClientSession() as session:
        await served.publish(*["host.cpu"] * 3)
        async with session.get(served.http(f"/sse/events?after={wait}")) as answer:
            assert numbers(await read_sse(answer.content, 3)) == [1, 2, 3]
