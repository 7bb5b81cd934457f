"""The page in a real browser on the real daemon: every view, its numbers, its silence, its way back after a restart."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Response, Route, expect

from tests.integration.daemon import Daemon
from tests.integration.pages import BOARDS, VIEWS, ask, lasting_daemon, opened, publish, settled, traffic, true

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
PAYLOADS = [
    '<img src=x onerror="window.hacked=1">',
    "<script>window.hacked=1</script>",
    "javascript:window.hacked=1",
    "\u202e{{constructor.constructor('window.hacked=1')()}}",
    "__proto__",
]


def hostile() -> list[dict[str, Any]]:
    """Each payload in every field that a publisher can write."""
    events = []
    for payload in PAYLOADS:
        names = dict.fromkeys(
            ("model", "agent", "error", "query", "item", "from", "to", "tool", "team", payload), payload
        )
        data = names | {"latency_ms": 1.0, "input_tokens": 7, "tier": "redis", "hit": True, "kind": "delegate"}
        alert = dict.fromkeys(("rule", "summary", "condition", "episode"), payload)
        alert |= {"priority": "critical", "state": "firing", "values": {}}
        head = {"source": f"/{payload}", "subject": payload}
        kinds = ["llm.request.completed", "llm.request.failed", "knowledge.miss", "knowledge.access", "agent.started"]
        events += [
            head | {"type": kind, "data": data} for kind in [*kinds, "agent.handoff", "memory.tier.access", "own.kind"]
        ]
        events.append(head | {"type": "alert.firing", "data": alert})
    return events


async def accessible(page: Page) -> list[Any]:
    """What axe finds; loaded by the debugger, which the page's content policy does not bind."""
    await page.evaluate(AXE.read_text())
    return await page.evaluate(
        "() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] })"
        ".then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes.slice(0, 3).map((n) => n.html)]))"
    )


@pytest.mark.parametrize("path", [*VIEWS, *BOARDS, f"{BOARDS[0]}?edit=1"])
async def test_every_view_is_drawn_for_everyone_without_an_error(page: Page, busy: Daemon, path: str) -> None:
    """Dark, light and on a phone: no word on the console, nothing that axe finds, nothing beyond the edge."""
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None)
    page.on("response", lambda response: said.append(response.url) if response.status >= 400 else None)
    await opened(page, busy.gateway + path)
    await expect(page.locator("main section, main .notice").first).to_be_visible()
    await expect(page.locator("h1")).not_to_have_text("Not found")
    assert await accessible(page) == []
    await page.emulate_media(color_scheme="light")
    await expect(page.locator(":root")).to_have_attribute("data-theme", "light")
    assert await accessible(page) == []
    for width in (1440, 1024, 390):
        await page.set_viewport_size({"width": width, "height": 844})
        await settled(page)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert await accessible(page) == []
    assert said == []


SHOWN = """() => {
    const { metrics, moment } = window.hxp;
    const at = metrics.ring.time(metrics.ring.before(moment.end()));
    const text = (stat, part) => stat.querySelector(part).textContent;
    const figures = [...document.querySelectorAll(".stat[data-metric]")].map((stat) => [
        stat.dataset.metric, text(stat, ".figure"), text(stat, ".unit")]);
    return { at: new Date(at * 1000).toISOString(), figures };
}"""
# What was before the page was opened came from history, and no snapshot of the log need have that very time.
SHOWS_A_SNAPSHOT = """(() => {
    const { metrics, moment } = window.hxp;
    const shown = metrics.ring.time(metrics.ring.before(moment.end()));
    return metrics.latest?.metrics.latency_p95 != null && shown > metrics.seeded.until + 1;
})()"""
SCALE = {"request_rate": 60, "error_rate": 100}


@pytest.mark.parametrize("path", ["/", "/dashboards/performance_metrics", "/dashboards/business_intelligence"])
async def test_each_figure_is_that_of_the_log_at_its_offset(page: Page, busy: Daemon, path: str) -> None:
    # The quantiles are those of a minute, which the tests before this one may have taken.
    await publish(busy, traffic())
    await opened(page, busy.gateway + path)
    await true(page, SHOWS_A_SNAPSHOT)
    await page.keyboard.press("Space")
    await expect(page.locator("#live-text")).to_contain_text("Resume")
    # Near the head: an answer is bounded in bytes, and who came before this test may have taken minutes.
    after = max(0, await page.evaluate("window.hxp.head") - 500)
    found = await ask(f"{busy.events}/events?after={after}&limit=1000&type=analytics.snapshot")
    stored = {event["data"]["at"]: event["data"]["metrics"] for event in found["events"]}
    wrong: list[Any] = [path]
    async with asyncio.timeout(30):
        while wrong:  # a figure changes four times a second at most
            shown = await page.evaluate(SHOWN)
            wrong = [each for each in shown["figures"] if not is_true(*each, stored[shown["at"]])]
            await asyncio.sleep(0.05)
    assert len(shown["figures"]) >= 2


