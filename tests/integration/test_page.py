"""The page in a real browser on the real daemon: every view, its numbers, its silence, its way back after a restart."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser import chromium, watched_page
from tests.integration.daemon import Daemon

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
VIEWS = [
    "/",
    *(
        f"/view/{name}"
        for name in ["alerts", "history", "requests", "tokens", "memory", "agents", "streams", "sources", "flow"]
    ),
]
BOARDS = [
    f"/dashboards/{name}"
    for name in ("business_intelligence", "performance_metrics", "system_health", "real_time_analytics")
]
PAYLOADS = [
    '<img src=x onerror="window.hacked=1">',
    "<script>window.hacked=1</script>",
    "javascript:window.hacked=1",
    "\u202e{{constructor.constructor('window.hacked=1')()}}",
    "__proto__",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with watched_page(browser) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path_factory.mktemp("page") / "data") as started:
        await publish(started, traffic())
        yield started


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
        {"type": "knowledge.miss", "data": {"query": "knee load after sprint"}},
        {"type": "agent.started", "data": {"agent": "planner", "task": "answer"}},
        {"type": "cost.recorded", "data": {"amount_usd": 0.0117}},
    ]


def hostile() -> list[dict[str, Any]]:
    """Each payload in every field that a publisher can write."""
    events = []
    for payload in PAYLOADS:
        data = {
            "model": payload,
            "agent": payload,
            "error": payload,
            "query": payload,
            "latency_ms": 1.0,
            payload: payload,
        }
        head = {"source": f"/{payload}", "subject": payload}
        events += [
            head | {"type": "llm.request.completed", "data": data},
            head | {"type": "llm.request.failed", "data": data},
            head | {"type": "knowledge.miss", "data": data},
            head | {"type": "agent.started", "data": data},
            head | {"type": "own.kind", "data": data},
            head
            | {
                "type": "alert.firing",
                "data": {
                    "rule": payload,
                    "summary": payload,
                    "condition": payload,
                    "priority": "critical",
                    "episode": payload,
                    "state": "firing",
                    "values": {},
                },
            },
        ]
    return events


async def publish(daemon: Daemon, events: list[dict[str, Any]]) -> None:
    async with aiohttp.ClientSession() as session, session.post(f"{daemon.events}/events", json=events) as answer:
        assert answer.status == 202, await answer.text()


async def ask(address: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def true(page: Page, condition: str) -> None:
    """Wait until it is; not by the page's own means, its content policy forbids `eval`."""
    async with asyncio.timeout(20):
        while not await page.evaluate(condition):
            await asyncio.sleep(0.1)


async def opened(page: Page, address: str) -> None:
    await page.goto(address)
    await expect(page.locator("#live-text")).to_have_text("Live", timeout=20_000)


@pytest.mark.parametrize("path", [*VIEWS, *BOARDS])
async def test_every_view_is_drawn_without_an_error(page: Page, daemon: Daemon, path: str) -> None:
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None)
    page.on("response", lambda response: said.append(response.url) if response.status >= 400 else None)
    await opened(page, daemon.gateway + path)
    await expect(page.locator("main section, main .notice").first).to_be_visible()
    await expect(page.locator("h1")).not_to_have_text("Not found")
    await page.wait_for_timeout(1500)
    assert said == []


async def test_each_figure_is_that_of_the_log_at_its_offset(page: Page, daemon: Daemon) -> None:
    await opened(page, daemon.gateway)
    await true(page, "window.hxp.metrics.latest?.metrics.latency_p95 != null")
    await page.keyboard.press("Space")
    await page.wait_for_timeout(600)
    shown = await page.evaluate(
        """() => {
            const { metrics, moment } = window.hxp;
            const at = metrics.ring.time(metrics.ring.before(moment.end()));
            const text = (stat, part) => stat.querySelector(part).textContent;
            const figures = [...document.querySelectorAll(".stat[data-metric]")].map((stat) => [
                stat.dataset.metric, text(stat, ".figure"), text(stat, ".unit")]);
            return { at, figures };
        }"""
    )
    found = await ask(f"{daemon.events}/events?after=0&limit=1000&type=analytics.snapshot")
    by_time = {event["data"]["at"]: event["data"]["metrics"] for event in found["events"]}
    moment = await page.evaluate("at => new Date(at * 1000).toISOString()", shown["at"])
    stored = by_time[moment]
    scale = {"request_rate": 60, "error_rate": 100}
    assert len(shown["figures"]) == 6
    for metric, text, unit in shown["figures"]:
        value = stored[metric] * scale.get(metric, 1)
        factor = 1000 if unit == "s" or unit.startswith("k") else 1e6 if unit.startswith("M") else 1
        assert float(text.replace(",", "")) * factor == pytest.approx(value, rel=0.006, abs=0.006), metric


