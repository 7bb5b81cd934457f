"""The page in a real browser: it moves, it tells the truth about time, and text in an event stays text."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from hxp_enterprise_llm.event.log.memory import MemoryLog
from tests.browser import chromium, watched_page
from tests.unit.dashboards.site import serving
from tests.unit.dashboards.support import METRICS, alert, config, event, snapshot

# One browser for all: the tests share its loop.
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ROOT = Path(__file__).parents[3]
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with watched_page(browser) as opened:
        yield opened


async def filled(**changes: float | None) -> MemoryLog:
    """A log with the last two minutes in it."""
    log, now = MemoryLog(), time.time()
    await log.open()
    await log.append([snapshot(now - left, METRICS | changes) for left in range(120, -1, -1)])
    return log


def stat(page: Page, name: str) -> Any:
    return page.locator("section.stat", has_text=name).locator(".value")


async def test_values_move_and_events_appear(page: Page) -> None:
    log = await filled(latency=None, latency_p50=None, latency_p95=None, latency_p99=None)
    async with serving(log=log) as site:
        await page.goto(site.url)
        await expect(stat(page, "Latency p95")).to_have_text("–ms")
        await expect(page.locator("#live-text")).to_have_text("Live")
        await expect(page.locator("#empty")).to_be_visible()
        await expect(page.locator("#command")).to_have_text(re.compile("^hxp publish llm.request.completed model="))

        data = {"model": "mixtral-8x7b", "input_tokens": 812, "output_tokens": 96, "latency_ms": 840}
        await log.append([event("llm.request.completed", time.time(), data, subject="planner")])
        await expect(page.locator(".line").first).to_contain_text("mixtral-8x7b, 908 tokens, 840 ms")
        await expect(page.locator("#empty")).to_be_hidden()

        now = time.time()
        await log.append([snapshot(now, METRICS | {"latency_p95": 2310.0, "error_rate": None, "tokens": 0.0})])
        await expect(stat(page, "Latency p95")).to_have_text("2.31s")
        await expect(page.locator("section.stat", has_text="Latency p95").locator(".meaning")).to_have_class(
            re.compile("warn")
        )
        await expect(stat(page, "Error rate")).to_have_text("–%")
        await expect(stat(page, "Tokens")).to_have_text("0/min")
        await expect(
            page.get_by_role("img", name=re.compile("Request latency: p50 0.40 s, p95 2.31 s"))
        ).to_be_visible()


async def test_alerts_stand_on_top_until_they_end(page: Page) -> None:
    log = await filled()
    async with serving(log=log) as site:
        await page.goto(site.url)
        await expect(page.locator("#attention")).to_have_text("Nothing needs you.")
        await log.append([alert("firing", "critical_alert", time.time())])
        row = page.locator(".alert")
        await expect(row).to_contain_text("critical_alert is on")
        await expect(row.locator(".mark")).to_have_text("◆")
        await expect(page).to_have_title("(1) Operational overview · hxp")
        await log.append([alert("resolved", "critical_alert", time.time())])
        await expect(page.locator("#attention")).to_have_text("Nothing needs you.")


async def test_text_in_an_event_stays_text(page: Page) -> None:
    log = await filled()
    async with serving(log=log) as site:
        await page.goto(site.url)
        await expect(page.locator("#live-text")).to_have_text("Live")
        hostile = {"model": HOSTILE, "note": HOSTILE, HOSTILE: HOSTILE}
        other_forms: list[Any] = [None, [], "text", {"metrics": 1}]
        own = ("analytics.snapshot", "alert.firing", "alert.resolved", "dashboard.refreshed")
        fire = {"rule": HOSTILE, "summary": HOSTILE, "condition": HOSTILE, "priority": HOSTILE, "episode": HOSTILE}
        await log.append(
            [
                event("llm.request.completed", time.time(), hostile, subject=HOSTILE),
                event("agent.note", time.time(), hostile, source=HOSTILE, subject=HOSTILE),
                event("alert.firing", time.time(), fire | {"since": "not a time"}),
                *[event(type, time.time(), data) for type in own for data in other_forms],
            ]
        )
        await expect(page.locator(".line").first).to_contain_text("<img src=x onerror")
        await expect(page.locator(".alert")).to_contain_text("<script>window.hacked=1</script>")
        assert await page.locator("main img, main script").count() == 0
        assert await page.evaluate("window.hacked") is None


async def test_a_lost_connection_is_said_at_once_and_mended(page: Page) -> None:
    log = await filled()
    await log.append([event("llm.request.failed", time.time(), {"model": "m"})])
    async with serving(log=log) as site:
        await page.goto(site.url)
        await expect(page.locator("#live-text")).to_have_text("Live")
        port = site.port
    await expect(page.locator("#notice")).to_contain_text(re.compile(r"Connection lost at .* Next try in \d s"))
    await expect(page.locator("#live-text")).to_have_text("Reconnecting")
    await expect(page.locator("body")).to_have_class(re.compile(r"\bstale\b"))
    await expect(stat(page, "Latency p95")).to_have_text("1.20s")
    await log.append([snapshot(time.time(), METRICS | {"latency_p95": 700.0})])
    async with serving(log=log, port=port):
        await page.locator("#retry").click()
        await expect(page.locator("#live-text")).to_have_text("Live")
        await expect(page.locator("#notice")).to_be_hidden()
        await expect(page.locator("body")).not_to_have_class(re.compile(r"\bstale\b"))
        await expect(stat(page, "Latency p95")).to_have_text("700ms")


async def test_old_data_is_not_shown_as_live(page: Page) -> None:
    log, now = MemoryLog(), time.time()
    await log.open()
    await log.append([snapshot(now - 100 + second) for second in range(60)])
    async with serving(log=log) as site:
        await page.goto(site.url)
        await expect(page.locator("#notice")).to_contain_text(re.compile(r"Analytics last answered 4\d s ago"))
        await expect(page.locator("body")).to_have_class(re.compile(r"\bstale\b"))
        await expect(page.locator("#lag-name")).to_have_text("Age of data")


async def test_before_the_first_snapshot_nothing_is_claimed(page: Page) -> None:
    async with serving() as site:
        await page.goto(site.url)
        await expect(page.locator("#live-text")).to_have_text("Waiting")
        await expect(stat(page, "Events")).to_have_text("–/s")
        await site.log.append([snapshot(time.time())])
        await expect(stat(page, "Events")).to_have_text("120/s")


async def test_keys_pause_and_switch_the_theme(page: Page) -> None:
    log = await filled()
    async with serving(log=log) as site:
        await page.goto(site.url)
        await expect(page.locator("#live-text")).to_have_text("Live")
        await page.keyboard.press("Space")
        await log.append([snapshot(time.time(), METRICS | {"latency_p95": 5000.0})])
        await expect(page.locator("#live-text")).to_have_text(re.compile(r"Resume, [1-9]\d* ahead"))
        await expect(stat(page, "Latency p95")).to_have_text("1.20s")
        await page.keyboard.press("l")
        await expect(stat(page, "Latency p95")).to_have_text("5.00s")
        await page.keyboard.press("d")
        await expect(page.locator("html")).to_have_attribute("data-theme", "light")
        await page.reload()
        await expect(page.locator("html")).to_have_attribute("data-theme", "light")


@pytest.mark.parametrize("mode", ["full", "incremental", "delta", "smart"])
async def test_refreshes_reach_the_page_in_every_mode(page: Page, mode: str, tmp_path: Path) -> None:
    shipped = json.loads((ROOT / "config/dashboards/business_intelligence.json").read_text())
    (tmp_path / "quick.json").write_text(json.dumps(shipped | {"update_frequency": 1}))
    log = await filled()
    refresh = {"refresh_strategies": [], "interval": 0.1, "mode": mode}
    settings = config(str(tmp_path), refresh=refresh, live={"dashboards": ["quick"], "ports": {}})
    async with serving(log=log, settings=settings) as site:
        await page.goto(site.url)
        answered = stat(page, "Requests answered")
        await expect(answered).to_have_text("0")
        for wanted in ("2", "4"):
            await log.append([event("llm.request.completed", time.time(), {"model": "m"}) for _ in range(2)])
            await expect(answered).to_have_text(wanted)


async def test_what_is_not_pushed_is_asked_for(page: Page) -> None:
    log = await filled()
    settings = config(refresh={"enabled": False, "interval": 0.2}, live={"caching_enabled": False})
    async with serving(log=log, settings=settings) as site:
        await page.goto(f"{site.url}/dashboards/business_intelligence")
        await expect(stat(page, "Requests answered")).to_have_text("0")
        await log.append([event("llm.request.completed", time.time(), {"model": "m"})])
        await expect(stat(page, "Requests answered")).to_have_text("1")


@pytest.mark.parametrize("name", config().live_dashboard.dashboards)
async def test_every_shipped_dashboard_shows_no_fault_and_fits_a_phone(page: Page, name: str) -> None:
    log = await filled()
    await log.append([event("llm.request.completed", time.time(), {"model": "m"})])
    async with serving(log=log) as site:
        await page.set_viewport_size({"width": 390, "height": 844})
        await page.goto(f"{site.url}/dashboards/{name}")
        await expect(page.locator("#live-text")).to_have_text("Live")
        await expect(page.locator(".stat").first).to_be_visible()
        assert await page.locator(".fault").count() == 0
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
