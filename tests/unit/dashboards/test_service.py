"""Dashboards at work: refreshes are events in the log, faults stay with their dashboard, time is kept."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from hxp_enterprise_llm.event.dashboards.delta import apply
from hxp_enterprise_llm.event.dashboards.service import Dashboards
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import LogFull, Stored
from hxp_enterprise_llm.event.model import BEGINNING, Offset, TypePatterns
from hxp_enterprise_llm.telemetry.metrics import DashboardMetrics
from tests.unit.dashboards.support import (
    METRICS,
    START,
    HandClock,
    alert,
    config,
    data_of,
    make_dashboards,
    seconds_of,
    snapshot,
    stored,
)

REFRESHED = TypePatterns(["dashboard.refreshed"])
ONE = {"dashboards": ["own"], "ports": {}}


def define(directory: Path, *panels: dict[str, Any], **members: Any) -> None:
    definition = {
        "dashboard_id": "34ae2b7c-3c1e-4d0a-9b2e-6f0f5f1c7a01",
        "dashboard_type": "system_health",
        "update_frequency": 5,
        "data_sources": [],
        "panels": [*panels],
    }
    (directory / "own.json").write_text(json.dumps(definition | members))


def stat(id: str, query: str, **more: Any) -> dict[str, Any]:
    return {"panel_id": id, "panel_type": "stat", "data_query": query} | more


class Bench:
    """Dashboards over a log in memory, moved by hand."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        live = {"dashboards": ["own"], "ports": {}} | settings.pop("live", {})
        watched = settings.pop("watched", lambda: True)
        self.settings = config(str(directory), live=live, refresh=settings)
        self.log, self.clock, self.registry = MemoryLog(), HandClock(), CollectorRegistry()
        metrics = DashboardMetrics(self.registry)
        self.dashboards = make_dashboards(
            self.log, settings=self.settings, clock=self.clock, metrics=metrics, watched=watched
        )

    async def open(self) -> "Bench":
        await self.log.open()
        return self

    def see(self, *metrics: float, seconds: float = 5) -> None:
        """Time passes, and a snapshot comes with each cpu_percent."""
        for value in metrics:
            self.clock.at += seconds
            events = stored(snapshot(self.clock.at, METRICS | {"cpu_percent": value}), first=int(self.clock.at))
            self.dashboards.state.take(events, Offset(int(self.clock.at)))

    async def refreshes(self) -> list[dict[str, Any]]:
        batch = await self.log.read(BEGINNING, types=REFRESHED)
        return [data_of(event.raw) for event in batch.events]

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(name, {"dashboard": "own"})


async def test_a_refresh_is_an_event_and_only_when_something_changed(tmp_path: Path) -> None:
    define(tmp_path, stat("cpu", "metric:cpu_percent"), stat("memory", "metric:memory_percent"))
    bench = await Bench(tmp_path).open()
    bench.see(10)
    first = await bench.dashboards.refresh_due()
    bench.see(10)
    unchanged = await bench.dashboards.refresh_due()
    bench.see(11)
    second = await bench.dashboards.refresh_due()
    assert [(each.mode, each.panels) for each in first] == [("full", 2)]
    assert unchanged == []
    assert [(each.mode, each.panels) for each in second] == [("incremental", 1)]
    full, incremental = await bench.refreshes()
    assert (full["base"], incremental["base"]) == (None, full["revision"])
    assert [(panel["panel_id"], panel["value"]) for panel in incremental["panels"]] == [("cpu", 11)]
    assert full["dashboard"] == "own"


async def test_every_dashboard_is_sent(tmp_path: Path) -> None:
    bench = await Bench(tmp_path, live={"dashboards": config().live_dashboard.dashboards}).open()
    bench.see(1)
    refreshed = await bench.dashboards.refresh_due()
    assert {each.dashboard for each in refreshed} == set(bench.dashboards.boards)
    names = [each["dashboard"] for each in await bench.refreshes()]
    assert names[:2] == ["system_health", "operational_overview"]
    assert (len(names), names[-1]) == (5, "business_intelligence")