def is_true(metric: str, text: str, unit: str, stored: dict[str, float | None]) -> bool:
    """Whether a figure is the metric's value, to the digits that it shows."""
    value = stored[metric]
    if value is None or text == "–":
        return value is None and text == "–"
    factor = 1000 if unit == "s" or unit.startswith("k") else 1e6 if unit.startswith("M") else 1
    near = pytest.approx(value * SCALE.get(metric, 1), rel=0.006, abs=0.006)
    return bool(float(text.replace(",", "")) * factor == near)


@pytest.mark.parametrize("path", BOARDS)
async def test_what_a_dashboard_shows_is_what_the_service_says_at_that_revision(
    page: Page, busy: Daemon, path: str
) -> None:
    """After refreshes that carried only what changed, every panel is as the service has it."""
    await opened(page, busy.gateway + path)
    name = path.rpartition("/")[2]
    await true(
        page,
        f"(window.first ??= window.hxp.boards.get('{name}').revision) !== window.hxp.boards.get('{name}').revision",
    )
    for _ in range(20):
        said = await ask(f"{busy.gateway}{path}/data")
        shown = await page.evaluate(
            "name => { const { revision, panels } = window.hxp.boards.get(name); return [revision, panels.value]; }",
            name,
        )
        if shown[0] == said["revision"]:
            break
        await true(page, f"window.hxp.boards.get('{name}').revision !== {json.dumps(shown[0])}")
    assert shown == [said["revision"], said["panels"]]


# Pixels of the strip: drawn at all, and in the colour of what is live.
STRIP = """(() => {
    const canvas = document.querySelector(".spine canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const accent = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
    const live = [1, 3, 5].map((at) => parseInt(accent.slice(at, at + 2), 16));
    const found = { drawn: 0, accent: 0 };
    for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3]) found.drawn += 1;
        if (data[at + 3] === 255 && live.every((part, index) => data[at + index] === part)) found.accent += 1;
    }
    return found;
})()"""


async def test_after_a_restart_no_point_is_missing(page: Page, tmp_path: Path) -> None:
    """Empty, live, cut off, back: the frame says which, and every second of the log is in the ring."""
    daemon = lasting_daemon(tmp_path)
    await daemon.start()
    await opened(page, daemon.gateway)
    await expect(page.locator(".empty")).to_contain_text("Waiting for the first event")
    # The ports are free ones: what the page shows to copy must name them.
    await expect(page.locator(".empty pre")).to_contain_text(f"{daemon.events}/events")
    await true(page, "window.hxp.metrics.ring.length > 2")
    await publish(daemon, traffic())
    await true(page, f"({STRIP}).accent > 0")
    await daemon.end(signal.SIGKILL)
    await expect(page.locator("#notice")).to_contain_text("Connection lost at")
    await expect(page.locator("[data-state=stale]")).to_have_count(1)
    await true(page, f"({STRIP}).accent === 0 && ({STRIP}).drawn > 0")
    assert await accessible(page) == []
    async with daemon:
        await expect(page.locator("#live-text")).to_have_text("Live")
        await expect(page.locator("#notice")).to_be_hidden()
        # Not the seed's own points: those that came after it was back.
        await true(page, "(window.back ??= window.hxp.metrics.latestAt) + 1.5 < window.hxp.metrics.latestAt")
        times = await page.evaluate(
            "() => { const { ring } = window.hxp.metrics;"
            " return Array.from({ length: ring.length }, (_, at) => new Date(ring.time(at) * 1000).toISOString()); }"
        )
        found = await ask(f"{daemon.events}/events?after=0&limit=1000&type=analytics.snapshot")
    # The first one may be the seed's, placed at the end of its step.
    begin, end, seen = times[1], max(times), set(times)
    stored = [event["data"]["at"] for event in found["events"]]
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
            assert await page.locator("main img, main script, main iframe").count() == 0
            assert await page.evaluate("window.hacked") is None
        await opened(page, daemon.gateway + "/view/streams?channel=business_events")
        await publish(daemon, hostile())
        await expect(page.locator(".feed")).to_contain_text("<script>window.hacked=1</script>")
    assert [url for url in elsewhere if not url.startswith(("data:", "ws:"))] == []


async def test_the_policy_holds_against_code_that_is_there_already(page: Page, busy: Daemon) -> None:
    """Trusted types: not even a script of the page may make markup or code of text."""
    answer = await page.goto(busy.gateway)
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    for part in (
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ):
        assert part in policy
    refused = await page.evaluate(
        "() => ['innerHTML', 'outerHTML'].map((name) => {"
        " try { document.createElement('p')[name] = '<b>'; return 'done'; } catch (error) { return error.name; } })"
    )
    assert refused == ["TypeError", "TypeError"]


