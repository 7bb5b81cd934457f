"""SqliteLog on disks that are full, broken, or changed under it."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from hxp_enterprise_llm.config.processing import LogConfig
from hxp_enterprise_llm.event.log import SqliteLog
from hxp_enterprise_llm.event.log.model import LogFull, LogUnavailable
from hxp_enterprise_llm.event.log.sqlite import store
from hxp_enterprise_llm.event.log.sqlite.segment import SegmentWriter, segment_paths
from hxp_enterprise_llm.event.model import BEGINNING
from tests.unit.log.support import (
    bytes_in,
    event,
    events,
    eventually,
    ids,
    read_all,
    sqlite_log,
)


class SmallDisk(Protocol):
    """A place for a log that can be full and have room again."""

    directory: Path

    def fill(self) -> None: ...

    def free(self) -> None: ...


class Tmpfs:
    """A file system of 2 MiB in memory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def fill(self) -> None:
        with (self.directory / "filler").open("wb", buffering=0) as file:
            for size in (65536, 4096):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        (self.directory / "filler").unlink()


class FileSizeLimit:
    """The process may not make files longer than they are: as a used-up quota, this is no ENOSPC."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        longest = max(path.stat().st_size for path in self.directory.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (longest, self.before[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


async def append_without_end(log: SqliteLog) -> None:
    for start in range(10, 1000, 10):
        await log.append(events(start, 10, size=2000))
    raise AssertionError("the disk took everything")


@pytest.fixture(params=["tmpfs", "file size limit"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    # Only root may mount; the limit is there for everybody.
    if request.param == "tmpfs" and subprocess.run(command, capture_output=True, check=False).returncode == 0:
        yield Tmpfs(tmp_path)
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)
    else:
        disk = FileSizeLimit(tmp_path)
        yield disk
        disk.free()


async def test_a_full_disk_and_room_again(small_disk: SmallDisk) -> None:
    """Appends are refused whole, reads go on, and appends work again once there is room."""
    failures: list[Exception] = []
    options = {"reserve_bytes": 200_000, "recent_bytes": 1, "segment_bytes": 512_000}
    log = sqlite_log(small_disk.directory, on_fatal=failures.append, **options)
    await log.open()
    await log.append(events(0, 10, size=2000))
    assert (small_disk.directory / "reserve").stat().st_size == 200_000
    small_disk.fill()
    with pytest.raises(LogFull):
        await append_without_end(log)
    stored = ids(await log.read(BEGINNING, 1000))
    assert len(stored) % 10 == 0
    health = await log.health()
    assert health.status == "read_only"
    assert str(small_disk.directory) in health.reason
    assert not (small_disk.directory / "reserve").exists()
    small_disk.free()
    async with asyncio.timeout(30):
        while (await log.health()).status != "ok":
            await asyncio.sleep(0.02)
    assert (small_disk.directory / "reserve").stat().st_size == 200_000
    answer = await log.append(events(0, 1010))
    assert [appended.duplicate for appended in answer].count(True) == len(stored)
    assert failures == []
    await log.close()


async def test_a_lower_budget_makes_room_on_a_full_disk(small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the log that fills the disk: after the reload its oldest segments go, and appends work again."""
    monkeypatch.setattr(store, "_LEAST_SEGMENT_BYTES", 100_000)
    log = sqlite_log(small_disk.directory, segment_bytes=100_000, reserve_bytes=100_000)
    await log.open()
    for start in range(0, 200, 10):
        await log.append(events(start, 10, size=5300))
    small_disk.fill()
    with pytest.raises(LogFull):
        await append_without_end(log)
    log.reconfigure(LogConfig(disk_budget_bytes=400_000))
    async with asyncio.timeout(30):
        while (await log.health()).status != "ok":
            await asyncio.sleep(0.02)
    await log.append([event("new")])
    await eventually(lambda: bytes_in(small_disk.directory) <= 500_000)
    await log.close()


async def test_a_disk_that_filled_up_while_nobody_ran(small_disk: SmallDisk) -> None:
    """If there is no room even to open the files, the reserve goes, and the next start finds it."""
    log = sqlite_log(small_disk.directory, reserve_bytes=200_000)
    await log.open()
    await log.append([event(1)])
    await log.close()
    small_disk.fill()
    try:
        await log.open()
    except LogFull:
        await log.open()
    assert ids(await log.read(BEGINNING)) == ["1"]
    small_disk.free()
    async with asyncio.timeout(30):
        while (await log.health()).status != "ok":
            await asyncio.sleep(0.02)
    await log.append([event(2)])
    await log.close()


