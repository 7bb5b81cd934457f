"""Damage in the files of a log: found when it is read, found in the background, told, and mended."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.event.log.model import LogCorrupt, LogLocked, LogUnavailable
from hxp_enterprise_llm.event.log.sqlite import directory as files
from hxp_enterprise_llm.event.log.sqlite.files import request_trim
from hxp_enterprise_llm.event.log.sqlite.repair import repair
from hxp_enterprise_llm.event.log.sqlite.segment import SegmentWriter, segment_paths
from hxp_enterprise_llm.event.log.sqlite.store import Store
from hxp_enterprise_llm.event.model import BEGINNING, EARLIEST, Offset
from hxp_enterprise_llm.telemetry.metrics import LogMetrics
from tests.unit.log.damage import damage_pages, flip_body, four_segments, remove_record
from tests.unit.log.support import event, events, eventually, ids, read_all, sqlite_log


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
    await asyncio.wait_for(scrub, 5)


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
    await asyncio.wait_for(scrub, 5)


async def test_a_trim_that_was_asked_for_by_a_file(directory: Path) -> None:
    log = sqlite_log(directory)
    await log.open()
    scrub = asyncio.create_task(log.run_scrub())
    request = request_trim(directory, 20)
    await eventually(lambda: not request.exists())
    assert (await log.bounds()).first == 21
    (directory / "trim").write_text("all of it")
    await eventually(lambda: not request.exists())
    assert (await log.bounds()).first == 21
    await log.close()
    await asyncio.wait_for(scrub, 5)


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


def checked(directory: Path) -> files.Summary:
    with files.owned(directory):
        return files.check(directory)


async def test_check_of_a_log_that_is_whole(directory: Path) -> None:
    sizes: list[int] = []
    before = {path: path.read_bytes() for path in segment_paths(directory)}
    with files.owned(directory):
        summary = files.check(directory, sizes.append)
        with pytest.raises(LogLocked):
            checked(directory)
    assert summary.is_whole
    assert (summary.first, summary.head, summary.segments, summary.records, summary.events) == (1, 40, 4, 8, 40)
    assert sum(sizes) >= 0.9 * summary.bytes
    assert before == {path: path.read_bytes() for path in segment_paths(directory)}


async def test_no_log_to_check(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match="there is no log in"):
        checked(tmp_path)


Harm = Callable[[Path], object]


def _second(directory: Path) -> Path:
    return segment_paths(directory)[1]


def _first_bytes(directory: Path) -> None:
    with _second(directory).open("r+b") as file:
        file.write(bytes(100))


def _both_ends(directory: Path) -> None:
    flip_body(_second(directory), last=False)
    flip_body(segment_paths(directory)[3])


HARMS: list[tuple[Harm, list[str], set[int]]] = [
    (
        lambda directory: flip_body(_second(directory)),
        ["0002.db: offsets 16 to 20: record 20: its checksum does not fit its content"],
        set(range(16, 21)),
    ),
    (
        lambda directory: remove_record(_second(directory), 15),
        ["0002.db: offsets 11 to 15: the record is missing"],
        set(range(11, 16)),
    ),
    (
        _both_ends,
        [
            "0002.db: offsets 11 to 15: record 15: its checksum does not fit its content",
            "0004.db: offsets 36 to 40: record 40: its checksum does not fit its content",
        ],
        set(range(11, 16)) | set(range(36, 41)),
    ),
    (
        lambda directory: _second(directory).unlink(),
        ["0003.db: offsets 11 to 20: a segment before it is missing"],
        set(range(11, 21)),
    ),
    (
        lambda directory: segment_paths(directory)[3].unlink(),
        ["0003.db: offsets 31 to 40: the log had reached offset 40; its end is missing"],
        set(range(31, 41)),
    ),
    (_first_bytes, ["0002.db: its header: file is not a database"], set(range(11, 21))),
]


@pytest.mark.parametrize(("harm", "damages", "lost"), HARMS, ids=["bit", "record", "two", "segment", "end", "header"])
async def test_check_and_repair(directory: Path, harm: Harm, damages: list[str], lost: set[int]) -> None:
    """Everything else is there afterwards, at its offset, under a new epoch; the damaged log is kept."""
    log = sqlite_log(directory)
    bounds = await log.open()
    events_before = {one.offset: one.raw for one in await read_all(log, EARLIEST, 100)}
    await log.close()
    harm(directory)
    kept = {path.name: path.read_bytes() for path in segment_paths(directory)}
    with files.owned(directory):
        summary = files.check(directory)
        assert [str(damage) for damage in summary.damages][: len(damages)] == damages
        done = repair(directory, summary, "now", lambda: "new-epoch")
    assert done.kept_events == 40 - len(lost)
    assert {path.name: path.read_bytes() for path in segment_paths(done.original)} == kept
    assert checked(directory).is_whole
    after = await log.open()
    assert (after.epoch, after.head) == ("new-epoch", 40)
    assert after.epoch != bounds.epoch
    assert (await log.health()).findings == ()
    found = {one.offset: one.raw for one in await read_all(log, EARLIEST, 100)}
    assert found == {offset: raw for offset, raw in events_before.items() if offset not in lost}
    assert (await log.append([event("new")]))[0].offset == 41
    await log.close()
    assert not list(directory.parent.glob("log.new-*"))


async def test_repair_behind_a_damaged_page(tmp_path: Path) -> None:
    """What lies behind it is reached from the other end."""
    log = sqlite_log(tmp_path / "log")
    await log.open()
    for number in range(300):
        await log.append(events(number, 1, size=1500))
    await log.close()
    path = segment_paths(tmp_path / "log")[0]
    damage_pages(path, 13)
    with files.owned(tmp_path / "log"):
        summary = files.check(tmp_path / "log")
        (damage,) = summary.damages
        assert "malformed" in str(damage)
        assert 1 <= damage.events < 10
        done = repair(tmp_path / "log", summary, "now", lambda: "new-epoch")
    assert done.kept_events == 300 - damage.events
    await log.open()
    found = await read_all(log, EARLIEST, 100)
    assert len(found) == done.kept_events
    await log.close()


async def test_a_repair_that_fails_leaves_everything_as_it_was(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip_body(_second(directory))
    before = {path: path.read_bytes() for path in directory.iterdir()}
    monkeypatch.setattr(SegmentWriter, "seal", _fail)
    with files.owned(directory):
        summary = files.check(directory)
        with pytest.raises(OSError, match="no room"):
            repair(directory, summary, "now", lambda: "new-epoch")
        shutil.copytree(directory, directory.with_name("log.damaged-now"))
        with pytest.raises(LogUnavailable, match="is there already"):
            repair(directory, summary, "now", lambda: "new-epoch")
    after = {path: path.read_bytes() for path in before}
    before.pop(directory / "lock")
    assert before.items() <= after.items()
    assert not list(directory.parent.glob("log.new-*"))


def _fail(*_: object) -> None:
    raise OSError(28, "no room")


async def test_a_log_whose_process_was_killed_is_whole(tmp_path: Path) -> None:
    """What is in the write-ahead file counts, and there is no shared memory to help."""
    log = sqlite_log(tmp_path / "log")
    await log.open()
    await log.append(events(0, 10))
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "log", copy, ignore=shutil.ignore_patterns("*-shm"))
    await log.close()
    summary = checked(copy)
    assert (summary.is_whole, summary.events) == (True, 10)
    assert ids(await _reopened(copy)) == [str(number) for number in range(10)]


async def _reopened(directory: Path) -> object:
    log = sqlite_log(directory)
    await log.open()
    try:
        return await log.read(EARLIEST)
    finally:
        await log.close()