def holding(held: asyncio.Event) -> Callable[[Route], Awaitable[None]]:
    async def hold(route: Route) -> None:
        await held.wait()
        await route.continue_()

    return hold


async def test_what_is_waited_for_is_said(page: Page, busy: Daemon) -> None:
    held = asyncio.Event()
    await page.route("**/api/v2/tokens", holding(held))
    await page.goto(busy.gateway + "/view/tokens")
    await expect(page.locator(".head .fact")).to_contain_text("waiting for /api/v2/tokens", timeout=15_000)
    held.set()
    await expect(page.locator(".head .fact")).to_have_text(re.compile(r"^[\d,]+ requests in the last hour$"))


async def test_what_is_waited_for_is_said_on_a_phone_and_of_a_past_range(page: Page, busy: Daemon) -> None:
    held = asyncio.Event()
    await page.route("**/api/v2/memory/tier-stats?from=*", holding(held))
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto(f"{busy.gateway}/view/memory?span=600&to={int(time.time()) - 60}")
    waits = page.locator(".head .waits")
    await expect(waits).to_have_text("waiting for /api/v2/memory/tier-stats", timeout=15_000)
    await expect(waits).to_be_in_viewport()
    held.set()
    await expect(waits).to_have_count(0)


async def test_a_dashboard_that_could_not_be_read_is_asked_for_again(page: Page, busy: Daemon) -> None:
    await page.route("**/data", lambda route: route.abort(), times=1)
    await page.goto(busy.gateway + BOARDS[0])
    await expect(page.locator("main .panel-said")).to_have_text("no connection")
    await expect(page.locator("main .stat").first).to_be_visible(timeout=15_000)


async def test_a_dashboard_that_is_not_there_is_said_in_the_page(page: Page, busy: Daemon) -> None:
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text))
    await opened(page, busy.gateway + "/dashboards/nope")
    await expect(page.locator("h1")).to_have_text("Not found")
    await expect(page.locator("main")).to_contain_text("There is no dashboard nope.")
    assert said == []


async def test_the_keyboard_skips_to_the_view(page: Page, busy: Daemon) -> None:
    await opened(page, busy.gateway + "/view/agents")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Skip to the view")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.querySelector('main').contains(document.activeElement)")


async def test_a_filter_narrows_the_tail_and_says_what_is_wrong(page: Page, busy: Daemon) -> None:
    await opened(page, busy.gateway + "/view/streams?channel=events")
    field = page.locator(".tail-filter")
    await field.fill('type == "llm.request.failed"')
    await publish(busy, traffic())
    await expect(page.locator(".feed .line:visible .type").first).to_have_text("llm.request.failed")
    assert set(await page.locator(".feed .line:visible .type").all_text_contents()) == {"llm.request.failed"}
    await field.fill("type = ")
    await expect(page.locator(".fault-box")).to_be_visible()
    await expect(page).to_have_url(re.compile("filter="))


async def test_the_address_is_the_state(page: Page, busy: Daemon) -> None:
    await opened(page, busy.gateway + "/?span=900")
    await expect(page.locator(".ranges [aria-pressed=true]")).to_have_text("15 m")
    await page.keyboard.press("ArrowLeft")
    await expect(page.get_by_role("button", name="Back to live")).to_be_visible()
    await expect(page.locator("[data-state=past]")).to_have_count(1)
    assert "to=" in page.url
    await page.reload()
    await expect(page.locator("[data-state=past]")).to_have_count(1)
    await settled(page)
    await page.keyboard.press("l")
    await expect(page.locator("#live-text")).to_have_text("Live")
    await page.keyboard.press("g")
    await page.keyboard.press("s")
    await expect(page.locator("h1")).to_have_text("Streams")


async def test_everything_is_reached_by_keys(page: Page, busy: Daemon) -> None:
    await opened(page, busy.gateway)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("/")
    await expect(page.get_by_label("What to find")).to_be_focused()
    await page.keyboard.type("memory")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("Memory")
    await page.keyboard.press("d")
    await expect(page.locator(":root")).to_have_attribute("data-theme", "light")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement !== document.body")


async def test_the_first_load_is_small(page: Page, busy: Daemon) -> None:
    """Bytes are bounded; the time is told by `make bench`."""
    sizes: list[int] = []

    async def count(response: Response) -> None:
        if "/static/" in response.url:
            sizes.append((await response.request.sizes())["responseBodySize"])

    page.on("response", count)
    await opened(page, busy.gateway)
    assert 0 < sum(sizes) < 150_000


async def test_what_is_preloaded_is_what_the_page_asks_for(page: Page, busy: Daemon) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(busy.gateway)))
    await opened(page, busy.gateway)
    preloaded = await page.locator("link[rel=preload]").evaluate_all(
        "links => links.map((link) => link.getAttribute('href'))"
    )
    assert len(preloaded) == 2
    assert [asked.count(each) for each in preloaded] == [1, 1]