async def test_after_a_restart_no_point_is_missing(page: Page, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "data")
    await daemon.start()
    port, gateway = daemon.gateway.rpartition(":")[2], daemon.gateway
    await opened(page, gateway)
    await true(page, "window.hxp.metrics.ring.length > 2")
    await daemon.end(signal.SIGKILL)
    await expect(page.locator("#notice")).to_contain_text("Connection lost at", timeout=15_000)
    await expect(page.locator("[data-state=stale]")).to_have_count(1)
    config = tmp_path / "data-streaming-api.yaml"
    config.write_text(f"service: {{port: {port}}}\nlive_dashboard: {{ports: {{}}}}\n")
    again = Daemon(tmp_path / "data", "--config", str(config), environ={"EVENT_PROCESSING_PORT": "0"}, free_ports=False)
    async with again:
        await expect(page.locator("#live-text")).to_have_text("Live", timeout=30_000)
        await expect(page.locator("#notice")).to_be_hidden()
        await page.wait_for_timeout(2500)
        times = await page.evaluate(
            "() => { const { ring } = window.hxp.metrics;"
            " return Array.from({ length: ring.length }, (_, index) => ring.time(index)); }"
        )
        found = await ask(f"{again.events}/events?after=0&limit=1000&type=analytics.snapshot")
    first = times[1]  # the first one may be the seed's, placed at the end of its step
    stored = [event["data"]["at"] for event in found["events"]]
    seen = set(await page.evaluate("times => times.map((at) => new Date(at * 1000).toISOString())", times))
    begin = await page.evaluate("at => new Date(at * 1000).toISOString()", first)
    end = max(seen)
    assert [at for at in stored if begin <= at <= end and at not in seen] == []


async def test_hostile_events_stay_text_in_every_view(page: Page, tmp_path: Path) -> None:
    elsewhere: list[str] = []
    async with Daemon(tmp_path / "data") as daemon:
        await publish(daemon, traffic())
        await publish(daemon, hostile())
        page.on("request", lambda r: None if r.url.startswith(daemon.gateway) else elsewhere.append(r.url))
        page.on("dialog", lambda dialog: elsewhere.append(dialog.message))
        for path in [*VIEWS, *BOARDS, "/view/streams?channel=events", "/view/alerts?episode=__proto__"]:
            await opened(page, daemon.gateway + path)
            await page.wait_for_timeout(700)
            assert await page.locator("main img, main script, main iframe").count() == 0
            assert await page.evaluate("window.hacked") is None
        await publish(daemon, hostile())
        await opened(page, daemon.gateway + "/view/streams?channel=business_events")
        await expect(page.locator(".feed")).to_contain_text("<img src=x onerror")
    assert [url for url in elsewhere if not url.startswith(("data:", "ws:"))] == []


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("path", [*VIEWS, BOARDS[1]])
async def test_axe_finds_nothing(page: Page, daemon: Daemon, path: str, theme: str) -> None:
    await page.emulate_media(color_scheme=theme)
    await opened(page, daemon.gateway + path)
    await page.wait_for_timeout(800)
    source = (ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js").read_text()
    await page.evaluate(source)  # by the debugger, which the page's content policy does not bind
    found = await page.evaluate(
        "() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] })"
        ".then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes.slice(0, 3).map((n) => n.html)]))"
    )
    assert found == [], json.dumps(found, indent=1)


async def test_a_filter_narrows_the_tail_and_says_what_is_wrong(page: Page, daemon: Daemon) -> None:
    await opened(page, daemon.gateway + "/view/streams?channel=events")
    field = page.locator(".tail-filter")
    await field.fill('type == "llm.request.failed"')
    await publish(daemon, traffic())
    await expect(page.locator(".feed .line:visible .type").first).to_have_text("llm.request.failed")
    assert set(await page.locator(".feed .line:visible .type").all_text_contents()) == {"llm.request.failed"}
    await field.fill("type = ")
    await expect(page.locator(".fault-box")).to_be_visible()
    await expect(page).to_have_url(re.compile("filter="))


async def test_the_address_is_the_state(page: Page, daemon: Daemon) -> None:
    await opened(page, daemon.gateway + "/?span=900")
    await expect(page.locator(".ranges [aria-pressed=true]")).to_have_text("15 m")
    await page.keyboard.press("ArrowLeft")
    await expect(page.get_by_role("button", name="Back to live")).to_be_visible()
    await expect(page.locator("[data-state=past]")).to_have_count(1)
    assert "to=" in page.url
    await page.reload()
    await expect(page.locator("[data-state=past]")).to_have_count(1)
    await page.keyboard.press("l")
    await expect(page.locator("#live-text")).to_have_text("Live")
    await page.keyboard.press("g")
    await page.keyboard.press("s")
    await expect(page.locator("h1")).to_have_text("Streams")


@pytest.mark.parametrize("path", VIEWS)
async def test_nothing_is_wider_than_a_phone(page: Page, daemon: Daemon, path: str) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await opened(page, daemon.gateway + path)
    await page.wait_for_timeout(300)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390


async def test_the_first_load_is_quick(page: Page, daemon: Daemon) -> None:
    """Bytes are bounded; the time is told by `make bench`."""
    sizes: list[int] = []

    async def count(response: Any) -> None:
        if "/static/" in response.url:
            sizes.append((await response.request.sizes())["responseBodySize"])

    page.on("response", count)
    await opened(page, daemon.gateway)
    await page.wait_for_timeout(300)
    assert 0 < sum(sizes) < 150_000