async def test_deltas_give_the_data_that_is_answered(tmp_path: Path) -> None:
    define(tmp_path, stat("cpu", "metric:cpu_percent[1m]"), stat("memory", "metric:memory_percent"))
    bench = await Bench(tmp_path, mode="delta").open()
    for value in (10, 11, 12, 12):
        bench.see(value)
        await bench.dashboards.refresh_due()
    full, *deltas = await bench.refreshes()
    shown = {panel["panel_id"]: panel for panel in full["panels"]}
    for each in deltas:
        for name, delta in each["delta"].items():
            shown[name] = apply(shown[name], delta)
    assert len(deltas) == 3
    assert list(shown.values()) == bench.dashboards.data("own")["panels"]
    assert "extend" in deltas[-1]["delta"]["cpu"]


async def test_a_dashboard_waits_for_its_own_frequency_and_a_panel_for_its_interval(tmp_path: Path) -> None:
    define(
        tmp_path,
        stat("cpu", "metric:cpu_percent"),
        stat("slow", "metric:cpu_percent", refresh_interval=30),
        update_frequency=10,
    )
    bench = await Bench(tmp_path).open()
    seen = []
    for value in (1, 2, 3, 4, 5, 6, 7):
        bench.see(value)
        if await bench.dashboards.refresh_due():
            panels = bench.dashboards.boards["own"].data()["panels"]
            seen.append([panel["value"] for panel in panels])
    assert seen == [[1, 1], [3, 1], [5, 1], [7, 7]]


async def test_a_batch_is_bounded_and_the_rest_follows(tmp_path: Path) -> None:
    define(tmp_path, *[stat(f"p{n}", "metric:cpu_percent") for n in range(5)])
    bench = await Bench(tmp_path, batch_size=2).open()
    bench.see(1)
    await bench.dashboards.refresh_due()  # the first view is whole; three panels wait all the same
    bench.see(2)
    taken = [await bench.dashboards.refresh_due() for _ in range(3)]
    bench.see(2)
    taken.append(await bench.dashboards.refresh_due())
    assert [sum(each.panels for each in turn) for turn in taken] == [2, 1, 0, 2]
    values = [panel["value"] for panel in bench.dashboards.boards["own"].data()["panels"]]
    assert values == [2, 2, 2, 2, 2]


async def test_a_log_that_is_full_is_told_once_and_nothing_is_lost(tmp_path: Path) -> None:
    define(tmp_path, stat("cpu", "metric:cpu_percent"), stat("memory", "metric:memory_percent"))
    bench = await Bench(tmp_path, mode="delta").open()
    bench.see(1)
    await bench.dashboards.refresh_due()
    for _ in range(3):
        bench.log.fail_next(LogFull("20 GB of 20 GB are used"))
    with capture_logs() as lines:
        for value in (2, 3, 4):
            bench.see(value)
            assert await bench.dashboards.refresh_due() == []
    assert [(line["event"], line["reason"]) for line in lines] == [
        ("dashboards.refresh_not_stored", "the log is full: 20 GB of 20 GB are used")
    ]
    bench.see(4)
    assert len(await bench.dashboards.refresh_due()) == 1
    full, delta = await bench.refreshes()
    assert delta["base"] == full["revision"]
    assert delta["delta"] == {"cpu": {"set": {"/value": 4}}}


async def test_a_forced_refresh_is_whole_and_always_sent(tmp_path: Path) -> None:
    define(tmp_path, stat("cpu", "metric:cpu_percent"))
    bench = await Bench(tmp_path).open()
    bench.see(1)
    first, second = await bench.dashboards.refresh(), await bench.dashboards.refresh(["own"])
    assert [first[0].mode, second[0].mode] == ["full", "full"]
    assert first[0].offset < second[0].offset
    assert len(await bench.refreshes()) == 2
    with pytest.raises(KeyError):
        await bench.dashboards.refresh(["unknown"])


async def test_what_is_not_pushed_is_not_sent(tmp_path: Path) -> None:
    define(
        tmp_path,
        stat("cpu", "metric:cpu_percent"),
        streaming_config={"websocket_enabled": False, "sse_enabled": False, "compression_enabled": False},
    )
    bench = await Bench(tmp_path).open()
    bench.see(1)
    assert await bench.dashboards.refresh_due() == []
    assert bench.dashboards.data("own")["refresh"] == {"pushed": False, "interval": 5}
    assert not bench.dashboards.is_compressed("own")
    assert await bench.refreshes() == []


