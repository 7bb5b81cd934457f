"""After a restart the windows are what they were: a rebuilt engine against one that was never stopped."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from hxp_enterprise_llm.config.processing import AnalyticsConfig, MetricConfig, default_metrics
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import Batch, Bounds, Gone, LogClosed, LogUnavailable
from hxp_enterprise_llm.event.model import Event, Offset, TypePatterns, encode
from hxp_enterprise_llm.event.processing.engine import AnalyticsEngine
from hxp_enterprise_llm.event.processing.rebuild import survey
from hxp_enterprise_llm.event.processing.snapshot import read_mark
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics

from .events import NOW, event, stored
from .virtual import NOWHERE, VirtualClock, engine_of, opened, running, until

CONFIG = AnalyticsConfig(
    metrics=[*default_metrics(), MetricConfig(name="latency_last", types=["*"], kind="last", field="data.latency_ms")]
)
TYPES = ["llm.request.completed", "llm.request.failed", "agent.started", "host.cpu", "alert.firing"]


async def traffic(log: MemoryLog, clock: VirtualClock, seconds: int, seed: int) -> None:
    """Events each second, some of them late or very late, then that second passes."""
    chance = random.Random(seed)
    for _ in range(seconds):
        batch = []
        for _ in range(chance.randrange(6)):
            back = chance.choice([0, 0, 0, 0.4, 3, 45, 250, 1000])
            batch.append(
                event(
                    int(clock.new_id()[2:]),
                    chance.choice(TYPES),
                    clock.time() - back,
                    source=f"/gw/{chance.randrange(9)}",
                    latency_ms=chance.randrange(1, 9000),
                    input_tokens=chance.randrange(500),
                    percent=chance.randrange(100),
                )
            )
        if batch:
            await log.append(batch)
        await clock.advance(1)


@settings(max_examples=8, deadline=None)
@example(3, 68)
@given(st.sampled_from([3, 40, 320, 420]), st.integers(0, 1000))
async def test_a_rebuilt_engine_equals_one_that_ran_on(seconds: int, seed: int) -> None:
    clock = VirtualClock(NOW + 0.5)
    log = await opened(clock)
    async with running(engine_of(log, clock, CONFIG)) as uninterrupted:
        await traffic(log, clock, seconds, seed)
        restarted = engine_of(log, clock, CONFIG)
        await restarted.rebuild()
        assert restarted.snapshot() == uninterrupted.snapshot()


async def test_only_the_tail_is_read_again() -> None:
    clock = VirtualClock()
    log = await opened(clock, offset_step=1)
    async with running(engine_of(log, clock)):
        for _ in range(3):
            await log.append([event(int(clock.new_id()[2:]), "bench.tick", clock.time()) for _ in range(4000)])
            await clock.advance(200)
    found = await survey(log, await log.bounds(), clock.time() - 301, 5_000_000)
    assert not found.truncated
    assert found.start > 8000
    assert found.marks[0].at <= clock.time() - 301 < found.marks[1].at


async def test_without_snapshots_the_way_back_is_bounded_and_said() -> None:
    clock = VirtualClock()
    log = await opened(clock, offset_step=1)
    for start in range(0, 12_000, 4000):
        await log.append([event(start + n, "bench.tick", clock.time()) for n in range(4000)])
    metrics = ProcessingMetrics(CollectorRegistry())
    config = AnalyticsConfig(metrics=[MetricConfig(name="count", types=["*"], kind="count")])
    engine = AnalyticsEngine(config, log, NOWHERE, clock=clock, metrics=metrics, sleep=clock.sleep, rebuild_limit=5000)
    with capture_logs() as lines:
        await engine.rebuild()
    assert engine.snapshot().metrics["count"] == 5000
    assert [line["event"] for line in lines] == ["analytics.rebuild_truncated", "analytics.rebuilt"]


async def test_a_log_without_snapshots_is_read_from_its_first_event() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    await log.append([event(n, "bench.tick", NOW - 20 + n) for n in range(10)])
    await log.append([event(11, "bench.tick", None), event(12, "bench.tick", NOW + 99)])
    config = AnalyticsConfig(metrics=[MetricConfig(name="rate", types=["*"], kind="rate")])
    engine = engine_of(log, clock, config)
    await engine.rebuild()
    assert engine.snapshot().metrics["rate"] == 12 / 20, "observed since the first event"
    assert engine.snapshot().events_total == 12
    assert engine.snapshot().windows["10s"]["rate"] == 1 / 10, "the timeless one is as old as the log's first"


async def test_a_log_whose_first_event_cannot_be_read_is_rebuilt_all_the_same() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    await log.append([event(1, "a")._replace(raw=b'{"time":}'), event(2, "a", NOW - 5)])
    engine = engine_of(log, clock)
    await engine.rebuild()
    assert (engine.snapshot().events_total, engine.snapshot().ignored) == (2, 1)


async def test_an_empty_log_is_rebuilt_at_once() -> None:
    clock = VirtualClock()
    engine = engine_of(await opened(clock), clock)
    await engine.rebuild()
    assert engine.ready
    assert engine.snapshot().position == 0


async def test_a_trimmed_log_is_rebuilt_from_what_is_left() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    async with running(engine_of(log, clock, CONFIG)) as uninterrupted:
        await traffic(log, clock, 30, seed=5)
        await log.trim(Offset((await log.bounds()).head // 2))
        restarted = engine_of(log, clock, CONFIG)
        await restarted.rebuild()
        assert restarted.snapshot().events_total == uninterrupted.snapshot().events_total
        assert restarted.snapshot().metrics["throughput"] == uninterrupted.snapshot().metrics["throughput"]


async def test_what_came_after_the_last_snapshot_is_counted_once() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    async with running(engine_of(log, clock)):
        await traffic(log, clock, 5, seed=1)
        total = len([None for s in (await log.read(Offset(0), 10_000)).events if s.type in TYPES[:4]])
    await log.append([event(-n, "llm.request.failed", clock.time()) for n in range(1, 5)])
    await clock.advance(100)
    restarted = engine_of(log, clock)
    await restarted.rebuild()
    assert restarted.snapshot().events_total == total + 4
    async with running(restarted):
        await clock.advance(1)
        assert restarted.snapshot().events_total == total + 4
        assert restarted.snapshot().seq == 6


class Trimmed(MemoryLog):
    """Loses its beginning while it is read for the first time."""

    gone = False

    async def read(self, after, limit=1000, *, types=None, epoch=None):  # type: ignore[no-untyped-def]
        if not self.gone:
            self.gone = True
            raise Gone(Bounds("", Offset(5), Offset(9)), after)
        return await super().read(after, limit, types=types, epoch=epoch)


async def test_a_log_that_is_trimmed_meanwhile_is_surveyed_again() -> None:
    clock = VirtualClock()
    log = Trimmed(clock=clock)
    await log.open()
    await log.append([event(1, "a")])
    engine = engine_of(log, clock)
    async with running(engine, whole=False):
        await until(lambda: log.gone)
        assert not engine.ready
        await clock.advance(0.2)
        await until(lambda: engine.ready)
        assert engine.snapshot().events_total == 1


class Stuck(MemoryLog):
    """Tells of a head that it does not let anybody read up to, as a lagging member of a cluster may."""

    def read_nowait(
        self, after: Offset, limit: int = 1000, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> Batch:
        return Batch((), after, Offset(after + 1))


async def test_a_log_that_does_not_reach_its_head_holds_nothing_up() -> None:
    clock = VirtualClock()
    log = Stuck(clock=clock)
    await log.open()
    await log.append([event(1, "a")])
    engine = engine_of(log, clock)
    await engine.rebuild()
    assert (engine.snapshot().position, engine.lag) == (0, 1)


async def test_a_log_that_is_closed_cannot_be_rebuilt_from() -> None:
    clock = VirtualClock()
    engine = engine_of(MemoryLog(clock=clock), clock)
    with pytest.raises(LogClosed):
        await engine.rebuild()


async def test_a_reload_during_the_rebuild_is_not_lost() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    await log.append([event(n, "bench.tick") for n in range(3000)])
    engine = engine_of(log, clock)
    async with running(engine, whole=False):
        engine.prepare(AnalyticsConfig(metrics=[MetricConfig(name="count", types=["*"], kind="count")]))()
        await until(lambda: engine.ready)
    assert set(engine.snapshot().metrics) == {"count"}


FOREIGN = [
    {"source": "/somebody"},
    {"id": "snapshot/other-epoch/1"},
    {"data": {"at": "yesterday", "position": 1, "seq": 1, "events_total": 1, "late": 0}},
    {"data": {"at": "2027-01-15T08:00:00Z", "position": 77, "seq": 1, "events_total": 1, "late": 0}},
    {"data": {"at": "2027-01-15T08:00:00Z", "position": -1, "seq": 1, "events_total": 1, "late": 0}},
    {"data": {"at": "2027-01-15T08:00:00Z", "position": "1"}},
    {"data": None},
]


@pytest.mark.parametrize("other", FOREIGN)
def test_what_is_no_snapshot_of_ours_is_no_mark(other: dict[str, object]) -> None:
    ours = {
        "source": "/processing",
        "id": "snapshot/e/1",
        "type": "analytics.snapshot",
        "data": {"at": "2027-01-15T08:00:00Z", "position": 1, "seq": 1, "events_total": 1, "late": 0},
    }
    good = encode(Event(**ours))  # type: ignore[arg-type]
    found = read_mark(stored(9, "analytics.snapshot")._replace(raw=good.raw), "e")
    assert found is not None
    assert (found.at, found.position) == (NOW, 1)
    bad = encode(Event(**(ours | other)))  # type: ignore[arg-type]
    assert read_mark(stored(9, "analytics.snapshot")._replace(raw=bad.raw), "e") is None
    assert read_mark(stored(9, "bench.tick")._replace(raw=good.raw), "e") is None


async def test_a_failed_append_leaves_no_hole_in_the_totals() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    async with running(engine_of(log, clock, CONFIG)) as uninterrupted:
        await traffic(log, clock, 4, seed=3)
        for stored_all_the_same in (False, True, False):
            log.fail_next(LogUnavailable("gone", maybe_stored=True), after_store=stored_all_the_same)
        await clock.advance(3)
        await traffic(log, clock, 4, seed=4)
        restarted = engine_of(log, clock, CONFIG)
        await restarted.rebuild()
        assert restarted.snapshot() == uninterrupted.snapshot()