async def test_a_disk_too_small_for_the_reserve_is_read_only_at_once(tmp_path: Path) -> None:
    log = sqlite_log(tmp_path, reserve_bytes=10_000)
    await log.open()
    await log.append([event(1)])
    await log.close()
    (tmp_path / "reserve").unlink()
    disk = FileSizeLimit(tmp_path)
    log = sqlite_log(tmp_path, reserve_bytes=10_000_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, disk.before[1]))
    try:
        await log.open()
        with pytest.raises(LogFull, match="no room for the reserve of 10,000,000 bytes"):
            await log.append([event(2)])
        assert ids(await log.read(BEGINNING)) == ["1"]
    finally:
        disk.free()
        await log.close()


def failing(monkeypatch: pytest.MonkeyPatch, code: int, text: str) -> None:
    """Let SQLite report an error at each insert."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode, error.sqlite_errorname = code, text

    def insert(*_: object) -> None:
        raise error

    monkeypatch.setattr(SegmentWriter, "insert", insert)


async def test_a_failed_fsync_is_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk holds is not known any more: the process is told to end, and nothing more is stored."""
    failures: list[Exception] = []
    log = sqlite_log(tmp_path, on_fatal=failures.append)
    await log.open()
    await log.append([event(1)])
    failing(monkeypatch, sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC")
    with pytest.raises(LogUnavailable, match="SQLITE_IOERR_FSYNC") as caught:
        await log.append([event(2)])
    assert caught.value.maybe_stored
    assert failures == [caught.value]
    monkeypatch.undo()
    with pytest.raises(LogUnavailable, match="must be opened again") as again:
        await log.append([event(3)])
    assert not again.value.maybe_stored
    assert len(failures) == 1
    assert ids(await log.read(BEGINNING)) == ["1"]
    health = await log.health()
    assert health.status == "down"
    assert "SQLITE_IOERR_FSYNC" in health.reason
    await log.close()
    assert (await log.open()).head == 1
    await log.append([event(2)])
    await log.close()


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (sqlite3.SQLITE_BUSY, "SQLITE_BUSY"),
        (sqlite3.SQLITE_NOMEM, "SQLITE_NOMEM"),
        (sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN"),
    ],
)
async def test_what_passes_is_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, name: str
) -> None:
    failures: list[Exception] = []
    log = sqlite_log(tmp_path, on_fatal=failures.append)
    await log.open()
    failing(monkeypatch, code, name)
    with pytest.raises(LogUnavailable, match=name) as caught:
        await log.append([event(1)])
    assert not caught.value.maybe_stored
    monkeypatch.undo()
    await log.append([event(1)])
    assert failures == []
    await log.close()


async def test_who_waits_no_longer_does_not_end_the_log(tmp_path: Path) -> None:
    failures: list[Exception] = []
    log = sqlite_log(tmp_path, on_fatal=failures.append)
    await log.open()
    waiting = asyncio.create_task(log.trim(BEGINNING))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await log.append([event(1)])
    assert failures == []
    assert (await log.health()).status == "ok"
    await log.close()


async def test_a_segment_replaced_under_the_log_is_the_end(tmp_path: Path) -> None:
    failures: list[Exception] = []
    log = sqlite_log(tmp_path, on_fatal=failures.append)
    await log.open()
    await log.append([event(1)])
    (tmp_path / "0001.db").rename(tmp_path / "moved")
    with pytest.raises(LogUnavailable):
        await log.append([event(2)])
    assert len(failures) == 1
    await log.close()


async def test_a_roll_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = sqlite_log(tmp_path, segment_bytes=256 * 1024)
    await log.open()

    def seal(_: SegmentWriter) -> None:
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error

    monkeypatch.setattr(SegmentWriter, "seal", seal)
    await log.append(events(0, 10, size=40_000))
    await log.append(events(10, 1))
    assert [path.name for path in segment_paths(tmp_path)] == ["0001.db"]
    monkeypatch.undo()
    await log.append(events(20, 1))
    await eventually(lambda: len(segment_paths(tmp_path)) == 2)
    assert len(await read_all(log, BEGINNING, 100)) == 12
    await log.close()
