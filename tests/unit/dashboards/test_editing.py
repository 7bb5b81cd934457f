"""Definitions are saved whole or not at all, read again by themselves; feedback is an event."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from hxp_enterprise_llm.event.dashboards import keeping
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import LogUnavailable
from hxp_enterprise_llm.event.model import BEGINNING, TypePatterns
from tests.unit.dashboards.site import serving
from tests.unit.dashboards.support import config
from tests.unit.dashboards.test_api import ask

PATH = "/dashboards/system_health/definition"


def changed(**members: Any) -> dict[str, Any]:
    shipped = json.loads(keeping.source(Path("/nowhere"), "system_health"))
    return shipped | members


async def test_what_is_saved_is_in_use_and_can_be_had_again(tmp_path: Path) -> None:
    async with serving(settings=config(str(tmp_path))) as site:
        status, before, _ = await ask(site, "GET", PATH)
        assert (status, before["title"]) == (200, "System health")
        ours = changed(
            title="Ours", panels=[{"panel_id": "a", "panel_type": "feed", "data_query": "events:llm.*", "width": 6}]
        )
        status, body, _ = await ask(site, "PUT", PATH, json=ours)
        assert (status, body) == (200, {"dashboard": "system_health", "panels": 1})
        assert site.dashboards.boards["system_health"].title == "Ours"
        status, after, response = await ask(site, "GET", PATH)
        assert after == ours
        assert response.headers["Content-Disposition"] == 'attachment; filename="system_health.json"'
        status, data, _ = await ask(site, "GET", "/dashboards/system_health/data")
        assert [(panel["kind"], panel["width"]) for panel in data["panels"]] == [("events", 6)]
    assert json.loads((tmp_path / "system_health.json").read_text()) == ours
    assert [path.name for path in tmp_path.iterdir()] == ["system_health.json"]


async def test_what_cannot_be_used_is_not_saved(tmp_path: Path) -> None:
    async with serving(settings=config(str(tmp_path))) as site:
        status, body, _ = await ask(site, "PUT", PATH, json=changed(update_frequency=0, dashboard_id="x"))
        assert (status, body["error"]["code"], len(body["error"]["faults"])) == (400, "bad_definition", 2)
        status, body, _ = await ask(site, "PUT", "/dashboards/other/definition", json=changed())
        assert (status, body["error"]["code"]) == (404, "unknown_dashboard")
        assert site.dashboards.boards["system_health"].title == "System health"
    assert list(tmp_path.iterdir()) == []


async def test_what_somebody_else_changed_is_not_written_over(tmp_path: Path) -> None:
    async with serving(settings=config(str(tmp_path))) as site:
        _, _, read = await ask(site, "GET", PATH)
        tag = {"If-Match": read.headers["ETag"]}
        status, _, _ = await ask(site, "PUT", PATH, json=changed(title="First"), headers=tag)
        assert status == 200
        status, body, _ = await ask(site, "PUT", PATH, json=changed(title="Second"), headers=tag)
        assert (status, body["error"]["code"]) == (412, "changed_meanwhile")
        assert site.dashboards.boards["system_health"].title == "First"


async def test_a_fault_in_a_file_reaches_who_looks_and_the_last_good_version_stays(tmp_path: Path) -> None:
    settings = config(str(tmp_path), refresh={"interval": 0.05, "mode": "delta"})
    async with serving(settings=settings) as site:
        await refreshes(site.log, 1, "system_health")
        (tmp_path / "system_health.json").write_text('{"title":\n "Ours", 7}')
        *_, told = await refreshes(site.log, 2, "system_health")
        assert told["mode"] == "full"
        assert told["panels"]
        assert f"{tmp_path}/system_health.json:2:10" in told["faults"][0]
        (tmp_path / "system_health.json").write_text(json.dumps(changed(title="Ours")))
        *_, mended = await refreshes(site.log, 3, "system_health")
        assert (mended["title"], mended["faults"]) == ("Ours", [])


async def refreshes(log: MemoryLog, count: int, dashboard: str) -> list[dict[str, Any]]:
    """The first refreshes of a dashboard, once there are so many."""
    async with asyncio.timeout(10):
        while True:
            batch = await log.read(BEGINNING, types=TypePatterns(["dashboard.refreshed"]))
            found = [json.loads(event.raw)["data"] for event in batch.events]
            mine = [data for data in found if data["dashboard"] == dashboard]
            if len(mine) >= count:
                return mine
            await asyncio.sleep(0.02)


async def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with serving(settings=config(str(tmp_path / "file"))) as site:
        status, body, _ = await ask(site, "PUT", PATH, json=changed())
    assert (status, body["error"]["code"]) == (409, "not_saved")


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    folder = tmp_path / "dashboards"
    folder.mkdir()
    (folder / ".a.json.new").symlink_to(outside)
    with pytest.raises(OSError, match="symbolic links"):
        keeping.write(folder, "a", "{}")
    (folder / ".a.json.new").unlink()
    (folder / "a.json").symlink_to(outside)
    keeping.write(folder, "a", "{}")
    assert (outside.read_text(), (folder / "a.json").read_text()) == ("mine", "{}")
    assert not (folder / "a.json").is_symlink()


async def test_a_changed_file_is_read_and_a_faulty_one_says_so(tmp_path: Path) -> None:
    file = tmp_path / "system_health.json"
    file.write_text(json.dumps(changed(title="First")))
    async with serving(settings=config(str(tmp_path)), running=False) as site:
        board = site.dashboards.boards["system_health"]
        assert board.title == "First"
        file.write_text(json.dumps(changed(title="Second one")))
        site.dashboards.look_at_files()
        assert site.dashboards.boards["system_health"].title == "Second one"
        file.write_text('{"title": ')
        os.utime(file, ns=(1, 1))
        site.dashboards.look_at_files()
        assert site.dashboards.boards["system_health"].title == "Second one"
        assert "not valid JSON" in str(site.dashboards.boards["system_health"].faults[0])


async def test_feedback_is_stored_and_listed() -> None:
    log = MemoryLog()
    await log.open()
    async with serving(log=log) as site:
        said = {"text": "The limit should be mine to set.", "rating": 4, "view": "/view/requests"}
        status, body, _ = await ask(site, "POST", "/feedback", json=said)
        assert status == 202
        batch = await log.read(BEGINNING, types=TypePatterns(["feedback"]))
        assert (batch.events[0].offset, json.loads(batch.events[0].raw)["data"]) == (body["offset"], said)
        async with asyncio.timeout(10):
            while not (await ask(site, "GET", "/feedback"))[1]["feedback"]:
                await asyncio.sleep(0.01)
        status, body, _ = await ask(site, "GET", "/feedback")
        assert [each["data"]["text"] for each in body["feedback"]] == [said["text"]]


@pytest.mark.parametrize("body", ["{}", '{"text": ""}', '{"text": "x", "rating": 6}', '{"text": "x", "other": 1}', "{"])
async def test_feedback_that_cannot_be_used(body: str) -> None:
    async with serving(running=False) as site:
        headers = {"Content-Type": "application/json"}
        status, answer, _ = await ask(site, "POST", "/feedback", data=body, headers=headers)
    assert (status, answer["error"]["code"]) == (400, "bad_body")


async def test_feedback_that_cannot_be_stored() -> None:
    log = MemoryLog()
    await log.open()
    async with serving(log=log, running=False) as site:
        log.fail_next(LogUnavailable("no connection", maybe_stored=False))
        status, body, _ = await ask(site, "POST", "/feedback", json={"text": "x"})
    assert (status, body["error"]["code"]) == (503, "not_stored")
