"""Debian's Chromium, driven by Playwright; it talks to loopback only."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page, async_playwright, expect

# Of conditions, on a machine that has other things to do: the five seconds of Playwright are for a quiet one.
expect.set_options(timeout=30_000)

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-gpu",
]


def browser_path() -> str | None:
    """Where the browser is; None when there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@asynccontextmanager
async def chromium(*arguments: str) -> AsyncIterator[Browser]:
    """A started browser, closed at the end. `arguments`: further flags of its command line."""
    path = browser_path()
    assert path is not None, "chromium is missing: scripts/system-packages installs it"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*_ARGUMENTS, *arguments])
        yield browser
        await browser.close()


@asynccontextmanager
async def watched_page(browser: Browser) -> AsyncIterator[Page]:
    """A page that fails the test when one of its scripts fails or its content policy is broken."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    page = await context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if "Content Security" in line.text else None)
    yield page
    await context.close()
    assert faults == []
