"""What is in the log after its process was killed or its files were damaged."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from hxp_enterprise_llm.event.log import packing
from hxp_enterprise_llm.event.log.model import EpochChanged, LogCorrupt, LogLocked, LogUnavailable
from hxp_enterprise_llm.event.log.sqlite.segment import APPLICATION_ID, segment_paths
from hxp_enterprise_llm.event.model import BEGINNING, EARLIEST, Offset
from tests.unit.log.damage import flip, flip_body, note_of, run_sql
from tests.unit.log.support import BATCH, batch_of, event, events, eventually, ids, read_all, sqlite_log

ROOT = Path(__file__).parents[3]


def start_appender(directory: Path, *batches: int) -> subprocess.Popen[str]:
    """`batches`: the first, and the last if there is one."""
    command = [sys.executable, "-m", "tests.unit.log.appender", str(directory), *map(str, batches)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def append_and_kill(directory: Path, first: int, batches: int, *, no_more: bool = False) -> int:
    """Let a process acknowledge some batches and kill it; answers the first batch that is not known to be stored.

    `no_more`: it goes on with no further ones until it is killed.
    """
    with start_appender(directory, first, *[first + batches - 1] * no_more) as process:
        assert process.stdout is not None
        wait_for_batch(process, first + batches - 1)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines()
    return first + batches + len([line for line in rest if line.isdigit()])


def wait_for_batch(process: subprocess.Popen[str], number: int) -> None:
    """Read what the process says until it has acknowledged a batch; other lines are its log."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == str(number):
            return
    raise AssertionError(f"the process ended with {process.wait()}")


async def stored_ids(directory: Path) -> list[int]:
    log = sqlite_log(directory)
    await log.open()
    found = [int(msgspec.json.decode(one.raw)["id"]) for one in await read_all(log, BEGINNING, 1000)]
    await log.close()
    return found


async def test_kill_9_during_a_load_of_batches(tmp_path: Path) -> None:
    """Acknowledged batches are there, each once, in order; the one that was sent again is not doubled."""
    seed = random.Random(7)
    unacknowledged = 0
    for _ in range(4):
        unacknowledged = append_and_kill(tmp_path / "log", unacknowledged, seed.randrange(5, 60))
        found = await stored_ids(tmp_path / "log")
        # Whole batches only, and at most the one more whose answer was under way.
        assert found == list(range(len(found)))
        assert len(found) % BATCH == 0
        assert unacknowledged * BATCH <= len(found) <= (unacknowledged + 1) * BATCH
    assert len(segment_paths(tmp_path / "log")) > 3


async def test_epoch_and_offsets_outlive_a_kill(tmp_path: Path) -> None:
    next_batch = append_and_kill(tmp_path / "log", 0, 5)
    log = sqlite_log(tmp_path / "log")
    before = await log.open()
    await log.close()
    append_and_kill(tmp_path / "log", next_batch, 5)
    after = await log.open()
    assert after.epoch == before.epoch
    assert after.head > before.head
    await log.close()


