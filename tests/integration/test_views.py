"""What a person does with the views, in a real browser on the real daemon: curves by keys, a past range, exports."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.integration.daemon import Daemon
from tests.integration.pages import true

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path_factory.mktemp("views") / "data") as started:
        await publish(started, traffic())
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def past(daemon: Daemon) -> int:
    """The end of a past range with all that was published. One that has not ended is none."""
    end = int(time.time()) + 1
    await asyncio.sleep(end + 1.5 - time.time())
    return end


async def publish(daemon: Daemon, events: list[dict[str, Any]]) -> None:
    async with aiohttp.ClientSession() as session, session.post(f"{daemon.events}/events", json=events) as answer:
        assert answer.status == 202, await answer.text()


def traffic() -> list[dict[str, Any]]:
    request = {"model": "gpt-4.1", "agent": "planner", "input_tokens": 800, "output_tokens": 90, "latency_ms": 640.0}
    asked = [("redis", False), ("postgres", True), ("redis", True), ("redis", False), ("postgres", False)]
    tiers = [
        {"tier": tier, "hit": hit, "latency_ms": 4.0, "agent": "planner", "query": f"q{number // 2}"}
        for number, (tier, hit) in enumerate(asked)
    ]
    return [
        *({"type": "llm.request.completed", "data": request} for _ in range(20)),
        *({"type": "memory.tier.access", "data": data} for data in tiers),
        {"type": "knowledge.access", "data": {"item": "hrv_baseline_7d", "agent": "planner", "tier": "redis"}},
        {"type": "knowledge.miss", "data": {"query": "knee load after sprint", "agent": "planner"}},
        {"type": "agent.handoff", "data": {"from": "planner", "to": "critic", "kind": "ask", "outcome": "success"}},
    ]


async def opened(page: Page, address: str) -> None:
    await page.goto(address)
    await expect(page.locator("#live-text")).to_have_text("Live")


async def saved(page: Page, panel: str, key: str) -> bytes:
    """What a key of a panel saves."""
    await page.locator(f'[data-panel="{panel}"]').hover()
    async with page.expect_download() as download:
        await page.keyboard.press(key)
    return Path(await (await download.value).path()).read_bytes()


async def test_arrows_move_along_a_curve_and_its_values_are_said(page: Page, daemon: Daemon) -> None:
    await opened(page, f"{daemon.gateway}/")
    # Two points at least, so that there is one before the last.
    await true(page, "window.hxp.metrics.ring.length > 2")
    curve = page.locator('[data-panel="Request latency"] .chart')
    said = page.locator('[data-panel="Request latency"] p.sr')
    # The newest value is of the last minute, which may have passed since the traffic.
    await publish(daemon, traffic()[:1])
    await curve.focus()
    async with asyncio.timeout(30):
        # Until the first snapshot is here there is no value to say.
        while not re.search(r"p95 (0\.6\d s|6\d\d ms)", await said.text_content() or ""):
            await page.keyboard.press("End")
            await asyncio.sleep(0.2)
    last = await said.text_content()
    await page.keyboard.press("ArrowLeft")
    await expect(said).not_to_have_text(last or "")
    await page.keyboard.press("Escape")
    await expect(said).to_have_text("")


async def test_a_past_range_has_its_own_events_and_says_what_it_is_beside(page: Page, daemon: Daemon) -> None:
    # What is stored from now on is not of the range that ends now.
    await opened(page, f"{daemon.gateway}/")
    await expect(page.locator('[data-panel="Latest events"] .feed .line').first).to_be_visible()
    to = int(time.time()) + 1
    await asyncio.sleep(max(0.0, to + 1.5 - time.time()))
    await publish(daemon, [{"type": "agent.started", "data": {"agent": "latecomer", "task": "t1"}}])
    await expect(page.locator('[data-panel="Latest events"]')).to_contain_text("latecomer")
    await page.goto(f"{daemon.gateway}/?to={to}&span=600")
    await expect(page.locator("#notice")).to_contain_text("Dashed is now")
    latest = page.locator('[data-panel="Latest events"]')
    await expect(latest).to_contain_text("newest first")
    await expect(latest.locator(".line").first).to_be_visible()
    await expect(latest).not_to_contain_text("latecomer")
    await page.get_by_role("button", name="off", exact=True).click()
    await expect(page.locator("#notice")).not_to_contain_text("Dashed")


async def test_each_kind_of_panel_leaves_as_csv_and_picture(page: Page, daemon: Daemon) -> None:
    await opened(page, f"{daemon.gateway}/view/memory")
    await expect(page.locator("svg.sankey")).to_be_visible(timeout=20_000)
    table = (await saved(page, "Where reads are answered", "e")).decode()
    assert "reads,Redis," in table
    assert ",answered," in table
    for panel in ("Where reads are answered", "Knowledge", "Asked, not known"):
        assert (await saved(page, panel, "p")).startswith(b"\x89PNG"), panel
    assert b"knee load after sprint" in await saved(page, "Asked, not known", "e")


async def test_knowledge_stands_beside_what_was_asked_in_vain(page: Page, daemon: Daemon) -> None:
    await opened(page, f"{daemon.gateway}/view/memory")
    knowledge = page.locator('[data-panel="Knowledge"]')
    await expect(knowledge.get_by_text("asked, no answer")).to_be_visible(timeout=20_000)
    await knowledge.get_by_role("button", name="by agent").click()
    table = (await saved(page, "Knowledge", "e")).decode().splitlines()
    assert table[0] == "item,planner"
    assert {"hrv_baseline_7d,1", "“knee load after sprint”,1"} <= set(table)


@pytest.mark.parametrize(
    ("view", "panel"),
    [("streams", "Channels"), ("sources", "Parts"), ("flow", "Through the log"), ("flow", "Parts")],
)
async def test_what_is_not_kept_by_time_is_said_to_be_of_now(page: Page, daemon: Daemon, view: str, panel: str) -> None:
    await page.goto(f"{daemon.gateway}/view/{view}?to={int(time.time()) - 60}&span=600")
    await expect(page.locator(f'[data-panel="{panel}"] .sub')).to_have_text("as now")


async def test_the_tail_has_the_events_of_a_past_range(page: Page, daemon: Daemon, past: int) -> None:
    await page.goto(f"{daemon.gateway}/view/streams?channel=operational_events&to={past}&span=600")
    tail = page.locator('[data-panel="Tail of operational_events"]')
    await expect(tail.locator(".tail-line:not([hidden])").first).to_be_visible()
    await tail.get_by_role("textbox").fill("true")
    await expect(tail).to_contain_text("A filter looks at what comes now.")


@pytest.mark.parametrize(
    ("view", "panel", "words"),
    [
        ("tokens", "By agent", "planner"),
        ("tokens", "Not kept by time", "those of now"),
        ("memory", "Tiers", "Redis"),
        ("memory", "Knowledge", "reads per item and hour, "),
        ("agents", "Who works with whom", "not kept by time"),
        ("agents", "Active agents", "planner"),
        ("requests", "By model", "gpt-4.1"),
    ],
)
async def test_a_past_range_is_shown_in_every_view_that_knows_it(
    page: Page, daemon: Daemon, past: int, view: str, panel: str, words: str
) -> None:
    await page.goto(f"{daemon.gateway}/view/{view}?to={past}&span=600")
    await expect(page.get_by_role("button", name="Back to live")).to_be_visible()
    await expect(page.locator("[data-state=past]")).to_have_count(1)
    await expect(page.locator(f'[data-panel="{panel}"]')).to_contain_text(words)


@pytest.mark.parametrize(
    ("view", "panel", "words"),
    [
        ("tokens", "Spent", "this time is gone"),
        ("tokens", "By model", "No requests in this time."),
        ("memory", "Where reads are answered", "this time is gone"),
        ("memory", "Asked, not known", "this time is gone"),
        ("agents", "Active agents", "No agent made requests in this time."),
    ],
)
async def test_a_time_of_which_nothing_is_kept_says_so_in_place(
    page: Page, daemon: Daemon, view: str, panel: str, words: str
) -> None:
    await page.goto(f"{daemon.gateway}/view/{view}?to={int(time.time()) - 100 * 86_400}&span=600")
    await expect(page.locator(f'[data-panel="{panel}"]')).to_contain_text(words)
