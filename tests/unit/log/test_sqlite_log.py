"""SqliteLog in its loop: group commit, deadlines, overload, budgets, readers, figures."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.processing import LogConfig
from hxp_enterprise_llm.event.log.model import Gone, Limits, LogClosed, LogError, LogUnavailable
from hxp_enterprise_llm.event.log.sqlite.segment import segment_paths
from hxp_enterprise_llm.event.model import BEGINNING, EARLIEST, Offset
from hxp_enterprise_llm.telemetry.metrics import LogMetrics
from tests.unit.log.support import (
    StalledExecutor,
    bytes_in,
    event,
    events,
    eventually,
    ids,
    no_task_left,
    read_all,
    sqlite_log,
)


def records_in(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM record").fetchone()[0])
    finally:
        connection.close()


async def test_appends_that_arrive_during_a_commit_share_the_next(tmp_path: Path) -> None:
    writer = StalledExecutor()
    log = sqlite_log(tmp_path, writer=writer)
    await log.open()
    writer.stalled = True
    appends = [asyncio.ensure_future(log.append(events(10 * n, 3))) for n in range(20)]
    await asyncio.sleep(0)
    assert len(writer.waiting) == 1
    writer.stalled = False
    writer.release()
    answers = await asyncio.gather(*appends)
    assert [appended.offset for answer in answers for appended in answer] == list(range(1, 61))
    await log.close()
    assert records_in(tmp_path / "0001.db") == 2


async def test_a_large_append_is_one_transaction_of_several_records(tmp_path: Path) -> None:
    log = sqlite_log(tmp_path)
    await log.open()
    await log.append(events(0, 30, size=100_000))
    await log.close()
    assert records_in(tmp_path / "0001.db") == 3


async def test_a_deadline_says_whether_it_may_be_stored(tmp_path: Path) -> None:
    writer = StalledExecutor()
    log = sqlite_log(tmp_path, writer=writer)
    await log.open()
    writer.stalled = True
    taken = asyncio.ensure_future(log.append([event(1)], deadline=0.01))
    await asyncio.sleep(0)
    with pytest.raises(LogUnavailable) as waiting:
        await log.append([event(2)], deadline=0.01)
    assert not waiting.value.maybe_stored
    with pytest.raises(LogUnavailable, match=r"no commit within 0\.01 s; it may have been stored") as caught:
        await taken
    assert caught.value.maybe_stored
    writer.stalled = False
    writer.release()
    assert (await log.append([event(1)]))[0].duplicate
    assert not (await log.append([event(2)]))[0].duplicate
    await log.close()


async def test_a_cancelled_append_that_waits_is_withdrawn(tmp_path: Path) -> None:
    writer = StalledExecutor()
    log = sqlite_log(tmp_path, writer=writer)
    await log.open()
    writer.stalled = True
    first, second = (asyncio.ensure_future(log.append([event(n)])) for n in (1, 2))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([second])
    writer.stalled = False
    writer.release()
    await first
    assert ids(await log.read(BEGINNING)) == ["1"]
    await log.close()


async def test_overload_is_refused_at_once(tmp_path: Path) -> None:
    writer = StalledExecutor()
    log = sqlite_log(tmp_path, writer=writer, limits=Limits(max_batch_events=2))
    await log.open()
    writer.stalled = True
    appends = [asyncio.ensure_future(log.append(events(2 * n, 2))) for n in range(17)]
    await asyncio.sleep(0)
    with pytest.raises(LogUnavailable, match="overload: 32 events") as caught:
        await log.append([event("one too many")])
    assert not caught.value.maybe_stored
    writer.stalled = False
    writer.release()
    await asyncio.gather(*appends)
    await log.append([event("now")])
    await log.close()


async def test_close_with_a_disk_that_hangs_is_bounded(tmp_path: Path) -> None:
    writer = StalledExecutor()
    log = sqlite_log(tmp_path, writer=writer)
    await log.open()
    writer.stalled = True
    with no_task_left():
        taken, waiting = (asyncio.ensure_future(log.append([event(n)], deadline=120)) for n in (1, 2))
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await log.close(within=0.05)
            with pytest.raises(LogUnavailable) as caught:
                await taken
            with pytest.raises(LogClosed):
                await waiting
    assert caught.value.maybe_stored
    # The disk comes back: what was begun is finished, and the files are let go.
    writer.stalled = False
    writer.release()
    assert (await log.open()).head == 1
    await log.close()


async def test_an_executor_that_was_stopped(tmp_path: Path) -> None:
    failures: list[Exception] = []
    writer = StalledExecutor()
    log = sqlite_log(tmp_path, writer=writer, on_fatal=failures.append)
    await log.open()
    writer.stalled = True
    append = asyncio.ensure_future(log.append([event(1)]))
    await asyncio.sleep(0)
    writer.waiting[0][0].cancel()
    with pytest.raises(LogUnavailable, match="the executor was stopped") as caught:
        await append
    assert caught.value.maybe_stored
    assert failures == [caught.value]
    writer.waiting.clear()
    writer.stalled = False
    await log.close()


async def test_the_budget_drops_the_oldest_segments(tmp_path: Path) -> None:
    log = sqlite_log(tmp_path, segment_bytes=1024**3, disk_budget_bytes=2 * 1024 * 1024)
    await log.open()
    for start in range(0, 1000, 10):
        await log.append(events(start, 10, size=10_000))
    await eventually(lambda: bytes_in(tmp_path) <= 2 * 1024 * 1024)
    bounds = await log.bounds()
    assert 1 < bounds.first < bounds.head == 1000
    assert ids(await log.read(EARLIEST, 1)) == [str(bounds.first - 1)]
    with pytest.raises(Gone):
        await log.read(BEGINNING)
    log.reconfigure(LogConfig(disk_budget_bytes=1024 * 1024))
    await log.append([event("next")])
    await eventually(lambda: bytes_in(tmp_path) <= 1024 * 1024)
    await log.close()
    log.reconfigure(LogConfig(disk_budget_bytes=4 * 1024 * 1024))


async def test_a_reader_overtaken_by_a_trim_is_told(tmp_path: Path) -> None:
    """The trim comes between the check of the cursor and the look into the files."""
    reader = StalledExecutor()
    log = sqlite_log(tmp_path, reader=reader, recent_bytes=1)
    await log.open()
    await log.append(events(0, 10))
    await log.append(events(10, 10))
    reader.stalled = True
    read = asyncio.ensure_future(log.read(BEGINNING))
    await asyncio.sleep(0)
    await log.trim((await log.bounds()).head)
    reader.release()
    with pytest.raises(Gone) as caught:
        await read
    assert caught.value.bounds == await log.bounds()
    await log.close()


async def test_a_read_that_meets_the_close(tmp_path: Path) -> None:
    reader = StalledExecutor()
    log = sqlite_log(tmp_path, reader=reader, recent_bytes=1)
    await log.open()
    await log.append(events(0, 10))
    await log.append(events(10, 10))
    reader.stalled = True
    read = asyncio.ensure_future(log.read(BEGINNING))
    await asyncio.sleep(0)
    await log.close()
    reader.release()
    with pytest.raises(LogClosed):
        await read


async def test_reads_over_many_segments_while_they_roll(tmp_path: Path) -> None:
    log = sqlite_log(tmp_path, segment_bytes=256 * 1024, recent_bytes=1)
    await log.open()

    async def load() -> None:
        for start in range(0, 1500, 10):
            await log.append(events(start, 10, size=3000))

    loading = asyncio.ensure_future(load())
    found: list[str] = []
    async for batch in log.follow(BEGINNING):
        found += ids(batch)
        if len(found) == 1500:
            break
    await loading
    assert found == [str(n) for n in range(1500)]
    assert len(segment_paths(tmp_path)) > 10
    assert [one.offset for one in await read_all(log, BEGINNING, 333)] == list(range(1, 1501))
    await log.close()


async def test_executors_with_many_threads(tmp_path: Path) -> None:
    """The log does not rest on an executor's having one thread."""
    with ThreadPoolExecutor(8) as pool:
        log = sqlite_log(tmp_path, writer=pool, reader=pool, segment_bytes=256 * 1024, recent_bytes=1)
        await log.open()

        async def append(n: int) -> None:
            await log.append(events(1000 * n, 20, size=2000))

        calls = [append(n) for n in range(40)] + [read_all(log, BEGINNING, 7) for _ in range(5)]
        await asyncio.gather(*calls, log.trim(Offset(1)), log.health())
        assert len(await read_all(log, EARLIEST, 100)) == 800
        await log.close()