async def test_a_damaged_end_of_the_write_ahead_log_is_told(tmp_path: Path) -> None:
    """SQLite drops what follows a flipped bit in silence; the log then opens under a new epoch, beyond what it had."""
    acknowledged = append_and_kill(tmp_path / "log", 0, 8)
    wal = tmp_path / "log" / "0001.db-wal"
    flip(wal, wal.stat().st_size // 2)
    log = sqlite_log(tmp_path / "log")
    bounds = await log.open()
    with pytest.raises(EpochChanged):
        await log.read(BEGINNING, epoch="-")
    stored = await read_all(log, BEGINNING, 1000)
    assert 0 < len(stored) < acknowledged * BATCH
    answer = await log.append([event("new")])
    assert bounds.head >= acknowledged * BATCH
    assert answer[0].offset > acknowledged * BATCH
    await log.close()
    reopened = await log.open()
    assert (reopened.epoch, reopened.head) == (bounds.epoch, answer[0].offset)
    assert len(await read_all(log, BEGINNING, 1000)) == len(stored) + 1
    await log.close()


def copied(directory: Path) -> None:
    """The whole state directory was copied to another place."""
    note = note_of(directory)
    shutil.copy(note, note.with_name("copy"))
    note.with_name("copy").rename(note)


def without_newest_segment(directory: Path) -> None:
    segment_paths(directory)[-1].unlink()


def without_middle_segment(directory: Path) -> None:
    segment_paths(directory)[1].unlink()


def without_note(directory: Path) -> None:
    note_of(directory).unlink()


def with_damaged_note(directory: Path) -> None:
    flip(note_of(directory), 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (copied, "the directory is a copy of another"),
        (without_newest_segment, "it ends at offset 30, but had reached 40"),
        (without_middle_segment, "offsets 11 to 20 are missing: a segment was removed"),
        (without_note, "there is no note of the head that it had reached"),
        (with_damaged_note, "there is no note of the head that it had reached"),
    ],
)
async def test_a_log_that_is_not_what_it_was_gets_a_new_epoch(
    tmp_path: Path, change: Callable[[Path], None], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "log"
    await four_segments(directory)
    log = sqlite_log(directory)
    before = await log.open()
    await log.close()
    change(directory)
    after = await log.open()
    assert after.epoch != before.epoch
    assert after.head >= before.head or change is with_damaged_note or change is without_note
    assert reason in capsys.readouterr().out
    answer = await log.append([event("new")])
    assert answer[0].offset > before.head
    await log.close()
    assert (await log.open()).epoch == after.epoch
    await log.close()


async def four_segments(directory: Path) -> None:
    """Offsets 1 to 40, ten in each segment."""
    log = sqlite_log(directory, segment_bytes=256 * 1024)
    await log.open()
    for number in range(1, 4):
        await log.append(events(10 * number, 10, size=40_000))
        await has_segments(directory, number + 1)
    await log.append(events(40, 10))
    await log.close()
    assert len(segment_paths(directory)) == 4


async def has_segments(directory: Path, count: int) -> None:
    await eventually(lambda: len(segment_paths(directory)) == count)


async def test_all_segments_gone(tmp_path: Path) -> None:
    """Offsets are not given out twice even then."""
    await four_segments(tmp_path / "log")
    for path in segment_paths(tmp_path / "log"):
        path.unlink()
    log = sqlite_log(tmp_path / "log")
    bounds = await log.open()
    assert (bounds.first, bounds.head) == (41, 40)
    assert (await log.health()).findings == (
        "opened under a new epoch: its segments are gone, it had reached offset 40",
    )
    await log.close()


async def test_a_directory_that_cannot_be_listed_is_not_taken_for_empty(tmp_path: Path, monkeypatch) -> None:
    """A log that seems to have no segments is begun anew, over those that there are."""
    log = sqlite_log(tmp_path / "log")
    before = await log.open()
    await log.append(events(0, 3))
    await log.close()

    def fails(path: object = ".") -> list[str]:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with monkeypatch.context() as disk:
        disk.setattr(os, "listdir", fails)
        with pytest.raises(LogUnavailable, match="Input/output error"):
            await log.open()
    assert (await log.open()).epoch == before.epoch
    assert len(await read_all(log, BEGINNING, 100)) == 3
    await log.close()


async def test_an_older_copy_that_was_restored(tmp_path: Path) -> None:
    """Files written over in place keep their identity; the note outside the directory tells."""
    directory, backup = tmp_path / "log", tmp_path / "backup"
    log = sqlite_log(directory)
    before = await log.open()
    await log.append(events(0, 10))
    await log.close()
    shutil.copytree(directory, backup)
    await log.open()
    await log.append(events(10, 10))
    await log.close()
    for path in backup.iterdir():
        shutil.copyfile(path, directory / path.name)
    after = await log.open()
    assert after.epoch != before.epoch
    assert (await log.append([event("new")]))[0].offset > 20
    assert (await log.health()).findings == ("opened under a new epoch: it ends at offset 10, but had reached 20",)
    await log.close()


async def test_a_log_of_the_first_release_keeps_its_epoch(tmp_path: Path) -> None:
    """It had the note of the head inside the directory."""
    log = sqlite_log(tmp_path / "log")
    before = await log.open()
    await log.append(events(0, 3))
    await log.close()
    note_of(tmp_path / "log").rename(tmp_path / "log" / "head")
    after = await log.open()
    assert (after.epoch, after.head) == (before.epoch, 3)
    assert not (tmp_path / "log" / "head").exists()
    await log.close()


async def test_segments_that_overlap_are_refused(tmp_path: Path) -> None:
    await four_segments(tmp_path / "log")
    first, second, *_ = segment_paths(tmp_path / "log")
    shutil.copy(first, second)
    with pytest.raises(LogCorrupt) as caught:
        await sqlite_log(tmp_path / "log").open()
    assert str(caught.value) == f"{second}: begins at offset 1, but {first.name} reaches to 10"


async def test_a_flipped_bit_in_a_body_names_segment_and_record(tmp_path: Path) -> None:
    await four_segments(tmp_path / "log")
    path = segment_paths(tmp_path / "log")[1]
    flip_body(path)
    log = sqlite_log(tmp_path / "log", window_events=1)
    await log.open()
    assert len((await log.read(BEGINNING, 10)).events) == 10
    with pytest.raises(LogCorrupt) as caught:
        await log.read(Offset(10), 10)
    assert str(caught.value) == f"{path}, record 20: its checksum does not fit its content"
    assert len((await log.read(Offset(20), 10)).events) == 10
    assert not (await log.append([event("still works")]))[0].duplicate
    await log.close()


async def test_a_flipped_bit_where_repeats_are_recognised_is_told_at_open(tmp_path: Path) -> None:
    await four_segments(tmp_path / "log")
    path = segment_paths(tmp_path / "log")[2]
    flip_body(path)
    with pytest.raises(LogCorrupt, match=r"0003\.db, record 30: its checksum does not fit its content"):
        await sqlite_log(tmp_path / "log").open()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no database at all, but long enough to look like one " * 100, "file is not a database"),
        ("CREATE TABLE other (x)", "is no segment of an event log"),
        (
            f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version=9",
            "has format 9, this program reads 1 and 2: a ",
        ),
        (
            f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version=1; CREATE TABLE segment (epoch, first)",
            "has no header",
        ),
    ],
)
async def test_files_that_are_no_segments(tmp_path: Path, content: bytes | str, message: str) -> None:
    path = tmp_path / "0001.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        connection = sqlite3.connect(path)
        connection.executescript(content)
        connection.close()
    log = sqlite_log(tmp_path)
    for _ in range(2):
        with pytest.raises(LogCorrupt, match=message):
            await log.open()
    assert (await log.health()).status == "down"


