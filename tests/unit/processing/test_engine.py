"""The engine on virtual time: following, ticking, outages of the log, reload."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from hxp_enterprise_llm.config.processing import AnalyticsConfig, MetricConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import Batch, LogUnavailable, Stored
from hxp_enterprise_llm.event.model import BEGINNING, Offset, TypePatterns
from hxp_enterprise_llm.event.processing.analytics import LabelledValue
from hxp_enterprise_llm.event.processing.engine import AnalyticsEngine
from hxp_enterprise_llm.event.processing.metrics import MetricFault
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics

from .events import NOW, event
from .virtual import NOWHERE, VirtualClock, engine_of, opened, running, settle, until

COUNT = MetricConfig(name="count", types=["bench.*"], kind="count")


async def snapshots(log: MemoryLog) -> list[dict[str, Any]]:
    batch = await log.read(BEGINNING, 100_000, types=TypePatterns(["analytics.snapshot"]))
    return [msgspec.json.decode(stored.raw) for stored in batch.events]


async def test_each_tick_puts_a_snapshot_into_the_log() -> None:
    clock = VirtualClock(NOW + 0.25)
    log = await opened(clock)
    async with running(engine_of(log, clock)):
        await log.append(
            [event(n, "llm.request.completed", NOW, latency_ms=840, input_tokens=8, output_tokens=1) for n in range(5)]
        )
        await clock.advance(2)
    first, second = await snapshots(log)
    epoch = (await log.bounds()).epoch
    assert first["id"] == f"snapshot/{epoch}/{NOW + 1:.0f}"
    assert first["source"] == "/processing"
    assert first["time"] == first["data"]["at"] == "2027-01-15T08:00:01.000Z"
    data = second["data"]
    assert (data["seq"], data["tick_s"], data["events_total"], data["sources"], data["late"]) == (2, 1, 5, 1, 0)
    assert data["metrics"]["latency"] == 840
    assert data["metrics"]["cpu_percent"] is None
    assert data["windows"]["10s"]["tokens"] == 45
    assert data["windows"]["5m"]["request_rate"] == 5 / 2
    assert data["units"]["latency"] == "ms"
    assert data["position"] == 18, "five events and the first snapshot, three offsets apart"


async def test_ticks_do_not_drift_and_leave_out_what_was_missed() -> None:
    clock = VirtualClock(NOW + 0.9)
    log = await opened(clock)
    async with running(engine_of(log, clock)):
        await clock.advance(60)
        at = [snapshot["data"]["at"] for snapshot in await snapshots(log)]
    assert at == [f"2027-01-15T08:00:{second:02}.000Z" for second in range(1, 60)] + ["2027-01-15T08:01:00.000Z"]


async def test_own_events_do_not_feed_the_figures() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    async with running(engine_of(log, clock)) as engine:
        await clock.advance(20)
        now = engine.snapshot()
    assert (now.events_total, now.sources, now.metrics["throughput"]) == (0, 0, 0)


async def test_a_failing_append_is_said_once_and_tried_again_each_tick() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    for _ in range(3):
        log.fail_next(LogUnavailable("disk on fire", maybe_stored=False))
    with capture_logs() as lines:
        async with running(engine_of(log, clock)) as engine:
            await clock.advance(3)
            part = engine.health()
            assert (part.status, part.reason) == (
                "degraded",
                "snapshots cannot be stored: the log is not available: disk on fire",
            )
            await clock.advance(2)
            assert engine.health().status == "ok"
    assert [snapshot["data"]["seq"] for snapshot in await snapshots(log)] == [4, 5]
    named = [line["event"] for line in lines if line["event"].startswith("analytics.append")]
    assert named == ["analytics.append.failing", "analytics.append.recovered"]


async def test_a_log_that_is_away_is_asked_again_until_it_is_back() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    config = AnalyticsConfig(metrics=[COUNT])
    with capture_logs() as lines:
        async with running(engine_of(log, clock, config)) as engine:
            await log.append([event(1, "bench.tick")])
            await settle()
            await log.close()
            await clock.advance(30)
            assert engine.health().reason == "the log cannot be followed: the log is closed"
            await log.open()
            await log.append([event(2, "bench.tick", clock.time())])
            await clock.advance(5)
            assert engine.snapshot().metrics["count"] == 2
            assert engine.health().status == "ok"
    named = [line["event"] for line in lines if line["event"].startswith("analytics.follow")]
    assert named == ["analytics.follow.failing", "analytics.follow.recovered"]


async def test_a_log_made_anew_is_read_anew() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    async with running(engine_of(log, clock, AnalyticsConfig(metrics=[COUNT]))) as engine:
        await log.append([event(n, "bench.tick") for n in range(7)])
        await clock.advance(2)
        before = engine.snapshot()
        log.recreate()
        await log.append([event(1, "bench.tick", clock.time())])
        await clock.advance(1)
        await until(lambda: engine.ready)
        await clock.advance(1)
        after = engine.snapshot()
        epoch = (await log.bounds()).epoch
    assert (before.metrics["count"], before.events_total) == (7, 7)
    assert (after.metrics["count"], after.events_total) == (1, 1)
    assert after.seq > before.seq
    assert all(snapshot["id"].startswith(f"snapshot/{epoch}/") for snapshot in await snapshots(log))


async def test_a_cursor_that_was_trimmed_away_leads_to_a_rebuild() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    engine = engine_of(log, clock, AnalyticsConfig(metrics=[COUNT]))
    await engine.rebuild()
    for number in range(9):
        await log.append([event(number, "bench.tick")])
    await log.trim(Offset(12))
    with capture_logs() as lines:
        async with running(engine):
            await clock.advance(1)
            await until(lambda: engine.ready)
            assert engine.snapshot().metrics["count"] == 5
    assert "analytics.cursor_lost" in [line["event"] for line in lines]


async def test_no_snapshot_is_published_before_the_windows_are_filled() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    engine = engine_of(log, clock)
    ticks = asyncio.create_task(engine.run_ticks())
    await clock.advance(5)
    assert await snapshots(log) == []
    assert engine.health().reason == "the windows are being rebuilt from the log"
    await engine.rebuild()
    await clock.advance(1)
    assert len(await snapshots(log)) == 1
    ticks.cancel()


async def test_lag_and_processed_are_measured() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    registry = CollectorRegistry()
    config = AnalyticsConfig(metrics=[COUNT, MetricConfig(name="mean", types=["*"], kind="mean", field="data.x")])
    engine = AnalyticsEngine(config, log, NOWHERE, clock=clock, metrics=ProcessingMetrics(registry), sleep=clock.sleep)
    await engine.rebuild()
    await log.append([event(n, "bench.tick") for n in range(2500)])
    # Also while nobody follows: a scrape tells what the log knows.
    assert registry.get_sample_value("citadel_processing_lag_events") == engine.lag == 7500
    follow = asyncio.create_task(engine.run_follow())
    await until(lambda: engine.position == 3000)
    assert registry.get_sample_value("citadel_processing_lag_events") == engine.lag == 4500
    await until(lambda: engine.lag == 0)
    assert registry.get_sample_value("citadel_events_processed_total") == 2500
    follow.cancel()
    async with running(engine):
        await clock.advance(1)
    assert registry.get_sample_value("citadel_metric_value", {"metric": "count"}) == 2500
    mean = registry.get_sample_value("citadel_metric_value", {"metric": "mean"})
    assert mean is not None
    assert mean != mean, "no value is NaN, not 0"
    assert registry.get_sample_value("citadel_analytics_tick_duration_seconds_count") == 1
    engine.prepare(AnalyticsConfig(metrics=[COUNT]))()
    assert registry.get_sample_value("citadel_metric_value", {"metric": "mean"}) is None


async def test_a_reload_keeps_what_is_unchanged_and_changes_nothing_when_it_is_faulty() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    async with running(engine_of(log, clock, AnalyticsConfig(metrics=[COUNT]))) as engine:
        await log.append([event(n, "bench.tick") for n in range(4)])
        await clock.advance(1)
        with pytest.raises(MetricFault):
            engine.prepare(AnalyticsConfig(metrics=[MetricConfig(name="p", types=["*"], kind="quantile")]))
        more = MetricConfig(name="more", types=["bench.*"], kind="sum", field="data.x")
        commit = engine.prepare(AnalyticsConfig(metrics=[more, COUNT]))
        assert "more" not in engine.snapshot().metrics
        commit()
        await log.append([event(9, "bench.tick", clock.time(), x=2)])
        await settle()
        assert engine.snapshot().metrics == {"more": 2, "count": 5}


async def test_a_metric_removed_before_it_was_ever_shown_is_no_fault() -> None:
    clock = VirtualClock()
    engine = engine_of(await opened(clock), clock)
    engine.prepare(AnalyticsConfig(metrics=[COUNT]))()
    await engine.rebuild()
    assert set(engine.snapshot().metrics) == {"count"}


async def test_a_faulty_metric_is_refused_at_the_start() -> None:
    clock = VirtualClock()
    with pytest.raises(MetricFault, match="metric p: kind quantile needs"):
        engine_of(
            await opened(clock),
            clock,
            AnalyticsConfig(metrics=[MetricConfig(name="p", types=["*"], kind="quantile")]),
        )


async def test_a_clock_set_back_is_said_and_snapshots_go_on() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    with capture_logs() as lines:
        async with running(engine_of(log, clock)):
            await clock.advance(3)
            clock.set_wall(NOW - 3600)
            await clock.advance(2)
            clock.set_wall(NOW)
            await clock.advance(3)
    assert [line["by_s"] for line in lines if line["event"] == "analytics.clock_set"] == [-3603, 3598]
    found = await snapshots(log)
    assert [snapshot["data"]["seq"] for snapshot in found] == list(range(1, len(found) + 1)), (
        "none was taken for a repeat"
    )
    assert len(found) == 8


@pytest.mark.parametrize("seconds", [86400.0, -86400.0, -3600.0, -30.0, 30.0])
async def test_a_clock_that_is_set_changes_no_window(seconds: float) -> None:
    """What was taken in goes along with the clock: a rate that nothing happened to stays what it is."""
    clock = VirtualClock()
    log = await opened(clock)
    async with running(engine := engine_of(log, clock, AnalyticsConfig(metrics=[COUNT]))):
        await clock.advance(3)
        await log.append([event(n, "bench.tick", None) for n in range(3)])
        await clock.advance(2)
        before = engine.snapshot()
        clock.set_wall(clock.time() + seconds)
        after = engine.snapshot()
        assert before.metrics["count"] == 3
        assert (after.metrics, after.windows, after.late) == (before.metrics, before.windows, 0)
        await log.append([event(n, "bench.tick", None) for n in (3, 4)])
        await clock.advance(2)
        assert engine.snapshot().metrics["count"] == 5


async def test_a_broken_log_does_not_end_the_engine_by_itself_but_a_bug_does() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    engine = engine_of(log, clock)
    await engine.rebuild()

    async def broken(*_: object, **__: object) -> Any:
        raise ZeroDivisionError

    log.read = broken  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        await engine.run_follow()


async def test_stored_events_without_metrics_are_passed_over() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    async with running(engine_of(log, clock, AnalyticsConfig(metrics=[COUNT]))) as engine:
        await log.append([event(1, "alert.firing"), event(2, "bench.tick")])
        await settle()
        assert engine.snapshot().events_total == 1
        assert engine.snapshot().position == (await log.bounds()).head
        assert isinstance((await log.read(BEGINNING)).events[0], Stored)


class Wide(MemoryLog):
    """Answers with as many events as there are, but nothing at once."""

    async def read(
        self, after: Offset, limit: int = 1000, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> Batch:
        return super().read_nowait(after, 10_000, types=types, epoch=epoch)

    def read_nowait(
        self, after: Offset, limit: int = 1000, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> None:
        return None


async def test_a_large_batch_leaves_the_loop_to_others_and_every_stop_is_whole() -> None:
    clock = VirtualClock()
    log = Wide(clock=clock)
    await log.open()
    engine = engine_of(log, clock, AnalyticsConfig(metrics=[COUNT]))
    await engine.rebuild()
    await log.append([event(n, "bench.tick") for n in range(4096)])
    await log.append([event(n, "bench.tick") for n in range(4096, 5000)])
    follow = asyncio.create_task(engine.run_follow())
    stops: set[tuple[int, float | None, int, int]] = set()
    position = 0
    while position < 5000:
        await asyncio.sleep(0)
        now = engine.snapshot()
        position = now.position
        stops.add((now.position, now.metrics["count"], now.events_total, engine.lag))
    follow.cancel()
    assert {0, 1024, 2048, 3072, 4096, 5000} >= {position for position, *_ in stops} >= {1024, 2048, 3072, 4096, 5000}
    assert all(position == count == total for position, count, total, _ in stops)
    assert (4096, 4096, 4096, 904) in stops


async def test_a_snapshot_holds_what_came_while_the_engine_rested() -> None:
    clock = VirtualClock(NOW + 0.5)
    log = await opened(clock)
    async with running(engine_of(log, clock, AnalyticsConfig(metrics=[COUNT]))) as engine:
        await log.append([event(1, "bench.tick")])
        await clock.advance(0.495)
        await log.append([event(2, "bench.tick")])
        await settle()
        await log.append([event(3, "bench.tick")])
        await clock.advance(0.005)
        (first,) = await snapshots(log)
        assert (first["data"]["metrics"]["count"], first["data"]["position"]) == (3, 9)
        await clock.advance(0.2)
        assert engine.snapshot().metrics["count"] == 3, "none is taken in twice"


async def test_small_appends_are_taken_in_together() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    async with running(engine_of(log, clock, AnalyticsConfig(metrics=[COUNT]))) as engine:
        positions = set()
        for number in range(1, 41):
            await log.append([event(number, "bench.tick")])
            await clock.advance(0.002)
            positions.add(engine.health().facts["position"])
        await clock.advance(0.1)
        assert engine.lag == 0
    assert 3 <= len(positions) <= 6


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1500), st.sampled_from([0, 0.001, 0.019, 0.02, 0.3, 1.1]), st.booleans())))
def test_whoever_asks_hears_of_all_that_is_in_the_log(steps: list[tuple[int, float, bool]]) -> None:
    async def run() -> None:
        clock, total = VirtualClock(), 0
        log = await opened(clock)
        async with running(engine_of(log, clock, AnalyticsConfig(metrics=[COUNT]))) as engine:
            for count, seconds, asked in steps:
                if count:
                    await log.append([event(total + n, "bench.tick", clock.time()) for n in range(count)])
                total += count
                if asked:
                    assert engine.snapshot().events_total == total
                await clock.advance(seconds)
            await clock.advance(0.1)
            assert (engine.lag, engine.health().facts["position"]) == (0, (await log.bounds()).head)
            assert engine.snapshot().events_total == total

    asyncio.run(run())


async def test_values_of_others_join_the_snapshot_and_declared_metrics_go_before_them() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    engine = AnalyticsEngine(
        AnalyticsConfig(metrics=[COUNT]),
        log,
        NOWHERE,
        clock=clock,
        metrics=ProcessingMetrics(CollectorRegistry()),
        sleep=clock.sleep,
        extras=[lambda: {"cost_usd_today": 1.25, "count": 99.0}, lambda: {"tokens_next_hour": None}],
        extra_groups=[lambda: {"budget_used_ratio": [LabelledValue({"budget": "team"}, 0.5)]}],
    )
    async with running(engine):
        await clock.advance(1)
    (snapshot,) = await snapshots(log)
    assert snapshot["data"]["metrics"] == {"cost_usd_today": 1.25, "count": 0, "tokens_next_hour": None}
    assert snapshot["data"]["units"] == {"cost_usd_today": "USD", "count": "", "tokens_next_hour": "tokens"}
    assert snapshot["data"]["groups"] == {"budget_used_ratio": [{"labels": {"budget": "team"}, "value": 0.5}]}
