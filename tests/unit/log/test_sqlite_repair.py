"""`check` and `repair` of a damaged log, and what a log does with a segment of which nothing can be read."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from hxp_enterprise_llm.event.log.model import LogCorrupt, LogFull, LogLocked, LogUnavailable
from hxp_enterprise_llm.event.log.sqlite import directory as files
from hxp_enterprise_llm.event.log.sqlite.repair import repair
from hxp_enterprise_llm.event.log.sqlite.segment import SegmentReader, SegmentWriter, segment_paths
from hxp_enterprise_llm.event.model import EARLIEST, Offset
from tests.unit.log.damage import damage_pages, flip_body, four_segments, note_of, remove_record, run_sql
from tests.unit.log.support import event, events, ids, read_all, sqlite_log


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    await four_segments(tmp_path / "log")
    return tmp_path / "log"


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


async def test_root_leaves_nothing_of_its_own(directory: Path) -> None:
    """Else the service, whose log it is, could not take a lock of root's. Without root there is but one user."""
    (directory / "lock").unlink()
    if os.geteuid() == 0:
        os.chown(directory, 65534, 65534)
    assert checked(directory).is_whole
    found, owner = (directory / "lock").stat(), directory.stat()
    assert (found.st_uid, found.st_gid) == (owner.st_uid, owner.st_gid)


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
    (_first_bytes, ["0002.db: offsets 11 to 20: its header: file is not a database"], set(range(11, 21))),
    (
        lambda directory: os.truncate(_second(directory), 0),
        ["0002.db: offsets 11 to 20: its header: is no segment of an event log"],
        set(range(11, 21)),
    ),
    (
        lambda directory: os.truncate(_second(directory), 150_000),
        ["0002.db: offsets 11 to 20: its header: database disk image is malformed"],
        set(range(11, 21)),
    ),
    (
        lambda directory: segment_paths(directory)[0].write_bytes(b"nothing"),
        ["0001.db: offsets 1 to 10: its header: file is not a database"],
        set(range(1, 11)),
    ),
    (
        lambda directory: segment_paths(directory)[3].write_bytes(b"nothing"),
        ["0004.db: offsets 31 to 40: its header: file is not a database"],
        set(range(31, 41)),
    ),
    (
        lambda directory: run_sql(_second(directory), "UPDATE segment SET epoch = 'strange'"),
        ["0002.db: offsets 11 to 20: it is of another log: its epoch is strange, that around it *"],
        set(range(11, 21)),
    ),
    (
        lambda directory: run_sql(_second(directory), "DELETE FROM segment"),
        ["0002.db: its header: has no header"],
        set(),
    ),
]


NAMES = ["bit", "record", "two", "segment", "end", "header", "empty", "cut", "oldest", "newest", "strange", "headless"]


@pytest.mark.parametrize(("harm", "damages", "lost"), HARMS, ids=NAMES)
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
        assert [str(damage).replace(bounds.epoch, "*") for damage in summary.damages] == damages
        assert sum(damage.events for damage in summary.damages) == len(lost)
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


@pytest.mark.parametrize("name", ["header", "empty", "cut", "oldest", "strange", "headless"])
async def test_a_segment_of_which_nothing_is_read_stops_nobody_else(directory: Path, name: str) -> None:
    """It is told at once, in health and in figures; whoever reads there gets an error, never another's events."""
    log = sqlite_log(directory, window_events=10)
    bounds = await log.open()
    await log.close()
    HARMS[NAMES.index(name)][0](directory)
    assert await log.open() == bounds
    first = 1 if name == "oldest" else 11
    (finding,) = (await log.health()).findings
    assert finding.startswith(f"000{first // 10 + 1}.db: offsets {first} to {first + 9}: ")
    with pytest.raises(LogCorrupt, match=f"000{first // 10 + 1}.db: it"):
        await log.read(Offset(first - 1), 10)
    assert (await log.append([event("new")]))[0].offset == 41
    assert [each.offset for each in (await log.read(Offset(first + 9), 5)).events] == [*range(first + 10, first + 15)]
    await log.trim(Offset(20))
    assert (await log.health()).findings == ()
    await log.close()


async def test_a_flipped_bit_in_an_epoch_makes_no_stranger(directory: Path) -> None:
    epoch = checked(directory).epoch
    flipped = epoch[:7] + ("0" if epoch[7] != "0" else "1") + epoch[8:]
    run_sql(_second(directory), f"UPDATE segment SET epoch = '{flipped}'")
    assert checked(directory).is_whole
    log = sqlite_log(directory)
    assert (await log.open()).epoch == epoch
    assert len(await read_all(log, EARLIEST, 100)) == 40
    await log.close()


@pytest.mark.parametrize("name", ["header", "strange"])
async def test_a_segment_that_is_needed_to_know_repeats_is_named_at_open(directory: Path, name: str) -> None:
    HARMS[NAMES.index(name)][0](directory)
    with pytest.raises(LogCorrupt) as caught:
        await sqlite_log(directory).open()
    assert str(caught.value).startswith(f"{_second(directory)}: it")


@pytest.mark.parametrize(("harm", "reason"), [("newest", "file is not a database"), ("directory", "is a directory")])
async def test_the_segment_that_is_written_must_be_one(directory: Path, harm: str, reason: str) -> None:
    newest = segment_paths(directory)[3]
    newest.unlink()
    if harm == "directory":
        newest.mkdir()
    else:
        newest.write_bytes(b"nothing")
    with pytest.raises(LogCorrupt) as caught:
        await sqlite_log(directory).open()
    assert str(caught.value) == f"{newest}: its header: {reason}"


async def test_what_one_may_not_read_is_not_damaged(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair would leave it behind."""
    for forbidden in (directory, _second(directory)):
        monkeypatch.setattr(os, "access", lambda path, mode, forbidden=forbidden: path != forbidden)
        with pytest.raises(LogUnavailable, match=f"{forbidden}: no right to use it"), files.owned(directory):
            pass


async def test_what_sqlite_is_hindered_from_reading_is_not_damaged(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hindered(_: SegmentReader) -> None:
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY
        raise error

    monkeypatch.setattr(SegmentReader, "header", hindered)
    with pytest.raises(LogUnavailable, match=r"0001\.db: attempt to write"), files.owned(directory):
        files.check(directory)


async def test_a_file_that_may_not_be_written_is_named_at_open(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite opens it for reading alone, and the service would end at its first event, again and again."""
    newest = segment_paths(directory)[3]
    monkeypatch.setattr(os, "access", lambda path, mode: path != newest)
    with pytest.raises(LogUnavailable) as caught:
        await sqlite_log(directory).open()
    assert str(caught.value) == f"the log is not available: {newest}: Permission denied"


async def test_what_root_repairs_belongs_to_the_owner_of_the_log(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: set[Path] = set()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, *_, **__: given.add(path))
    flip_body(_second(directory))
    note_of(directory).unlink()
    with files.owned(directory):
        new = repair(directory, files.check(directory), "now", lambda: "new-epoch").original.with_name("log.new-now")
    assert {new, note_of(directory)} <= given
    assert {path.name for path in given if path.parent == new} == {f"000{number}.new" for number in range(1, 6)}


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
    closed, close = [], SegmentWriter.close
    monkeypatch.setattr(SegmentWriter, "close", lambda writer: closed.append(writer.path.name) or close(writer))
    with files.owned(directory):
        summary = files.check(directory)
        with pytest.raises(LogFull, match="make room"):
            repair(directory, summary, "now", lambda: "new-epoch")
        assert closed == ["0001.db"]
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