async def test_segments_of_the_first_format_are_read_and_the_last_one_is_written_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before bodies were compressed."""
    monkeypatch.setattr(packing, "_PLAIN_BYTES", sys.maxsize)
    log = sqlite_log(tmp_path / "log", segment_bytes=256 * 1024)
    await log.open()
    await log.append(events(0, 10, size=40_000))
    await has_segments(tmp_path / "log", 2)
    await log.append(events(10, 1))
    await log.close()
    sealed, active = segment_paths(tmp_path / "log")
    for path in (sealed, active):
        run_sql(path, "PRAGMA user_version = 1")
    monkeypatch.undo()
    await log.open()
    await log.append(events(11, 100))
    assert len(await read_all(log, BEGINNING, 1000)) == 111
    await log.close()
    assert [format_of(path) for path in (sealed, active)] == [1, 2]
    assert len(await read_all_again(tmp_path / "log")) == 111


def format_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


async def test_a_roll_that_was_cut_short_is_undone(tmp_path: Path) -> None:
    """The process was killed after the new segment had its name and before the old one was sealed."""
    append_and_kill(tmp_path / "log", 0, 3)
    other = sqlite_log(tmp_path / "other")
    await other.open()
    await other.close()
    shutil.copy(tmp_path / "other" / "0001.db", tmp_path / "log" / "0002.db")
    (tmp_path / "log" / "0003.new").write_bytes(b"half a segment")
    assert len(await stored_ids(tmp_path / "log")) >= 3 * BATCH
    assert [path.name for path in segment_paths(tmp_path / "log")] == ["0001.db"]
    assert not (tmp_path / "log" / "0003.new").exists()


async def test_sealing_is_finished_at_open(tmp_path: Path) -> None:
    """The process was killed after the roll, with events in the new segment, before the old one was sealed."""
    append_and_kill(tmp_path / "log", 0, 3)
    log = sqlite_log(tmp_path / "log", segment_bytes=256 * 1024)
    head = (await log.open()).head
    await log.append(events(10_000, 20, size=30_000))
    await has_segments(tmp_path / "log", 2)
    await log.append(events(20_000, 1))
    await log.close()
    sealed = await read_all_again(tmp_path / "log")
    assert [path.name for path in segment_paths(tmp_path / "log")] == ["0001.db", "0002.db"]
    first = tmp_path / "log" / "0001.db"
    connection = sqlite3.connect(first)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("UPDATE segment SET first = first")
    connection.commit()
    wal = first.with_name("0001.db-wal").read_bytes()
    unsealed = first.read_bytes()
    connection.close()
    first.write_bytes(unsealed)
    first.with_name("0001.db-wal").write_bytes(wal)
    assert await read_all_again(tmp_path / "log") == sealed
    assert not first.with_name("0001.db-wal").exists()
    assert len(sealed) == head + 21


async def read_all_again(directory: Path) -> list[bytes]:
    log = sqlite_log(directory)
    await log.open()
    found = [one.raw for one in await read_all(log, EARLIEST, 1000)]
    await log.close()
    return found


async def test_two_processes_on_one_log(tmp_path: Path) -> None:
    with start_appender(tmp_path / "log", 0) as owner:
        assert owner.stdout is not None
        wait_for_batch(owner, 0)
        log = sqlite_log(tmp_path / "log")
        with pytest.raises(LogLocked) as caught:
            await log.open()
        directory = tmp_path / "log"
        assert str(caught.value) == f"{directory} is in use by process {owner.pid}; one process owns a log"
        owner.kill()
        owner.wait()
        # The lock went with its owner.
        assert (await log.open()).head >= BATCH
        await log.close()
        owner.stdout.read()


async def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    directory = tmp_path / "file" / "log"
    with pytest.raises(LogUnavailable) as caught:
        await sqlite_log(directory).open()
    assert not caught.value.maybe_stored
    assert str(caught.value) == (
        f"the log is not available: cannot use {directory} as the log's directory: Not a directory"
    )


async def test_files_are_only_for_their_owner(tmp_path: Path) -> None:
    await four_segments(tmp_path / "log")
    log = sqlite_log(tmp_path / "log")
    await log.open()
    await log.append([event("x")])
    assert os.stat(tmp_path / "log").st_mode & 0o777 == 0o700
    for path in (tmp_path / "log").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path
    await log.close()


async def test_batches_of_the_appender_have_the_ids_that_the_tests_expect(tmp_path: Path) -> None:
    log = sqlite_log(tmp_path / "log")
    await log.open()
    await log.append(batch_of(3))
    assert ids(await log.read(BEGINNING)) == [str(n) for n in range(30, 40)]
    await log.close()
