"""Every number of the platform's views is what the service says of the same events: cell by cell, read off the page."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.integration.daemon import Daemon
from tests.integration.pages import ask, opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

Cell = str | float | None
Rows = Sequence[Sequence[Cell]]

_FACTORS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_TABLES = """() => Object.fromEntries([...document.querySelectorAll("main [data-panel]")].map((panel) => [
    panel.dataset.panel,
    [...panel.querySelectorAll("table.grid tbody tr:not(.below)")].map((row) => [...row.cells].map((cell) => {
        const own = cell.cloneNode(true);
        own.querySelectorAll(".sr, [aria-hidden]").forEach((part) => part.remove());
        return own.textContent.trim();
    })),
]))"""
_FIGURES = """() => Object.fromEntries([...document.querySelectorAll("main .stat")].map((stat) => [
    stat.getAttribute("aria-label"),
    stat.querySelector(".figure").textContent + " " + (stat.querySelector(".unit")?.textContent ?? ""),
]))"""


def number(text: str) -> float | None:
    """What a cell says as a number; None for a dash or an unknown price."""
    if text.strip() in ("–", "unknown"):
        return None
    match = re.fullmatch(r"\$?(-?[\d,]+(?:\.\d+)?)\s*(k|M|G)?(?:%|/.*| events)?", text.strip())
    assert match, text
    return float(match[1].replace(",", "")) * _FACTORS[match[2] or ""]


def same(shown: str, said: Cell) -> bool:
    """Whether a cell shows a value to the digits that it has."""
    if isinstance(said, str):
        return shown == said
    found = number(shown)
    return found is None if said is None else found is not None and found == pytest.approx(said, rel=0.006, abs=0.0051)


def differing(shown: Rows, said: Rows) -> list[Any]:
    """Rows that are not as they should be; `...` in a said row is a cell that bears no number."""
    if len(shown) != len(said):
        return [f"{len(shown)} rows instead of {len(said)}", shown, said]
    pairs = zip(shown, said, strict=True)
    return [
        (row, wish)
        for row, wish in pairs
        if not all(each is ... or same(str(cell), each) for cell, each in zip(row, wish, strict=True))
    ]


def by_cost(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (-(row["today"]["cost_usd"] or 0), -row["today"]["tokens"]))


def _spent(rows: list[dict[str, Any]]) -> Rows:
    def cost(today: dict[str, Any]) -> float | None:
        unknown = today["requests"] and today["unpriced_requests"] >= today["requests"]
        return None if unknown else today["cost_usd"]

    return [[row["name"], ..., cost(row["today"]), row["today"]["tokens"]] for row in by_cost(rows)[:7]]  # type: ignore[list-item]


async def tokens(gateway: str) -> tuple[dict[str, Rows], dict[str, Cell]]:
    found, costs = await ask(f"{gateway}/api/v2/tokens"), await ask(f"{gateway}/api/v2/costs")
    today = found["today"]
    tables = {"By agent": _spent(found["by"]["agents"]), "By model": _spent(found["by"]["models"])}
    figures = {
        "Month to date": costs["month_usd"],
        "Today": costs["today_usd"],
        "Per question": costs["per_query_usd"],
        "Tokens today": today["input_tokens"] + today["output_tokens"],
    }
    return tables, figures


async def memory(gateway: str) -> tuple[dict[str, Rows], dict[str, Cell]]:
    found = await ask(f"{gateway}/api/v2/memory/tier-stats?window_hours=24")
    names = {"redis": "Redis", "postgresql": "PostgreSQL", "chromadb": "ChromaDB"}
    return {
        "Tiers": [
            [
                names[name],
                None if tier["lookup_hit_rate"] is None else 100 * tier["lookup_hit_rate"],
                tier["latency_ms"] and tier["latency_ms"]["p50"],
                tier["latency_ms"] and tier["latency_ms"]["p95"],
                found["cost_by_tier"][name],
            ]
            for name, tier in found["tiers"].items()
        ]
    }, {}


async def agents(gateway: str) -> tuple[dict[str, Rows], dict[str, Cell]]:
    found = (await ask(f"{gateway}/api/v2/agents/active"))["agents"]
    edges = (await ask(f"{gateway}/api/v2/collaboration"))["edges"]
    return {
        "Active agents": [
            [
                each["id"],
                ...,
                each["events"],
                each["task_p95_ms"] and each["task_p95_ms"] / 1000,
                each["tasks"]["failed"],
                ...,
            ]
            for each in sorted(found, key=lambda each: each["id"])
        ],
        "planner": [
            [edge["to"], ..., edge["count"], edge["success_ratio"]] for edge in edges if edge["from"] == "planner"
        ],
    }, {}


async def requests(gateway: str) -> tuple[dict[str, Rows], dict[str, Cell]]:
    found = (await ask(f"{gateway}/api/v2/models"))["models"]

    def of(each: dict[str, Any], name: str, share: str, factor: float) -> float | None:
        return None if each[name] is None or each[name][share] is None else each[name][share] * factor

    return {
        "By model": [
            [
                each["model"],
                each["requests"],
                of(each, "latency_ms", "p50", 0.001),
                of(each, "latency_ms", "p95", 0.001),
                of(each, "time_to_first_token_ms", "p50", 0.001),
                of(each, "tokens_per_second", "p50", 1),
                each["failed_requests"],
                None if each["error_ratio"] is None else 100 * each["error_ratio"],
            ]
            for each in found
        ]
    }, {}


VIEWS: dict[str, Callable[[str], Any]] = {
    "tokens": tokens,
    "memory": memory,
    "agents": agents,
    "requests": requests,
}


@pytest.mark.parametrize("view", VIEWS)
async def test_each_number_of_a_view_is_the_services_own(page: Page, busy: Daemon, view: str) -> None:
    await opened(page, f"{busy.gateway}/view/{view}")
    await shows(lambda: wrong_in(page, busy.gateway, VIEWS[view]))


async def shows(wrong: Callable[[], Awaitable[Any]]) -> None:
    """Wait until nothing is wrong: the page asks the service anew each few seconds, and an hour may just have ended."""
    found: Any = None
    try:
        async with asyncio.timeout(30):
            while found := await wrong():
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(found) from None


async def flow(gateway: str) -> Rows:
    found = (await ask(f"{gateway}/api/v2/memory/tier-stats?window_hours=24"))["flow"]
    names = {"query": "reads", "redis": "Redis", "postgresql": "PostgreSQL", "chromadb": "ChromaDB", "nothing": ...}
    return [[names.get(each["from"], each["from"]), names.get(each["to"], each["to"]), each["count"]] for each in found]


async def knowledge(gateway: str) -> Rows:
    items = (await ask(f"{gateway}/api/v2/knowledge"))["items"][:14]
    gaps = (await ask(f"{gateway}/api/v2/knowledge/gaps"))["gaps"][:4]
    named = [*((each["item"], each) for each in items), *((f"“{each['query']}”", each) for each in gaps)]
    return [[name, *each["last_hours"]] for name, each in named]


async def gaps(gateway: str) -> Rows:
    found = (await ask(f"{gateway}/api/v2/knowledge/gaps"))["gaps"]
    return [[each["query"], each["count"], " ".join(each["agents"])] for each in found]


async def handed(gateway: str) -> Rows:
    edges = (await ask(f"{gateway}/api/v2/collaboration"))["edges"]
    return [[each["from"], each["to"], each["count"], each["success_ratio"]] for each in edges]


async def latency(gateway: str) -> Rows:
    found = await ask(f"{gateway}/api/v2/export/analytics?what=tier_hours&format=json&from=-24h")
    names = {"redis": "Redis", "postgresql": "PostgreSQL", "chromadb": "ChromaDB"}
    return [[each["hour"], names[each["tier"]], each["p95_ms"]] for each in found]


BEHIND: dict[tuple[str, str], Callable[[str], Any]] = {
    ("memory", "Where reads are answered"): flow,
    ("memory", "Knowledge"): knowledge,
    ("memory", "p95 latency"): latency,
    ("memory", "Asked, not known"): gaps,
    ("agents", "Who works with whom"): handed,
}


@pytest.mark.parametrize(("view", "panel"), BEHIND)
async def test_each_number_behind_a_chart_is_the_services_own(page: Page, busy: Daemon, view: str, panel: str) -> None:
    await opened(page, f"{busy.gateway}/view/{view}")
    place = page.locator(f'[data-panel="{panel}"]')
    await place.hover()
    await page.keyboard.press("t")
    await expect(place.locator("table")).to_be_visible()
    rows = place.locator("tbody tr")

    async def wrong() -> list[Any]:
        said = await BEHIND[view, panel](busy.gateway)
        shown = await rows.evaluate_all("rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))")
        assert said
        return differing(shown, said)

    await shows(wrong)


async def wrong_in(page: Page, gateway: str, said: Callable[[str], Any]) -> dict[str, Any]:
    tables, figures = await said(gateway)
    shown, numbers = await page.evaluate(_TABLES), await page.evaluate(_FIGURES)
    wrong: dict[str, Any] = {
        name: differing(shown.get(name, []), rows) for name, rows in tables.items() if differing(shown[name], rows)
    }
    wrong |= {name: (numbers[name], value) for name, value in figures.items() if not same(numbers[name], value)}
    assert tables
    assert all(tables.values())
    return wrong
