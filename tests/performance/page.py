"""The page under load, in Chromium: 24 panels at ten snapshots a second; and how soon and how small it loads."""

from __future__ import annotations

import asyncio
import json
import math
import os
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Browser, CDPSession, Page, Response, expect

from tests.browser import browser_path, chromium, watched_page
from tests.integration.daemon import Daemon
from tests.performance.harness import LOAD_CORE, Foreign, Missing, family, pinned
from tests.performance.report import Floor, Table, number

SECONDS = 60.0
"""How long the page is looked at; `--seconds 300` for five minutes."""
HERTZ, PANELS = 10, 24
EVENTS_A_SECOND = 100
LOADS = 7
SAMPLES = 6
"""How often the heap is measured, each time after a collection of garbage."""
SLOW_WAVE = 300
"""Batches in which latencies rise and fall once, so that quantiles and the curves of them move all the time."""
NAME = "performance_metrics"
METRICS = (
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "throughput",
    "request_rate",
    "tokens",
    "cpu_percent",
    "latency",
)

_FORGET = "() => { window.hxp.latency.count = window.hxp.latency.next = 0; }"
_LATENCY = "[0.5, 0.99].map((share) => window.hxp.latency.quantile(share) * 1000)"
_WATCH = """() => {
    window.seen = { frames: 0, long: 0 };
    const frame = () => { window.seen.frames += 1; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
    new PerformanceObserver((list) => { window.seen.long += list.getEntries().length; })
        .observe({ entryTypes: ["longtask"] });
}"""
_LIVE = """(() => {
    const look = () => document.querySelector("#live-text")?.textContent === "Live"
        ? (window.liveAt = performance.now()) : requestAnimationFrame(look);
    requestAnimationFrame(look);
})()"""


def page(directory: Path, seconds: float = SECONDS) -> Table:
    """Chromium and the daemon share the machine's cores; nothing is kept on one of them. Raises Missing."""
    if not browser_path():
        raise Missing("chromium")
    pinned(None)()
    try:
        return asyncio.run(_page(directory, seconds))
    finally:
        pinned(LOAD_CORE)()


async def _page(directory: Path, seconds: float) -> Table:
    configure(directory)
    files = ["--config", str(directory / "streaming.yaml"), "--processing-config", str(directory / "processing.yaml")]
    async with Daemon(directory / "data", *files) as daemon, busy(daemon.events), chromium() as browser:
        foreign = Foreign(lambda: family_of(daemon))
        address = f"{daemon.gateway}/dashboards/{NAME}"
        loads = [await loaded(browser, address) for _ in range(LOADS)]
        looked = await watched(browser, address, seconds)
        return table(seconds, loads, looked, foreign.cores())


def family_of(daemon: Daemon) -> list[int]:
    """The daemon, this process, and the browser that it has started."""
    return [*family(daemon.pid), *family(os.getpid())]


def configure(directory: Path) -> None:
    """Ten snapshots a second, and a dashboard of 24 panels: 8 figures, 4 gauges, 12 curves of three lines."""
    (directory / "processing.yaml").write_text(f"analytics: {{tick: {1 / HERTZ}}}\n")
    (directory / "streaming.yaml").write_text(
        f"live_dashboard: {{directory: {directory / 'dashboards'}, ports: {{}}}}\n"
    )
    (directory / "dashboards").mkdir()
    stats = [panel(f"s{n}", "stat", f"metric:{name}[10m]") for n, name in enumerate(METRICS)]
    gauges = [panel(f"g{n}", "gauge", "metric:memory_percent") for n in range(4)]
    curves = [panel(f"c{n}", "graph", "metric:latency_p50,latency_p95,latency_p99[10m]", width=3) for n in range(12)]
    definition = {
        "dashboard_id": "34ae2b7c-3c1e-4d0a-9b2e-6f0f5f1c7a01",
        "dashboard_type": NAME,
        "update_frequency": 1,
        "data_sources": [],
        "panels": [*stats, *gauges, *curves],
    }
    assert len(definition["panels"]) == PANELS
    (directory / "dashboards" / f"{NAME}.json").write_text(json.dumps(definition))


def panel(id: str, type: str, query: str, **more: Any) -> dict[str, Any]:
    return {"panel_id": id, "panel_type": type, "data_query": query} | more


