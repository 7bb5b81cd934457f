"""Every path, name and answer of the seed (003) against the running program."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
import pytest_asyncio

from tests.integration.daemon import embedded_settings, running, url

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def program(tmp_path_factory):
    """One for all: no test here minds what another one sent."""
    async with running(embedded_settings(tmp_path_factory.mktemp("program"))) as orchestrator:
        yield orchestrator


@pytest_asyncio.fixture(loop_scope="module")
async def session():
    async with aiohttp.ClientSession() as client:
        yield client


async def get(session, address, status=200):
    async with session.get(address) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_health(program, session):
    """The three keys of the seed, with its values."""
    health = await get(session, url(program, "streaming") + "/health")
    assert list(health)[:3] == ["status", "service", "timestamp"]
    assert (health["status"], health["service"]) == ("healthy", "data-streaming-api")
    assert (await get(session, url(program, "processing") + "/health"))["service"] == "event-processing"


async def test_streams(program, session):
    """`streams` holds exactly the seed's four."""
    answer = await get(session, url(program, "streaming") + "/streams")
    assert answer["streams"] == ["metrics_updates", "system_alerts", "business_events", "performance_data"]
    assert answer["sse"] == ["real_time_metrics", "system_status", "business_analytics", "operational_data"]


CHANNELS = ["metrics_updates", "system_alerts", "business_events", "performance_data"]
STREAMS = ["real_time_metrics", "system_status", "business_analytics", "operational_data"]
OF_CHANNEL = {
    "metrics_updates": "analytics.snapshot",
    "system_alerts": "notification.message",
    "business_events": "llm.request.completed",
    "performance_data": "host.cpu",
    "real_time_metrics": "analytics.snapshot",
    "system_status": "host.memory",
    "business_analytics": "business.metric",
    "operational_data": "host.cpu",
}


async def provoke(program, session) -> None:
    """One event of each kind that does not come by itself."""
    events = [
        {"type": "llm.request.completed", "data": {"model": "m", "latency_ms": 12.5}},
        {"type": "business.metric", "data": {"name": "signups", "value": 3}},
    ]
    async with session.post(url(program, "processing") + "/events", json=events) as answer:
        assert answer.status == 202, await answer.text()
    message = {"type": "test", "message": "Test notification", "channel": "websocket"}
    async with session.post(url(program, "streaming") + "/notifications/send", json=message) as answer:
        assert answer.status == 202, await answer.text()


@pytest.mark.parametrize("channel", CHANNELS + STREAMS)
async def test_websocket_shows_live_events(program, session, channel):
    """`wscat -c ws://…/ws/CHANNEL`: readable JSON, one event a message."""
    address = url(program, "streaming") + f"/ws/{channel}"
    async with session.ws_connect(address) as socket, asyncio.timeout(30):
        await provoke(program, session)
        while (event := await socket.receive_json())["type"] != OF_CHANNEL[channel]:
            pass
    assert event["offset"] > 0
    assert event["epoch"]
    assert event["data"]


@pytest.mark.parametrize("stream", STREAMS + CHANNELS)
async def test_sse_shows_live_events(program, session, stream):
    """`curl -N http://…/sse/STREAM`: id and data of one event each."""
    async with session.get(url(program, "streaming") + f"/sse/{stream}") as answer, asyncio.timeout(30):
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        await provoke(program, session)
        async for line in answer.content:
            if line.startswith(b"data:") and f'"type":"{OF_CHANNEL[stream]}"'.encode() in line:
                break


async def test_analytics(program, session):
    """The seed's three metrics stand in the snapshot."""
    analytics = await get(session, url(program, "processing") + "/analytics")
    assert {"error_rate", "latency", "throughput"} <= set(analytics["metrics"])


async def test_notifications(program, session):
    """Status, channels, and a message sent by hand."""
    base = url(program, "streaming")
    status = await get(session, base + "/notifications/status")
    assert list(status)[:2] == ["notifications_enabled", "delivery_channels"]
    assert status["notifications_enabled"] is True
    assert status["delivery_channels"] == ["websocket", "sse"]
    assert [rule["name"] for rule in status["rules"]] == ["critical_alert", "performance_warning", "system_info"]
    channels = await get(session, base + "/notifications/channels")
    assert [c["name"] for c in channels["channels"]] == ["websocket", "sse", "email", "slack"]


async def test_dashboards(program, session):
    """Data, status, refresh, and the pages on their own ports."""
    base = url(program, "streaming")
    data = await get(session, base + "/dashboards/operational_overview/data")
    assert data["dashboard"] == "operational_overview"
    assert data["panels"]
    assert (await get(session, base + "/dashboards/status"))["dashboards"]
    async with session.post(base + "/dashboards/refresh") as answer:
        assert answer.status in (200, 202)
    for name in ("operational_overview", "business_intelligence", "performance_metrics"):
        async with session.get(url(program, name) + "/") as page:
            assert page.status == 200
            assert "text/html" in page.headers["Content-Type"]


async def test_high_frequency(program, session):
    """All four high-frequency streams answer with their latest events."""
    base = url(program, "streaming")
    for name in ("system_metrics", "performance_data", "real_time_analytics", "operational_events"):
        answer = await get(session, f"{base}/streams/high_frequency/{name}")
        assert answer["stream"] == name


async def test_status_pages(program, session):
    """What the runbooks ask for."""
    base = url(program, "streaming")
    assert (await get(session, base + "/websocket/status"))["enabled"] is True
    assert (await get(session, base + "/streams/status"))["channels"]


async def test_metrics(program, session):
    """The seed's names are on the page."""
    async with session.get(url(program, "streaming") + "/metrics") as answer:
        page = await answer.text()
    for name in (
        "data_streaming_latency_seconds",
        "dashboard_update_interval_seconds",
        "streaming_connections_total",
        "websocket_connections_total",
        "sse_connections_total",
        "notification_delivery_total",
    ):
        assert f"\n{name}" in page, name
