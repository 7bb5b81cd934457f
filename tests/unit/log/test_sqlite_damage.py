"""Damage in the files of a log: found when it is read, found in the background, told, and mended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.event.log.model import LogCorrupt, LogUnavailable
from hxp_enterprise_llm.event.log.sqlite.files import request_trim, trim_request
from hxp_enterprise_llm.event.log.sqlite.segment import SegmentWriter, segment_paths
from hxp_enterprise_llm.event.log.sqlite.store import Store
from hxp_enterprise_llm.event.model import BEGINNING, Offset
from hxp_enterprise_llm.telemetry.metrics import LogMetrics
from tests.unit.log.damage import damage_pages, flip_body, four_segments, remove_record
from tests.unit.log.support import eventually, read_all, sqlite_log


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    await four_segments(tmp_path / "log")
    return tmp_path / "log"


async def test_a_record_that_vanished_is_missed_by_a_read(directory: Path) -> None:
    """Its checksum went with it; the offsets of its neighbours tell."""
    path = segment_paths(directory)[1]
    remove_record(path, 15)
    log = sqlite_log(directory, window_events=1)
    await log.open()
    with pytest.raises(LogCorrupt) as caught:
        await read_all(log, BEGINNING, 100)
    assert str(caught.value) == f"{path}: offsets 11 to 15 are missing"
    assert (await log.health()).findings == ("0002.db: offsets 11 to 15: the record is missing",)
    await log.close()


async def test_the_last_record_of_a_segment_vanished(directory: Path) -> None:
    remove_record(segment_paths(directory)[1], 20)
    log = sqlite_log(directory, window_events=1)
    await log.open()
    (finding,) = (await log.health()).findings
    assert finding.startswith("opened under a new epoch: offsets 16 to 20 are missing")
    await log.close()


async def test_a_record_that_vanished_within_the_window_is_told_at_open(directory: Path) -> None:
    remove_record(segment_paths(directory)[2], 25)
    with pytest.raises(LogCorrupt, match="offsets 21 to 25 are missing"):
        await sqlite_log(directory).open()


async def test_the_scrub_finds_what_nobody_reads(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each damaged place is told once, in health, in a metric and in the journal."""
    flip_body(segment_paths(directory)[1])
    registry = CollectorRegistry()
    log = sqlite_log(directory, window_events=1, metrics=LogMetrics(registry), scrub_bytes_per_second=100_000_000)
    await log.open()
    assert (await log.health()).findings == ()
    scrub = asyncio.create_task(log.run_scrub())
    await eventually(lambda: bool(registry.get_sample_value("citadel_log_scrub_finished_timestamp_seconds")))
    health = await log.health()
    reason = "0002.db: offsets 16 to 20: record 20: its checksum does not fit its content"
    assert (health.status, health.findings) == ("ok", (reason,))
    assert registry.get_sample_value("citadel_log_damaged_events") == 5
    assert registry.get_sample_value("citadel_log_scrubbed_bytes_total") > 500_000
    assert capsys.readouterr().out.count("log.damaged") == 1
    await log.trim(Offset(20))
    assert (await log.health()).findings == ()
    assert registry.get_sample_value("citadel_log_damaged_events") == 0
    await log.close()
    await asyncio.wait_for(scrub, 30)


async def test_the_scrub_takes_its_time(directory: Path) -> None:
    """A tick is bounded, however large the log is."""
    log = sqlite_log(directory, scrub_bytes_per_second=200_000)
    await log.open()
    store: Store = log._store
    reached, size, damages = store.scrub(BEGINNING, 200_000)
    assert (reached, damages) == (10, [])
    assert 200_000 <= size < 400_000
    assert store.scrub(reached, 1)[0] == 15
    assert store.scrub(Offset(40), 1000) == (40, 0, [])
    await log.close()


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: path.rename(path.with_suffix(".away")), "0002.db: offsets 11 to 20: the file is gone"),
        (lambda path: damage_pages(path, 13), "0002.db: offsets 11 to 20: database disk image is malformed"),
    ],
    ids=["moved away", "page"],
)
async def test_the_scrub_of_a_segment_that_cannot_be_read(
    directory: Path, harm: Callable[[Path], None], reason: str
) -> None:
    log = sqlite_log(directory, window_events=1, scrub_bytes_per_second=100_000_000)
    await log.open()
    harm(segment_paths(directory)[1])
    reached, after = Offset(0), []
    while reached < 40:
        reached, _, damages = log._store.scrub(reached, 1_000_000)
        after += damages
    assert [str(damage) for damage in after] == [reason]
    await log.close()


async def test_the_file_that_is_written_was_moved_away(directory: Path) -> None:
    """It is noticed although nobody appends, and it is the end of the process."""
    failures: list[Exception] = []
    log = sqlite_log(directory, on_fatal=failures.append)
    await log.open()
    scrub = asyncio.create_task(log.run_scrub())
    directory.rename(directory.with_name("elsewhere"))
    await eventually(lambda: bool(failures))
    assert (await log.health()).status == "down"
    await log.close()
    await asyncio.wait_for(scrub, 30)


async def test_a_trim_that_was_asked_for_by_a_file(directory: Path) -> None:
    log = sqlite_log(directory)
    await log.open()
    scrub = asyncio.create_task(log.run_scrub())
    request = request_trim(directory, 20)
    await eventually(lambda: not request.exists())
    assert (await log.bounds()).first == 21
    for nothing in ("all of it", "", "9" * 5000, "\u0662\u0660"):
        request.write_text(nothing)
        await eventually(lambda: not request.exists())
        assert (await log.bounds()).first == 21
    request_trim(directory, 10**30)
    await eventually(lambda: not request.exists())
    assert (await log.bounds()).first == 41
    assert not scrub.done()
    await log.close()
    await asyncio.wait_for(scrub, 30)


def test_what_is_no_request_for_a_trim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody made it who is not us, or it is no file: nothing that ends the process."""
    assert trim_request(tmp_path) is None
    (tmp_path / "trim").mkdir()
    assert trim_request(tmp_path) is None
    (tmp_path / "trim").rmdir()
    request_trim(tmp_path, 7)
    assert trim_request(tmp_path) == 7
    monkeypatch.setattr(Path, "read_bytes", _denied)
    assert trim_request(tmp_path) == 0


def _denied(_: Path) -> bytes:
    raise PermissionError(13, "Permission denied")


async def test_a_disk_that_allows_no_write_ahead_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What SQLite cannot do there, as on file systems of a network, is said at the start."""
    log = sqlite_log(tmp_path)
    monkeypatch.setattr(SegmentWriter, "_execute", _ignoring("journal_mode=WAL", SegmentWriter._execute))
    with pytest.raises(LogUnavailable, match="SQLite keeps journal_mode=delete instead of WAL; put the log on a local"):
        await log.open()


def _ignoring(word: str, execute: Callable[[SegmentWriter, str], None]) -> Callable[[SegmentWriter, str], None]:
    def ignoring(self: SegmentWriter, sql: str) -> None:
        if word not in sql:
            execute(self, sql)

    return ignoring