@asynccontextmanager
async def busy(events: str) -> AsyncIterator[None]:
    """Requests come in meanwhile, ten batches a second."""
    task = asyncio.create_task(_publish(events))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _publish(events: str) -> None:
    async with aiohttp.ClientSession() as session:
        count = 0
        while True:
            count += 1
            data = {
                "model": "mixtral-8x7b",
                "latency_ms": (400.0 + count % 97 * 20) * (2 + math.sin(count / SLOW_WAVE * math.tau)),
                "input_tokens": 800,
                "output_tokens": 90,
            }
            batch = [{"type": "llm.request.completed", "data": data}] * (EVENTS_A_SECOND // 10)
            async with session.post(f"{events}/events", json=batch) as answer:
                answer.raise_for_status()
            await asyncio.sleep(0.1)


async def loaded(browser: Browser, address: str) -> dict[str, float]:
    """A first visit, nothing kept from others: milliseconds to the first paint and to Live, bytes of all parts."""
    sizes: list[int] = []

    async def count(response: Response) -> None:
        if "/static/" in response.url or response.url == address:
            sizes.append((await response.request.sizes())["responseBodySize"])

    async with watched_page(browser) as page:
        page.on("response", count)
        await page.add_init_script(_LIVE)
        await page.goto(address)
        await expect(page.locator("#live-text")).to_have_text("Live", timeout=20_000)
        live = await page.evaluate("window.liveAt ?? performance.now()")
        paint = await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN")
    return {"live": live, "paint": paint, "bytes": float(sum(sizes))}


async def watched(browser: Browser, address: str, seconds: float) -> dict[str, float]:
    """The page, looked at for so many seconds: half of them alone, half with its frames counted and its heap measured.

    Measuring disturbs: a loop that counts frames makes each one a frame to wait for, collecting garbage holds the page.
    """
    async with watched_page(browser) as page:
        await page.goto(address)
        await expect(page.locator("#live-text")).to_have_text("Live", timeout=20_000)
        protocol = await page.context.new_cdp_session(page)
        await protocol.send("Performance.enable")
        await asyncio.sleep(min(10.0, seconds / 5))  # compiled and filled: what grows afterwards grows for ever
        return await alone(page, protocol, seconds / 2) | await counted(page, protocol, seconds / 2)


async def alone(page: Page, protocol: CDPSession, seconds: float) -> dict[str, float]:
    """Event to paint, paints and the main thread's share, with nothing else in the page."""
    await page.evaluate(_FORGET)
    before = await counts(page, protocol)
    await asyncio.sleep(seconds)
    after = await counts(page, protocol)
    middle, high = await page.evaluate(_LATENCY)
    took = after["at"] - before["at"]
    return {
        "p50": middle,
        "p99": high,
        "paints": (after["paints"] - before["paints"]) / took,
        "share": (after["busy"] - before["busy"]) / took,
    }


async def counted(page: Page, protocol: CDPSession, seconds: float) -> dict[str, float]:
    """Frames, long tasks, and what the heap becomes."""
    await page.evaluate(_WATCH)
    before, heaps = await counts(page, protocol), [await heap(protocol)]
    for _ in range(SAMPLES):
        await asyncio.sleep(seconds / SAMPLES)
        heaps.append(await heap(protocol))
    after = await counts(page, protocol)
    took = after["at"] - before["at"]
    return {
        "rate": (after["frames"] - before["frames"]) / took,
        "long": (after["long"] - before["long"]) / took * 60,
        "heap": heaps[-1] / 1e6,
        "growth": statistics.median(heaps[-3:]) / statistics.median(heaps[:3]),
    }


async def counts(page: Page, protocol: CDPSession) -> dict[str, float]:
    """Frames, paints and long tasks so far, and seconds that the main thread was busy."""
    metrics = {each["name"]: each["value"] for each in (await protocol.send("Performance.getMetrics"))["metrics"]}
    seen = await page.evaluate("({ frames: 0, long: 0, ...window.seen, paints: window.hxp.painter.frames })")
    return seen | {"at": metrics["Timestamp"], "busy": metrics["TaskDuration"]}


async def heap(protocol: CDPSession) -> float:
    """Bytes in use after garbage was collected."""
    await protocol.send("HeapProfiler.collectGarbage")
    return float((await protocol.send("Runtime.getHeapUsage"))["usedSize"])


def table(seconds: float, loads: list[dict[str, float]], looked: dict[str, float], foreign: float) -> Table:
    first = {name: statistics.median(each[name] for each in loads) for name in loads[0]}
    rows = [
        ["event to paint, p50", f"{looked['p50']:.0f} ms"],
        ["event to paint, p99", f"{looked['p99']:.0f} ms"],
        ["frames the browser made", f"{looked['rate']:.0f} /s"],
        ["frames the page painted", f"{looked['paints']:.1f} /s"],
        ["main thread busy", f"{100 * looked['share']:.0f} % of a core"],
        ["tasks over 50 ms", f"{looked['long']:.1f} /min"],
        ["heap after a collection", f"{looked['heap']:.1f} MB, {looked['growth']:.2f} times that of the beginning"],
        ["first load: first paint", f"{first['paint']:.0f} ms"],
        ["first load: live", f"{first['live']:.0f} ms"],
        ["first load: bytes", f"{number(first['bytes'])}"],
    ]
    title = f"The page: {PANELS} panels, {HERTZ} snapshots a second, {seconds:.0f} s in Chromium"
    notes = [
        "Event to paint: from the time in the event to the task behind the frame that shows it, measured in the page, "
        "while nothing else asks for frames."
    ]
    floors = [
        Floor("page: event to paint, p99", looked["p99"], 100, at_most=True, unit=" ms"),
        Floor("page: frames a second", looked["rate"], 55),
        Floor("page: heap, times the beginning", looked["growth"], 1.1, at_most=True),
        Floor("page: first load until live", first["live"], 500, at_most=True, unit=" ms"),
        Floor("page: first load", first["bytes"] / 1000, 150, at_most=True, unit=" kB"),
    ]
    return Table(title, ["what", "measured"], rows, notes, floors, foreign)
