"""Dashboards changed in the page: what is saved is in use, what cannot be used is said and changes nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.integration.daemon import Daemon
from tests.integration.pages import ask, opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

NAME = "system_health"
PATH = f"/dashboards/{NAME}"


def file_of(busy: Daemon) -> Path:
    return busy.data.parent / "dashboards" / f"{NAME}.json"


async def editing(page: Page, busy: Daemon) -> None:
    await opened(page, busy.gateway + PATH)
    await page.get_by_role("button", name="Edit this dashboard").click()
    await expect(page.locator(".editable").first).to_be_visible()


def panels(busy: Daemon) -> list[dict[str, Any]]:
    return json.loads(file_of(busy).read_text())["panels"]


async def test_a_panel_is_added_moved_resized_and_saved(page: Page, busy: Daemon) -> None:
    await editing(page, busy)
    await page.get_by_role("button", name="Add a panel").click()
    form = page.get_by_role("dialog", name="Add a panel")
    await form.get_by_label("Title").fill("Errors here")
    await form.get_by_label("Query").fill("cuont:llm.request.failed[5m]")
    await form.get_by_role("button", name="Add", exact=True).click()
    await expect(form.locator("#query-fault")).to_contain_text("did you mean count?")
    await form.get_by_label("Query").fill("count:llm.request.failed[5m]")
    await form.get_by_role("button", name="Add", exact=True).click()
    await expect(form).to_have_count(0)
    await expect(page.locator("[data-editing=errors_here]")).to_be_visible()
    for _ in range(2):
        await page.get_by_role("button", name="Narrower: Errors here").click()
    await page.get_by_role("button", name="Move before: Errors here").click()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator(".edit-bar")).to_have_count(0)
    await expect(page.locator("[data-panel='Errors here']")).to_be_visible()
    *_, added, _ = panels(busy)
    assert added == {
        "panel_id": "errors_here",
        "panel_type": "graph",
        "data_query": "count:llm.request.failed[5m]",
        "title": "Errors here",
        "width": 4,
    }
    data = await ask(f"{busy.gateway}{PATH}/data")
    assert data["panels"][-2]["panel_id"] == "errors_here"


async def test_the_panels_stay_while_the_definition_is_read(page: Page, busy: Daemon) -> None:
    held = asyncio.Event()

    async def hold(route: Route) -> None:
        await held.wait()
        await route.continue_()

    await opened(page, busy.gateway + PATH)
    await page.route("**/definition", hold)
    count = await page.locator("main section").count()
    await page.get_by_role("button", name="Edit this dashboard").click()
    await expect(page.locator(".edit-bar")).to_contain_text(f"Reading the definition {NAME}.json")
    assert await page.locator("main section").count() == count > 0
    held.set()
    await expect(page.locator(".edit-bar")).to_contain_text("Nothing changed")
    await expect(page.locator(".editable")).to_have_count(count)


async def test_a_panel_is_edited_and_removed_and_what_is_discarded_is_as_it_was(page: Page, busy: Daemon) -> None:
    await editing(page, busy)
    first = page.locator(".editable").first
    await first.get_by_role("button", name="Edit").click()
    form = page.get_by_role("dialog")
    await form.get_by_label("Title").fill("Renamed")
    await form.get_by_role("button", name="Apply").click()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator(".edit-bar")).to_have_count(0)
    await expect(page.get_by_role("heading", name="Renamed")).to_be_visible()
    before = panels(busy)
    assert before[0]["title"] == "Renamed"
    await page.get_by_role("button", name="Edit this dashboard").click()
    await page.get_by_role("button", name="Remove: Renamed").click()
    await expect(page.get_by_role("heading", name="Renamed")).to_have_count(0)
    await page.get_by_role("button", name="Discard").click()
    await expect(page.get_by_role("heading", name="Renamed")).to_be_visible()
    assert panels(busy) == before


async def test_a_file_is_imported_and_its_faults_have_their_places(page: Page, busy: Daemon, tmp_path: Path) -> None:
    await editing(page, busy)
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="Export").click()
    exported = tmp_path / "exported.json"
    await (await waiting.value).save_as(exported)
    assert (await waiting.value).suggested_filename == f"{NAME}.json"
    good = json.loads(exported.read_text())
    bad = json.dumps(good | {"update_frequency": 99}, indent=2)
    line = next(n for n, each in enumerate(bad.splitlines(), 1) if "update_frequency" in each)
    await upload(page, tmp_path, bad)
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text(f"{NAME}.json:{line}:23")
    await upload(page, tmp_path, "{")
    await expect(page.get_by_role("alert")).to_contain_text("is not valid JSON")
    await upload(page, tmp_path, json.dumps(good | {"title": "From a file"}))
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator(".edit-bar")).to_have_count(0)
    assert json.loads(file_of(busy).read_text())["title"] == "From a file"


async def upload(page: Page, directory: Path, text: str) -> None:
    file = directory / "import.json"
    file.write_text(text)
    await page.locator(".edit-bar input[type=file]").set_input_files(file)


async def test_a_fault_written_into_the_file_shows_in_place_and_the_last_good_version_stays(
    page: Page, busy: Daemon
) -> None:
    await opened(page, busy.gateway + PATH)
    count = await page.locator("main section").count()
    source = (await ask(f"{busy.gateway}{PATH}/definition")) | {"dashboard_type": "helth"}
    file_of(busy).parent.mkdir(exist_ok=True)
    file_of(busy).write_text(json.dumps(source, indent=2))
    await expect(page.locator(".fault-box")).to_contain_text(f"{NAME}.json:3:")
    await expect(page.locator(".fault-box")).to_contain_text("helth")
    assert await page.locator("main section").count() == count
    file_of(busy).write_text(json.dumps(source | {"dashboard_type": "system_health"}))
    await expect(page.locator(".fault-box")).to_have_count(0)


async def test_one_panel_that_cannot_be_answered_says_so_and_the_others_go_on(page: Page, busy: Daemon) -> None:
    await opened(page, busy.gateway + PATH)
    source = await ask(f"{busy.gateway}{PATH}/definition")
    wrong = {"panel_id": "wrong", "panel_type": "graph", "title": "Wrong", "data_query": "metric:latencyp95[10m]"}
    file_of(busy).parent.mkdir(exist_ok=True)
    file_of(busy).write_text(json.dumps(source | {"panels": [*source["panels"], wrong]}))
    await expect(page.locator("[data-panel=Wrong] .fault-box")).to_contain_text("did you mean")
    await expect(page.locator("main .stat .figure").first).not_to_be_empty()
    file_of(busy).write_text(json.dumps(source))
    await expect(page.locator("[data-panel=Wrong]")).to_have_count(0)
