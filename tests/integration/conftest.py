"""A browser and a busy daemon for each file that asks for them, the program in our own process for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from hxp_enterprise_llm.orchestration.streaming_orchestrator import StreamingOrchestrator
from tests.browser import chromium, watched_page
from tests.integration.daemon import Daemon, embedded_settings, running
from tests.integration.pages import busy_daemon


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with watched_page(browser) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def busy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    async with busy_daemon(tmp_path_factory.mktemp("page")) as started:
        yield started


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[StreamingOrchestrator]:
    async with running(embedded_settings(tmp_path)) as orchestrator:
        yield orchestrator


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made
