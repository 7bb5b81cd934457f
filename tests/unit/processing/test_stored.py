"""Saved windows: with them a start reads the tail of the log alone, and the windows are what they were."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from hxp_enterprise_llm.config.processing import AnalyticsConfig, MetricConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.model import Offset, TypePatterns
from hxp_enterprise_llm.event.processing.aggregates import KEPT_HASHES
from hxp_enterprise_llm.event.processing.engine import AnalyticsEngine
from hxp_enterprise_llm.event.processing.groups import Portion
from hxp_enterprise_llm.event.processing.metrics import Accumulator, Selection
from hxp_enterprise_llm.event.processing.stored import AnalyticsFile, dump, load
from hxp_enterprise_llm.event.processing.windows import SlotSeries

from .events import NOW, event
from .test_rebuild import CONFIG, traffic
from .virtual import VirtualClock, engine_of, opened, running

EVERYTHING = Selection(TypePatterns(["*"]), TypePatterns([]), TypePatterns([]))
COUNT = MetricConfig(name="count", types=["bench.*"], kind="count")


def accumulator(family: Any, **more: Any) -> Accumulator:
    return Accumulator(family, EVERYTHING, (("data", "x"),), **more)


VALUES = {
    "count": [object()] * 3,
    "numbers": [2**63, 2**63, 1.5],
    "quantiles": [-1.0, 0.0, 0.5, 7.0, 1e300],
    "distinct": [str(number) for number in range(2 * KEPT_HASHES + 2)],
}


@pytest.mark.parametrize("family", VALUES)
@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("more", [{}, {"by": (("data", "model"),), "limit": 1}])
def test_a_memory_is_read_back_as_it_was(family: str, empty: bool, more: dict[str, Any]) -> None:
    of = accumulator(family, **more)
    memory = of.make()
    values = VALUES[family]
    if not empty:
        memory.update([Portion(("a",), values), Portion(("b",), values)] if more else values)
    back = load(of, dump(memory))
    assert dump(back) == dump(memory)
    assert back.n == memory.n
    # It goes on as the other would.
    for each in (memory, back):
        each.update([Portion(("a",), values[:2])] if more else values[:2])
    assert dump(back) == dump(memory)


@pytest.mark.parametrize("family", ["numbers", "quantiles", "distinct"])
@pytest.mark.parametrize("more", [{}, {"by": (("data", "model"),), "limit": 1}])
def test_what_is_no_such_memory_is_refused(family: str, more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        load(accumulator(family, **more), dump(accumulator("count").make()))


def test_only_what_has_changed_is_encoded_anew() -> None:
    of = accumulator("count")
    series, encoded = SlotSeries(of.make), []

    def encode(memory: Any) -> Any:
        encoded.append(memory.n)
        return dump(memory)

    for slot in (1, 2, 3):
        series.at(slot).update([None] * slot)
    assert series.dump(encode).keys() == {1, 2, 3}
    series.at(2).update([None])
    series.at(4).update([None])
    series.drop_before(2)
    assert series.dump(encode).keys() == {2, 3, 4}
    assert encoded == [1, 2, 3, 3, 1]
    series.shift(10)
    found = series.dump(encode)
    assert {slot: load(of, raw).n for slot, raw in found.items()} == {12: 3, 13: 3, 14: 1}


@pytest.fixture
def file(tmp_path: Path) -> AnalyticsFile:
    return AnalyticsFile(tmp_path / "analytics" / "state")


class Watched(MemoryLog):
    """Remembers from where it was read as a whole."""

    read_from: list[Offset]

    async def read(self, after, limit=1000, *, types=None, epoch=None):  # type: ignore[no-untyped-def]
        if types is None:
            self.read_from.append(after)
        return await super().read(after, limit, types=types, epoch=epoch)


async def watched(clock: VirtualClock) -> Watched:
    log = Watched(clock=clock, offset_step=3)
    log.read_from = []
    await log.open()
    return log


@settings(max_examples=6, deadline=None)
@example(320, 3, 5)
@example(3, 310, 7)
@given(st.sampled_from([3, 40]), st.sampled_from([0, 1, 30]), st.integers(0, 1000))
async def test_an_engine_with_saved_windows_equals_one_that_ran_on(
    tmp_path_factory: pytest.TempPathFactory, before: int, after: int, seed: int
) -> None:
    clock = VirtualClock(NOW + random.Random(seed).random())
    log, file = await watched(clock), AnalyticsFile(tmp_path_factory.mktemp("analytics") / "state")
    async with running(engine_of(log, clock, CONFIG, file)) as uninterrupted:
        await traffic(log, clock, before, seed)
        await uninterrupted.save()
        saved = file.read()
        assert saved is not None
        await traffic(log, clock, after, seed + 1)
        restarted = engine_of(log, clock, CONFIG, file)
        log.read_from.clear()
        await restarted.rebuild()
        assert restarted.snapshot() == uninterrupted.snapshot()
        assert all(after >= saved.position for after in log.read_from)


async def test_what_the_log_no_longer_has_is_still_in_the_windows(file: AnalyticsFile) -> None:
    clock = VirtualClock()
    log = await opened(clock)
    async with running(engine_of(log, clock, CONFIG, file)) as uninterrupted:
        await traffic(log, clock, 20, seed=5)
        await uninterrupted.save()
        await log.trim(Offset((await log.bounds()).head))
        restarted = engine_of(log, clock, CONFIG, file)
        await restarted.rebuild()
        assert restarted.snapshot() == uninterrupted.snapshot()


async def filled(file: AnalyticsFile, clock: VirtualClock) -> Watched:
    """A log of 30 seconds, whose windows are saved, and three events more; its reads are watched."""
    log = await watched(clock)
    async with running(engine_of(log, clock, AnalyticsConfig(metrics=[COUNT]), file)) as engine:
        await log.append([event(n, "bench.tick", clock.time()) for n in range(7)])
        await clock.advance(30)
        await engine.save()
    await log.append([event(n, "bench.tick", clock.time()) for n in range(7, 10)])
    return log


async def restarted(
    file: AnalyticsFile, clock: VirtualClock, log: Watched, config: AnalyticsConfig | None = None
) -> tuple[AnalyticsEngine, bool, str]:
    """An engine on the saved windows, whether it has read the log from its beginning, and what it said of them."""
    engine = engine_of(log, clock, config or AnalyticsConfig(metrics=[COUNT]), file)
    log.read_from.clear()
    with capture_logs() as lines:
        await engine.rebuild()
    said = [line for line in lines if line["event"] in ("analytics.saved_unfit", "state.unusable")]
    return engine, log.read_from[0] == 0, said[0]["reason"] if said else ""


def counted(engine: AnalyticsEngine) -> tuple[float | None, int]:
    snapshot = engine.snapshot()
    return snapshot.windows["5m"]["count"], snapshot.events_total


async def test_saved_windows_are_taken(file: AnalyticsFile) -> None:
    clock = VirtualClock()
    log = await filled(file, clock)
    engine, anew, said = await restarted(file, clock, log)
    assert (counted(engine), anew, said) == ((10, 10), False, "")


OTHERS = {
    "the metrics are others": AnalyticsConfig(
        metrics=[COUNT, MetricConfig(name="mean", types=["*"], kind="mean", field="data.x")]
    ),
    "the windows are others": AnalyticsConfig(metrics=[COUNT], windows=["10s", "1m", "5m", "10m"]),
}


@pytest.mark.parametrize("reason", OTHERS)
async def test_windows_of_another_configuration_are_made_anew(file: AnalyticsFile, reason: str) -> None:
    clock = VirtualClock()
    log = await filled(file, clock)
    engine, anew, said = await restarted(file, clock, log, OTHERS[reason])
    assert (counted(engine), anew, said) == ((10, 10), True, reason)


async def test_fewer_metrics_are_no_reason_to_read_the_log_anew(file: AnalyticsFile) -> None:
    clock = VirtualClock()
    log = await filled(file, clock)
    engine, anew, _ = await restarted(file, clock, log, AnalyticsConfig(metrics=[]))
    assert (engine.snapshot().events_total, anew) == (10, False)


async def test_a_metric_that_had_begun_lately_is_filled_from_the_log(file: AnalyticsFile) -> None:
    clock = VirtualClock()
    log = await watched(clock)
    both = AnalyticsConfig(metrics=[COUNT, MetricConfig(name="all", types=["*"], kind="count")])
    async with running(engine_of(log, clock, AnalyticsConfig(metrics=[COUNT]), file)) as engine:
        await log.append([event(n, "bench.tick", clock.time()) for n in range(7)])
        await clock.advance(5)
        engine.prepare(both)()
        await engine.save()
        engine, anew, said = await restarted(file, clock, log, both)
        assert (engine.snapshot().windows["5m"]["all"], anew, said) == (7 + 5, True, "a metric had begun lately")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"HXPA0001\0\0\0\0xyz"])
async def test_a_damaged_file_is_kept_aside_and_the_windows_made_anew(file: AnalyticsFile, content: bytes) -> None:
    clock = VirtualClock()
    log = await filled(file, clock)
    file.write(content)
    engine, anew, said = await restarted(file, clock, log)
    assert (counted(engine), anew) == ((10, 10), True)
    assert str(file.path) in said
    assert file.path.with_name("state.unusable").read_bytes() == content


async def test_memories_that_cannot_be_read_are_made_anew(file: AnalyticsFile) -> None:
    clock = VirtualClock()
    log = await filled(file, clock)
    saved = file.read()
    assert saved is not None
    for slots in saved.kept.series.values():
        slots[saved.kept.now] = dump(accumulator("numbers").make())
    file.write(file.form.encoded(saved))
    engine, anew, said = await restarted(file, clock, log)
    assert (counted(engine), anew) == ((10, 10), True)
    assert "cannot be read" in said


async def test_a_clock_that_was_set_back_makes_the_windows_anew(file: AnalyticsFile) -> None:
    clock = VirtualClock()
    log = await filled(file, clock)
    clock.set_wall(NOW - 3600)
    engine, anew, said = await restarted(file, clock, log)
    assert (anew, said) == (True, "the clock was set back since")
    assert engine.snapshot().events_total == 10


async def test_windows_that_are_over_are_empty(file: AnalyticsFile) -> None:
    clock = VirtualClock()
    log = await filled(file, clock)
    await clock.advance(3600)
    engine, _, said = await restarted(file, clock, log)
    assert (counted(engine), said) == ((0, 10), "")


async def test_a_log_that_was_made_anew_is_read_anew(file: AnalyticsFile) -> None:
    clock = VirtualClock()
    log = await filled(file, clock)
    log.recreate()
    await log.append([event(1, "bench.tick", clock.time())])
    engine, anew, said = await restarted(file, clock, log)
    assert (counted(engine), anew) == ((1, 1), True)
    assert "another log" in said


async def test_events_that_the_log_dropped_unseen_make_the_windows_anew(file: AnalyticsFile) -> None:
    clock = VirtualClock()
    log = await filled(file, clock)
    await log.append([event(n, "bench.tick", clock.time()) for n in range(10, 12)])
    await log.trim(Offset((await log.bounds()).head))
    engine = engine_of(log, clock, AnalyticsConfig(metrics=[COUNT]), file)
    with capture_logs() as lines:
        await engine.rebuild()
    assert "analytics.saved_unfit" in [line["event"] for line in lines]
    assert engine.ready


async def test_a_disk_that_takes_nothing_is_said(file: AnalyticsFile) -> None:
    clock = VirtualClock()
    log = await opened(clock)
    file.path.parent.write_text("a file where the directory should be")
    async with running(engine_of(log, clock, AnalyticsConfig(metrics=[COUNT]), file)) as engine:
        await log.append([event(1, "bench.tick")])
        await clock.advance(1)
        await engine.save()
        assert "the windows cannot be saved" in engine.health().reason
        assert engine.snapshot().events_total == 1
        file.path.parent.unlink()
        await engine.close()
        assert engine.health().status == "ok"
    assert file.read() is not None