async def test_data_is_cached_for_an_update_interval(tmp_path: Path) -> None:
    define(tmp_path, stat("cpu", "metric:cpu_percent"))
    bench = await Bench(tmp_path).open()
    values = []
    for value in (1, 2, 3):
        bench.see(value, seconds=3)
        values.append(bench.dashboards.data("own")["panels"][0]["value"])
    assert values == [1, 1, 3]
    fresh = await Bench(tmp_path, live={"caching_enabled": False}).open()
    values = []
    for value in (1, 2):
        fresh.see(value, seconds=1)
        values.append(fresh.dashboards.data("own")["panels"][0]["value"])
    assert values == [1, 2]


async def test_metrics(tmp_path: Path) -> None:
    define(tmp_path, stat("cpu", "metric:cpu_percent"), stat("typo", "metric:cpu_precent"))
    bench = await Bench(tmp_path).open()
    bench.see(1)
    await bench.dashboards.refresh_due()
    bench.see(2)
    await bench.dashboards.refresh_due()
    assert bench.metric("dashboard_update_interval_seconds") == 5
    bench.clock.at += 60
    assert bench.metric("dashboard_update_interval_seconds") == 60
    assert bench.metric("citadel_dashboard_updates_total") == 2
    assert bench.metric("citadel_dashboard_errors_total") == 2


async def test_status_says_what_is_wrong_and_the_others_go_on(tmp_path: Path) -> None:
    define(tmp_path, stat("cpu", "metric:cpu_percent"), stat("typo", "metric:cpu_precent"))
    (tmp_path / "broken.json").write_text('{"dashboard_type": "system_health"}')
    bench = Bench(tmp_path, live={"dashboards": ["own", "broken"]})
    bench.see(7)
    data = bench.dashboards.data("own")
    assert [panel.get("value") for panel in data["panels"]] == [7, None]
    status = bench.dashboards.status()
    own, broken = status["dashboards"]["own"], status["dashboards"]["broken"]
    assert (own["status"], own["faults"]) == (
        "fault",
        ["metric:cpu_precent: no metric is named 'cpu_precent' (did you mean cpu_percent?)"],
    )
    assert broken["faults"][0] == f"{tmp_path}/broken.json:1:1: dashboard_id: is required and missing"
    assert (broken["panels"], broken["type"]) == (0, None)
    assert status["refresh"] == {"enabled": True, "interval": 5, "mode": "incremental", "mode_in_use": "incremental"}
    data = bench.dashboards.data("broken")
    assert (data["panels"], len(data["faults"]), data["refresh"]["pushed"]) == ([], 3, False)
    assert [each.dashboard for each in await (await bench.open()).dashboards.refresh()] == ["own"]


async def test_a_reload_takes_what_is_good_and_keeps_what_was(tmp_path: Path) -> None:
    define(tmp_path, stat("cpu", "metric:cpu_percent"), title="Old")
    bench = Bench(tmp_path)
    bench.see(1)
    assert bench.dashboards.data("own")["title"] == "Old"

    (tmp_path / "own.json").write_text("{")
    with capture_logs() as lines:
        bench.dashboards.prepare(bench.settings)()
    data = bench.dashboards.data("own")
    assert (data["title"], len(data["panels"])) == ("Old", 1)
    fault = f"{tmp_path}/own.json:1:2: not valid JSON: Expecting property name enclosed in double quotes"
    assert data["faults"] == [fault]
    assert lines == [
        {"event": "dashboards.definition_faulty", "dashboard": "own", "fault": fault, "log_level": "warning"}
    ]

    define(tmp_path, stat("memory", "metric:memory_percent"), title="New")
    swap = bench.dashboards.prepare(config(str(tmp_path), live={"dashboards": ["own", "system_health"]}))
    assert bench.dashboards.data("own")["title"] == "Old"
    swap()
    data = bench.dashboards.data("own")
    assert (data["title"], data["faults"], data["panels"][0]["panel_id"]) == ("New", [], "memory")
    assert list(bench.dashboards.boards) == ["own", "system_health"]

    bench.dashboards.prepare(config(str(tmp_path), live={"dashboards": ["system_health"]}))()
    assert bench.metric("dashboard_update_interval_seconds") is None


