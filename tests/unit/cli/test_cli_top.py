"""The picture of `hxp top`, and what it asks for."""

from __future__ import annotations

import io
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from rich.console import Console

from hxp_enterprise_llm.cli.top import page
from hxp_enterprise_llm.client import BadAnswer, Refused, Unreachable
from hxp_enterprise_llm.client.top import Alert, ChannelView, View, look

CHANNEL = {"subscribers": 1, "behind": 0, "lag": 0, "messages": 5, "messages_per_second": 0.5}
STREAMS = {
    "status": "ok",
    "reason": "",
    "epoch": "e",
    "offset": 7,
    "behind_head": 2,
    "messages_per_second": 0.5,
    "connections": {"websocket": 1},
    "max_connections": {"websocket": 200},
    "channels": {"events": CHANNEL},
}
RULES = [{"name": "slow", "state": "firing", "priority": "critical", "since": None}, {"name": "well", "state": "ok"}]
CPU = [{"type": "host.cpu", "data": {"percent": 12}}, {"type": "host.memory", "data": {"percent": 80}}]


async def looked(*, streams: Any = STREAMS, latest: tuple[int, Any] = (200, {"events": CPU})) -> View:
    app = web.Application()

    def answer(path: str, status: int, body: Any) -> None:
        async def handler(_: web.Request) -> web.Response:
            return web.json_response(body, status=status)

        app.router.add_get(path, handler)

    answer("/streams/status", 200, streams)
    answer("/notifications/status", 200, {"rules": RULES})
    answer("/streams/high_frequency/system_metrics", *latest)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        return await look(session, str(server.make_url("/")))


def shown(view: View, note: str = "") -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(page(view, note))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


async def test_one_look_puts_the_pages_together() -> None:
    view = await looked()
    assert (view.offset, view.head, view.cpu_percent) == (7, 9, 12.0)
    assert view.alerts == (Alert("slow", "firing", "critical", None),)
    assert view.channels["events"] == ChannelView(1, 0, 0, 5, 0.5)


@pytest.mark.parametrize(
    "latest",
    [
        (404, {"error": {"code": "disabled", "message": "off"}}),
        (200, {"events": []}),
        (200, {"events": [{"type": "host.cpu", "data": {"percent": "much"}}]}),
    ],
)
async def test_a_host_that_is_not_measured(latest: tuple[int, Any]) -> None:
    view = await looked(latest=latest)
    assert view.cpu_percent is None
    assert "host CPU not measured" in shown(view)


async def test_another_service_and_nobody() -> None:
    with pytest.raises(BadAnswer, match="does not answer as this service does"):
        await looked(streams={"hello": 1})
    async with aiohttp.ClientSession() as session:
        with pytest.raises(Unreachable, match="Connection refused"):
            await look(session, "http://127.0.0.1:1")
        with pytest.raises(Unreachable, match="this is no address"):
            await look(session, "http://:x")


async def test_a_refusal_is_said() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"error": {"code": "not_trusted", "message": "no"}}, status=401)

    app = web.Application()
    app.router.add_get("/{tail:.*}", handler)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        with pytest.raises(Refused, match="not_trusted"):
            await look(session, str(server.make_url("/")))


async def test_the_page_shows_the_busiest_first_and_what_is_wrong() -> None:
    view = await looked()
    channels = {"quiet": ChannelView(0, 0, 0, 0, 0.0), "busy": ChannelView(1200, 3, 4500, 99_000, 1234.56)}
    alerts = tuple(Alert(f"rule{n}", "pending", "info", "2026-11-20T17:34:31.250Z") for n in range(10))
    text = shown(msgspec.structs.replace(view, channels=channels, alerts=alerts, status="degraded", reason="log away"))
    lines = text.splitlines()
    assert lines[0].split("   ")[:3] == ["degraded", "log head 9 (2 not read yet)", "websocket 1/200"]
    assert lines[1] == "log away"
    assert lines[3].split() == ["busy", "1,234.6", "99,000", "1,200", "3", "4,500"]
    assert lines[4].split()[0] == "quiet"
    assert lines[-1] == "and 2 more alerts"


async def test_an_old_picture_says_why() -> None:
    text = shown(await looked(), "http://x does not answer: Connection refused")
    assert "does not answer" in text.splitlines()[1]
