"""What the tests of the page share: traffic of everything that it shows, and conditions to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Page, expect

from tests.integration.daemon import Daemon
from tests.ports import free_port

VIEWS = [
    "/",
    *(
        f"/view/{name}"
        for name in ["alerts", "history", "requests", "tokens", "memory", "agents", "streams", "sources", "flow"]
    ),
]
BOARDS = [
    f"/dashboards/{name}"
    for name in (
        "operational_overview",
        "business_intelligence",
        "performance_metrics",
        "system_health",
        "real_time_analytics",
    )
]

LONG_NAME = "report-writer-with-a-name-that-somebody-else-made"
"""Of an agent; no table has room for it everywhere."""

_SETTLED = """() => {
    const app = window.hxp;
    if (!app?.booted.value) return false;
    const asked = [...app.resources.values()].filter((each) => each.watchers);
    return asked.every((each) => each.answer.value.state !== "loading")
        && [...app.boards.values()].every((each) => each.state.value !== "loading");
}"""
_TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"


@asynccontextmanager
async def busy_daemon(directory: Path) -> AsyncIterator[Daemon]:
    """A daemon with traffic; definitions that are saved go below `directory`."""
    config = directory / "data-streaming-api.yaml"
    config.write_text(
        f"live_dashboard: {{directory: {directory / 'dashboards'}}}\ndashboard_refresh: {{interval: 1, mode: delta}}\n"
    )
    async with Daemon(directory / "data", "--config", str(config)) as daemon:
        await publish(daemon, traffic())
        yield daemon


def lasting_daemon(directory: Path) -> Daemon:
    """One whose page has the same address in each of its lives."""
    config = directory / "data-streaming-api.yaml"
    config.write_text(f"service: {{port: {free_port()}}}\nlive_dashboard: {{ports: {{}}}}\n")
    environ = {"EVENT_PROCESSING_PORT": "0"}
    return Daemon(directory / "data", "--config", str(config), environ=environ, free_ports=False)


def traffic() -> list[dict[str, Any]]:
    """A little of everything that the views show."""
    requests = [
        {
            "model": model,
            "agent": agent,
            "input_tokens": 800 + number,
            "output_tokens": 90,
            "latency_ms": 400.0 + number,
        }
        for number, (model, agent) in enumerate([("mixtral-8x7b", "planner"), ("gpt-4.1", "critic")] * 12)
    ]
    failed = {"model": "gpt-4.1", "agent": "critic", "error": "timeout", "latency_ms": 8000.0}
    tiers = [
        {"tier": tier, "hit": True, "latency_ms": 4.0, "agent": "planner"} for tier in ("redis", "postgres", "chroma")
    ]
    return [
        *({"type": "llm.request.completed", "subject": data["agent"], "data": data} for data in requests),
        {"type": "llm.request.failed", "data": failed},
        *({"type": "memory.tier.access", "data": data} for data in tiers),
        {"type": "knowledge.access", "data": {"item": "knee load", "agent": "planner", "tier": "redis"}},
        {"type": "knowledge.miss", "data": {"query": "knee load after sprint"}},
        {"type": "agent.started", "data": {"agent": "planner", "task": "answer"}},
        {"type": "agent.handoff", "data": {"from": "planner", "to": "critic", "kind": "delegate"}},
        {"type": "agent.started", "data": {"agent": LONG_NAME, "task": "write"}},
        {"type": "agent.handoff", "data": {"from": "planner", "to": LONG_NAME, "kind": "delegate"}},
        {"type": "cost.recorded", "data": {"amount_usd": 0.0117}},
    ]


async def publish(daemon: Daemon, events: list[dict[str, Any]]) -> None:
    """Into the log; all must be taken."""
    async with aiohttp.ClientSession() as session, session.post(f"{daemon.events}/events", json=events) as answer:
        assert answer.status == 202, await answer.text()


async def ask(address: str) -> Any:
    """The JSON of a 200."""
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def true(page: Page, condition: str, within: float = 30) -> None:
    """Wait until it is; not by the page's own means, its content policy forbids `eval`."""
    async with asyncio.timeout(within):
        while not await page.evaluate(condition):
            await asyncio.sleep(0.05)


async def opened(page: Page, address: str) -> None:
    """Go there, and wait until it is live, everything is answered that it asked for, and that is painted."""
    await page.goto(address)
    await expect(page.locator("#live-text")).to_have_text("Live")
    await settled(page)


async def settled(page: Page) -> None:
    """Wait until all that was asked for is answered and painted."""
    await true(page, _SETTLED)
    await page.evaluate(_TWO_FRAMES)
