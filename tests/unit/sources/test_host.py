"""The host as a source: its figures, its pace, and what it does when the machine or the log does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from structlog.testing import capture_logs

from hxp_enterprise_llm.config.processing import HostSourceConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import LogUnavailable
from hxp_enterprise_llm.event.model import BEGINNING, Encoded
from hxp_enterprise_llm.event.sources.host import Append, HostSource
from hxp_enterprise_llm.event.sources.host_figures import (
    CoreTimes,
    Reading,
    Transfer,
    Usage,
    figures,
    read_host,
)
from hxp_enterprise_llm.runtime.clock import SystemClock

from ..processing.virtual import VirtualClock, opened, until

DISK = Path("/state")
FIRST = Reading(
    moment=100.0,
    cores=(CoreTimes(1000, 900), CoreTimes(1000, 500)),
    load_1m=0.256,
    memory=Usage(16_000, 4_000, 25.0),
    swap_percent=1.5,
    disk=Usage(1_000, 250, 25.0),
    disk_transfer=Transfer(0, 5_000),
    network=Transfer(1_000, 2_000, 7),
)
SECOND = replace(
    FIRST,
    moment=102.0,
    cores=(CoreTimes(1002, 901), CoreTimes(1002, 500)),
    disk_transfer=Transfer(4_096, 5_000),
    network=Transfer(1_500, 2_001, 8),
)


def test_figures_are_what_happened_between_two_readings() -> None:
    assert figures(FIRST, SECOND, DISK) == {
        "host.cpu": {"percent": 75.0, "per_core": [50.0, 100.0], "load_1m": 0.26, "cores": 2},
        "host.memory": {"percent": 25.0, "used_bytes": 4_000, "total_bytes": 16_000, "swap_percent": 1.5},
        "host.disk": {
            "percent": 25.0,
            "used_bytes": 250,
            "total_bytes": 1_000,
            "path": "/state",
            "read_bytes_per_second": 2048.0,
            "written_bytes_per_second": 0.0,
        },
        "host.network": {
            "received_bytes_per_second": 250.0,
            "sent_bytes_per_second": 0.5,
            "errors_per_second": 0.5,
        },
    }


def test_what_is_unknown_is_left_out() -> None:
    bare = replace(SECOND, disk=None, disk_transfer=None, network=None)
    assert set(figures(FIRST, bare, DISK)) == {"host.cpu", "host.memory"}
    no_counters = figures(FIRST, replace(SECOND, disk_transfer=None), DISK)["host.disk"]
    assert "read_bytes_per_second" not in no_counters
    assert no_counters["percent"] == 25.0
    same_moment = figures(FIRST, FIRST, DISK)
    assert "percent" not in same_moment["host.cpu"]
    assert "host.network" not in same_moment


def test_counters_that_go_back_and_cores_that_come_and_go_are_no_fault() -> None:
    odd = replace(
        SECOND,
        network=Transfer(0, 0, 0),
        cores=(CoreTimes(1002, 1000), CoreTimes(900, 400), CoreTimes(5, 5)),
    )
    found = figures(FIRST, odd, DISK)
    assert found["host.network"]["received_bytes_per_second"] == 0
    assert found["host.cpu"] == {"percent": 0.0, "per_core": [0.0, 0.0], "load_1m": 0.26, "cores": 3}


def test_this_machine_can_be_read(tmp_path: Path) -> None:
    reading = read_host(tmp_path, 1.0)
    assert len(reading.cores) == psutil.cpu_count()
    assert all(0 <= core.idle <= core.total for core in reading.cores)
    assert reading.disk is not None
    assert 0 < reading.memory.used < reading.memory.total
    assert read_host(tmp_path / "gone", 1.0).disk is None


def test_a_machine_without_disk_or_network_counters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(psutil, "disk_io_counters", lambda: None)
    monkeypatch.setattr(psutil, "net_io_counters", lambda: None)
    reading = read_host(tmp_path, 1.0)
    assert (reading.disk_transfer, reading.network) == (None, None)


async def events(log: MemoryLog) -> list[dict[str, Any]]:
    return [msgspec.json.decode(stored.raw) for stored in (await log.read(BEGINNING, 10_000)).events]


@asynccontextmanager
async def running(
    append: Append, clock: VirtualClock, read: Callable[[Path, float], Reading]
) -> AsyncIterator[HostSource]:
    source = HostSource(
        HostSourceConfig(interval=1),
        append,
        clock=clock,
        disk_path=DISK,
        node="n1",
        sleep=clock.sleep,
        read=read,
    )
    task = asyncio.create_task(source.run())
    try:
        await until(lambda: clock.awaited or task.done())
        yield source
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def pass_time(clock: VirtualClock, seconds: float) -> None:
    """Let time pass and wait until the source, which reads in a thread, sleeps again."""
    await clock.advance(seconds)
    await until(lambda: clock.awaited)


def steady(path: Path, moment: float) -> Reading:
    busy = CoreTimes(moment, moment / 2)
    return replace(FIRST, moment=moment, cores=(busy, busy), network=Transfer(int(moment * 1000), 0, 0))


async def test_the_first_batch_comes_at_once_and_then_one_each_interval() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    async with running(log.append, clock, steady):
        assert await events(log) == []
        await pass_time(clock, 0.2)
        first = await events(log)
        await pass_time(clock, 1)
        await pass_time(clock, 1)
        found = await events(log)
    assert [event["type"] for event in first] == ["host.cpu", "host.memory", "host.disk", "host.network"]
    assert {event["source"] for event in found} == {"/host/n1"}
    assert {event["subject"] for event in found} == {"n1"}
    assert [event["data"]["percent"] for event in found if event["type"] == "host.cpu"] == [50.0] * 3
    assert [event["data"]["received_bytes_per_second"] for event in found if event["type"] == "host.network"] == [
        pytest.approx(1000, rel=0.01)
    ] * 3
    assert [event["time"][17:23] for event in found[::4]] == ["00.200", "01.200", "02.200"]
    assert len({event["id"] for event in found}) == 12


async def test_readings_that_a_slow_log_made_us_miss_are_left_out() -> None:
    clock, moments = VirtualClock(), []

    async def slow_at_first(batch: list[Encoded]) -> None:
        moments.append(round(clock.monotonic(), 6))
        if len(moments) == 1:
            await clock.sleep(30)

    async with running(slow_at_first, clock, steady):
        for seconds in (0.2, 30, 1, 1):
            await pass_time(clock, seconds)
    assert moments == [0.2, 30.2, 31.2, 32.2]


async def test_a_log_that_takes_nothing_is_said_once_and_the_events_are_counted() -> None:
    clock = VirtualClock()
    log = await opened(clock)
    for _ in range(3):
        log.fail_next(LogUnavailable("away", maybe_stored=False))
    with capture_logs() as lines:
        async with running(log.append, clock, steady) as source:
            for seconds in (0.2, 1, 1, 1):
                await pass_time(clock, seconds)
            assert source.dropped == 12
    assert [line["event"] for line in lines] == ["host.append.failing", "host.append.recovered"]
    assert len(await events(log)) == 4


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), psutil.AccessDenied()])
async def test_a_machine_that_cannot_be_read_is_asked_again(error: Exception) -> None:
    clock = VirtualClock()
    log = await opened(clock)
    answers = iter([error, error, None, error, None, None])

    def moody(path: Path, moment: float) -> Reading:
        if answer := next(answers):
            raise answer
        return steady(path, moment)

    with capture_logs() as lines:
        async with running(log.append, clock, moody):
            for seconds in (0.2, 1, 1, 1, 1):
                await pass_time(clock, seconds)
    assert [line["event"] for line in lines] == ["host.reading.failing", "host.reading.recovered"] * 2
    assert len(await events(log)) == 8, "rates need two readings; the one before the gap serves"


async def test_on_the_real_machine_with_the_real_clock(tmp_path: Path) -> None:
    clock = SystemClock()
    log = MemoryLog(clock=clock)
    await log.open()
    source = HostSource(HostSourceConfig(interval=0.02), log.append, clock=clock, disk_path=tmp_path, node="here")
    task = asyncio.create_task(source.run())
    async with asyncio.timeout(10):
        async for batch in log.follow(BEGINNING):
            if batch.next >= 8:
                break
    task.cancel()
    found = await events(log)
    disk = next(event["data"] for event in found if event["type"] == "host.disk")
    assert disk["path"] == str(tmp_path)
    assert disk["total_bytes"] >= disk["used_bytes"] > 0