@asynccontextmanager
async def running(dashboards: Dashboards) -> AsyncIterator[None]:
    task = asyncio.create_task(dashboards.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def first_refreshes(log: MemoryLog, count: int) -> list[Stored]:
    found: list[Stored] = []
    async with asyncio.timeout(30):
        async for batch in log.follow(BEGINNING, types=REFRESHED):
            found += batch.events
            if len(found) >= count:
                break
    return found


async def test_it_refreshes_in_time_without_being_asked(tmp_path: Path) -> None:
    define(tmp_path, stat("cpu", "metric:cpu_percent"), update_frequency=1)
    bench = await Bench(tmp_path, interval=0.05, mode="delta").open()
    await bench.log.append(seconds_of(2))
    async with running(bench.dashboards):
        await first_refreshes(bench.log, 1)
        bench.clock.at += 2
        await bench.log.append([snapshot(bench.clock.at, METRICS | {"cpu_percent": 99.0})])
        full, delta = await first_refreshes(bench.log, 2)
    assert data_of(full.raw)["mode"] == "full"
    assert data_of(delta.raw)["delta"] == {"cpu": {"set": {"/value": 99.0}}}


async def test_smart_refreshes_at_once_when_an_alert_fires(tmp_path: Path) -> None:
    panel = {"panel_id": "a", "panel_type": "table", "data_query": "events:alert.*"}
    define(tmp_path, panel, update_frequency=60)
    bench = await Bench(tmp_path, interval=3600, mode="smart").open()
    await bench.log.append(seconds_of(2))
    async with running(bench.dashboards):
        await first_refreshes(bench.log, 1)
        await bench.log.append([alert("firing", "slow", START)])
        _, second = await first_refreshes(bench.log, 2)
    assert '"rule":"slow"' in second.raw.decode()


async def test_smart_is_slower_while_nobody_looks_and_ordinary_once_somebody_does(tmp_path: Path) -> None:
    define(tmp_path, stat("cpu", "metric:cpu_percent"), update_frequency=1)
    bench = Bench(tmp_path, mode="smart", watched=lambda: looks)
    await bench.open()
    looks = False
    turns = []
    for second in range(24):
        looks = second >= 22
        bench.see(float(second), seconds=1)
        turns += [second for _ in await bench.dashboards.refresh_due()]
    assert turns == [0, 10, 20, 22, 23]


async def test_the_other_modes_do_not_ask_who_looks(tmp_path: Path) -> None:
    define(tmp_path, stat("cpu", "metric:cpu_percent"), update_frequency=1)
    bench = await Bench(tmp_path, mode="delta", watched=lambda: False).open()
    for second in range(3):
        bench.see(float(second), seconds=1)
        assert await bench.dashboards.refresh_due()


async def test_switched_off_it_does_nothing_and_does_not_end(tmp_path: Path) -> None:
    bench = await Bench(tmp_path, live={"enabled": False}).open()
    task = asyncio.create_task(bench.dashboards.run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()
    assert not bench.dashboards.follower.ready.is_set()
    task.cancel()


def turns_of(clock: HandClock, count: int) -> asyncio.Event:
    """Set after the timer, which asks for the time once a turn, had so many turns."""
    ask, done, left = clock.monotonic, asyncio.Event(), iter(range(count - 1))

    def monotonic() -> float:
        if next(left, None) is None:
            done.set()
        return ask()

    clock.monotonic = monotonic  # type: ignore[method-assign]
    return done


async def test_refresh_switched_off_follows_without_sending(tmp_path: Path) -> None:
    define(tmp_path, stat("cpu", "metric:cpu_percent"))
    bench = await Bench(tmp_path, enabled=False, interval=0.01).open()
    await bench.log.append(seconds_of(2))
    turns = turns_of(bench.clock, 5)
    async with running(bench.dashboards):
        await bench.dashboards.follower.ready.wait()
        await turns.wait()
        assert bench.dashboards.data("own")["panels"][0]["value"] == 38.0
    assert await bench.refreshes() == []


async def test_health_in_words(tmp_path: Path) -> None:
    define(tmp_path, stat("cpu", "metric:cpu_percent"))
    bench = await Bench(tmp_path).open()
    assert bench.dashboards.health().status == "degraded"
    async with running(bench.dashboards):
        await bench.dashboards.follower.ready.wait()
        assert bench.dashboards.health().status == "ok"
        define(tmp_path, stat("cpu", "metrc:cpu_percent"))
        bench.dashboards.prepare(bench.settings)()
        assert (bench.dashboards.health().status, "own" in bench.dashboards.health().reason) == ("degraded", True)
    off = Bench(tmp_path, live={"enabled": False})
    assert off.dashboards.health().status == "ok"
    off.dashboards.prepare(bench.settings)()
    assert not off.dashboards.enabled