async def test_the_figures(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    log = sqlite_log(tmp_path, metrics=LogMetrics(registry), limits=Limits(max_batch_events=10))
    await log.open()
    await log.append(events(0, 10))
    await log.append(events(5, 10))
    with pytest.raises(LogError):
        await log.append(events(0, 11))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("citadel_log_events_appended_total") == 15
    assert value("citadel_log_duplicates_total") == 5
    assert value("citadel_log_append_duration_seconds_count") == 2
    assert value("citadel_log_append_errors_total", reason="BatchTooLarge") == 1
    assert (value("citadel_log_first_offset"), value("citadel_log_head_offset")) == (1, 15)
    assert (value("citadel_log_size_bytes") or 0) > 1000
    assert (value("citadel_log_disk_free_bytes") or 0) > 1_000_000
    health = await log.health()
    assert health.durable
    assert health.append_p99_ms is not None
    assert health.append_p99_ms > 0
    await log.close()


async def test_memory_stays_flat_behind_a_reader_that_stopped(tmp_path: Path) -> None:
    """60 MB pass by a follower that does not read; it then gets all of them, and nothing was kept for it."""
    log = sqlite_log(tmp_path, recent_bytes=1024 * 1024, segment_bytes=8 * 1024 * 1024)
    await log.open()
    batches = log.follow(BEGINNING)
    await anext(batches)
    resident = []
    for start in range(0, 600, 10):
        await log.append(events(start, 10, size=100_000))
        resident.append(resident_bytes())
    # The first third is the warm-up: queues, caches and buffers reach their size.
    assert max(resident[20:]) - resident[20] < 16 * 1024 * 1024
    found = 0
    async for batch in batches:
        found += len(batch.events)
        if found == 600:
            break
    assert batch.next == batch.head == 600
    await log.close()


def resident_bytes() -> int:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * resource.getpagesize()


async def test_an_unexpected_error_reaches_the_caller(tmp_path: Path) -> None:
    """A batch that no type checker would let pass harms nobody else."""
    log = sqlite_log(tmp_path)
    await log.open()
    with pytest.raises(AttributeError):
        await log.append([event(1)._replace(type=cast("str", 7))])
    await log.append([event(2)])
    assert ids(await log.read(BEGINNING)) == ["2"]
    await log.close()


async def test_open_is_idempotent_and_a_closed_log_opens_again(tmp_path: Path) -> None:
    log = sqlite_log(tmp_path)
    bounds = await log.open()
    assert await log.open() == bounds
    await log.close()
    await log.close()
    assert await log.open() == bounds
    await log.close()
