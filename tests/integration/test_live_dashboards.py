"""The live page over the real program: it moves, follows an event in, survives a restart, and has its own port."""

from __future__ import annotations

import re
import signal

import aiohttp
import pytest
from playwright.async_api import Page, Route, expect

from tests.integration.daemon import Daemon, embedded_settings, running, url
from tests.integration.pages import lasting_daemon

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def publish(base: str, type: str, **data: object) -> None:
    event = {"type": type, "data": data}
    async with aiohttp.ClientSession() as session, session.post(f"{base}/events", json=event) as answer:
        assert answer.status == 202, await answer.text()


def stat(page: Page, name: str):
    return page.locator("section.stat", has_text=name).locator(".value")


async def test_the_host_is_alive_at_once_and_a_request_shows_up(tmp_path, page):
    """CPU and events per second without anybody's help; then one request, from POST to the eye."""
    async with Daemon(tmp_path / "data") as daemon:
        await page.goto(daemon.gateway)
        await expect(page.locator("#live-text")).to_have_text("Live")
        cpu = page.locator("[data-metric=cpu_percent] b")
        await expect(cpu).to_have_text(re.compile(r"^[\d.]+%$"))
        await expect(page.locator("body")).to_contain_text("Nothing needs you.")
        await publish(
            daemon.events,
            "llm.request.completed",
            model="mixtral-8x7b",
            latency_ms=840.0,
            input_tokens=812,
            output_tokens=96,
        )
        await expect(page.locator(".feed .line").first).to_contain_text("mixtral-8x7b, 908 tokens, 840 ms")
        await expect(stat(page, "Latency p95")).to_have_text(re.compile(r"^8[34]\dms$"))


async def test_a_page_that_was_there_before_the_first_event_goes_live_with_it(tmp_path, page):
    """Nothing else happens then that would have it drawn anew."""

    async def of_an_empty_log(route: Route) -> None:
        answer = await route.fetch()
        found = await answer.json()
        await route.fulfill(response=answer, json={**found, "position": 0, "answers": [{"series": {}}]})

    await page.route("**/dashboards/query?graph=*", of_an_empty_log)
    async with Daemon(tmp_path / "data") as daemon:
        await page.goto(daemon.gateway)
        await expect(page.locator("#live-text")).to_have_text("Live")


async def test_an_alert_is_on_top_and_goes_when_it_ends(tmp_path, page):
    """More than a fifth of the requests fail: the critical rule fires, and the page says so in words."""
    async with Daemon(tmp_path / "data") as daemon:
        await page.goto(daemon.gateway)
        await publish(daemon.events, "llm.request.failed", model="hermes-3-70b", error="timeout", latency_ms=900.0)
        await expect(page.locator("body")).to_contain_text("Error rate is 100%")
        for _ in range(9):
            await publish(daemon.events, "llm.request.completed", model="mixtral-8x7b", latency_ms=840.0)
        await expect(page.locator("body")).to_contain_text("Nothing needs you.")


async def test_the_page_tells_a_lost_connection_and_comes_back(tmp_path, page):
    """`kill -9`: the last data stay, marked; after a restart the page is live again by itself."""
    daemon = lasting_daemon(tmp_path)
    await daemon.start()
    await page.goto(daemon.gateway)
    await expect(page.locator("#live-text")).to_have_text("Live")
    assert await daemon.end(signal.SIGKILL) == -signal.SIGKILL
    await expect(page.locator("#notice")).to_be_visible(timeout=15_000)
    await expect(page.locator("#notice")).to_contain_text("Connection lost at")
    async with daemon:
        await expect(page.locator("#live-text")).to_have_text("Live")
        await expect(page.locator("#notice")).to_be_hidden()


async def test_each_dashboard_has_its_own_port(tmp_path, page):
    """The seed's 8501, 8502 and 8503, here on free ports: the page at `/` is that dashboard, live."""
    async with running(embedded_settings(tmp_path)) as program:
        for name, title in (
            ("operational_overview", "Operational overview"),
            ("business_intelligence", "Business intelligence"),
            ("performance_metrics", "Performance metrics"),
        ):
            await page.goto(url(program, name) + "/")
            await expect(page.locator("h1")).to_have_text(title)
            await expect(page.locator("#live-text")).to_have_text("Live")
