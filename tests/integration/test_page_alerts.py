"""An episode in the page: its label set's own figures, and what became of each notification of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Page, expect

from tests.integration.daemon import Daemon
from tests.integration.pages import ask, opened, publish
from tests.unit.notifications.servers import Hook

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

RULES = """
live_dashboard: {{directory: {directory}}}
real_time_notifications:
  notification_channels: [websocket, sse, webhook]
  webhook: {{endpoints: [{{name: pager, url: "{pager}"}}, {{name: gone, url: "{gone}"}}]}}
  notification_rules:
    - {{name: fails, condition: error_rate > 0.2, by: [agent], channel: all, priority: critical,
       summary: "{{agent}} fails {{error_rate}} of its requests"}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    directory = tmp_path_factory.mktemp("alerts")
    config = directory / "data-streaming-api.yaml"
    async with Hook().running() as pager, Hook().running() as gone:
        gone.answers = [web.Response(status=404, text="no such integration")]
        config.write_text(RULES.format(directory=directory / "dashboards", pager=pager.url, gone=gone.url))
        async with Daemon(directory / "data", "--config", str(config)) as started:
            await fail(started)
            yield started


async def fail(daemon: Daemon) -> None:
    """Of five requests of the critic two fail, of the planner's none."""
    done = {"type": "llm.request.completed", "data": {"model": "m", "latency_ms": 640.0}}
    failed = {"type": "llm.request.failed", "data": {"model": "m", "error": "timeout", "latency_ms": 8000.0}}
    sent = [(done, "critic")] * 3 + [(failed, "critic")] * 2 + [(done, "planner")] * 5
    await publish(daemon, [event | {"data": event["data"] | {"agent": agent}} for event, agent in sent])


async def settled_episode(daemon: Daemon) -> str:
    """The episode, once nothing of it is under way."""
    async with asyncio.timeout(30):
        while True:
            found = (await ask(f"{daemon.gateway}/notifications/log?alertname=fails"))["deliveries"]
            if {each["state"] for each in found} == {"sent", "dead"} and len(found) == 4:
                return str(found[0]["episode"])
            await asyncio.sleep(0.1)


async def test_an_episode_says_what_became_of_each_delivery(page: Page, daemon: Daemon) -> None:
    episode = await settled_episode(daemon)
    await opened(page, f"{daemon.gateway}/view/alerts?episode={episode}")
    deliveries = page.get_by_role("region", name="Deliveries")
    await expect(deliveries).to_contain_text("1 given up, 3 delivered")
    rows = deliveries.get_by_role("table").locator("tbody tr:not(.below)")
    told = await rows.evaluate_all(
        "rows => rows.map((row) => [...row.cells].slice(0, 4).map((cell) => cell.textContent))"
    )
    assert sorted(told) == [
        ["SSE", "fires", "delivered", "1"],
        ["WebSocket", "fires", "delivered", "1"],
        ["Webhook to gone", "fires", "given up", "1"],
        ["Webhook to pager", "fires", "delivered", "1"],
    ]
    after = rows.filter(has_text="Webhook to gone").locator("xpath=following-sibling::tr[1]")
    await expect(after).to_contain_text("HTTP 404 no such integration")
    why = page.get_by_role("region", name="Why")
    await expect(why).to_contain_text("Default route, grouped by alert fails")
    await expect(why).to_contain_text("Goes to all channels")
    await page.set_viewport_size({"width": 390, "height": 844})
    # The layout follows in its own time; what does not fit never will.
    await page.wait_for_function("document.documentElement.scrollWidth <= 390")


async def test_an_episode_of_a_label_set_shows_its_own_measure(page: Page, daemon: Daemon) -> None:
    episode = await settled_episode(daemon)
    await opened(page, f"{daemon.gateway}/view/alerts?episode={episode}")
    await expect(page.get_by_role("heading", level=2, name="critic fails 40% of its requests")).to_be_visible()
    curve = page.get_by_role("region", name="error_rate")
    await expect(curve).to_contain_text("agent critic, %")
    await expect(curve.get_by_role("img")).to_have_attribute("aria-label", re.compile("critic"))
    await expect(page.get_by_role("region", name="Rule")).to_contain_text("40.0%")
