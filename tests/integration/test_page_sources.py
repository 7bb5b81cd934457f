"""Sources in the page: what is wrong in words, a try at once, the switch, how it is tried again; and it stays so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.integration.daemon import Daemon
from tests.integration.pages import ask, opened
from tests.peer import Peer, serving
from tests.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer() -> AsyncIterator[Peer]:
    async with serving() as started:
        started.answers["/metrics"] = "jobs_total 41\n"
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(tmp_path_factory: pytest.TempPathFactory, peer: Peer) -> AsyncIterator[Daemon]:
    directory = tmp_path_factory.mktemp("sources")
    config = directory / "event-processing.yaml"
    config.write_text(
        f"sources:\n  scrape: {{endpoint: '{peer.url}', interval: 0.2}}\n"
        f"  gateway: {{endpoint: 'http://127.0.0.1:{free_port()}', interval: 0.2}}\n"
    )
    async with Daemon(directory / "data", "--processing-config", str(config)) as started:
        yield started


async def state_of(daemon: Daemon, name: str, state: str) -> dict[str, Any]:
    """The source, once it is so."""
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = (await ask(f"{daemon.gateway}/sources/status"))["sources"][name]
            if found["state"] == state:
                return found
            await asyncio.sleep(0.05)


async def test_a_switch_stops_and_starts_a_source(page: Page, daemon: Daemon, peer: Peer) -> None:
    await state_of(daemon, "scrape", "ok")
    await opened(page, f"{daemon.gateway}/view/sources")
    switch = page.get_by_role("switch", name="Ask scrape")
    await expect(switch).to_have_attribute("aria-checked", "true")
    await switch.focus()
    await page.keyboard.press("Space")
    await expect(switch).to_have_attribute("aria-checked", "false")
    await expect(page.locator("#live-text")).to_have_text("Live")
    await state_of(daemon, "scrape", "off")
    asked = len(peer.asked)
    await expect(page.locator("[data-row=scrape]")).to_contain_text("switched off")
    await page.locator("[data-row=scrape]").click()
    await expect(page.get_by_role("region", name="scrape")).to_contain_text("scrape is switched off.")
    assert len(peer.asked) == asked
    await page.get_by_role("button", name="Switch on").click()
    await expect(switch).to_have_attribute("aria-checked", "true")
    assert (await state_of(daemon, "scrape", "ok"))["settings"]["live"]


async def test_what_is_wrong_is_said_and_how_it_is_tried_again_is_set(page: Page, daemon: Daemon) -> None:
    await state_of(daemon, "gateway", "away")
    await opened(page, f"{daemon.gateway}/view/sources?source=gateway")
    region = page.get_by_role("region", name="gateway")
    await expect(region).to_contain_text("refuses the connection.")
    await expect(region).to_contain_text("0.25 s, doubling to 3 s")
    await region.get_by_role("button", name="Settings").click()
    await region.get_by_label("First pause").fill("5")
    await region.get_by_role("button", name="Save").click()
    await expect(region.get_by_role("alert")).to_contain_text(
        "first_pause: '5', and that must be at most longest_pause"
    )
    await region.get_by_label("Longest pause").fill("30")
    await region.get_by_label("Gives up").fill("100")
    await region.get_by_role("button", name="Save").click()
    await expect(region).to_contain_text("5 s, doubling to 30 s")
    await expect(region).to_contain_text("after 100 tries")
    found = await state_of(daemon, "gateway", "away")
    wished = {"live": True, "first_pause": 5.0, "longest_pause": 30.0, "failures": 3, "tries": 100}
    assert found["settings"] == wished
    failures = found["failures"]
    await region.get_by_role("button", name="Try now").click()
    async with asyncio.timeout(30):
        while (await state_of(daemon, "gateway", "away"))["failures"] == failures:
            await asyncio.sleep(0.05)
    await page.reload()
    await expect(region).to_contain_text("5 s, doubling to 30 s")
