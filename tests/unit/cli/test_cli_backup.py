"""`hxp backup` and `hxp restore` of services that do not run, and of backups that are not what they were."""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import stat
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hxp_enterprise_llm.cli.main import main
from hxp_enterprise_llm.event.model import BEGINNING
from hxp_enterprise_llm.orchestration.backup.making import Places
from hxp_enterprise_llm.orchestration.backup.model import BackupError
from hxp_enterprise_llm.orchestration.backup.restoring import restore
from hxp_enterprise_llm.store.database import Store
from tests.unit.log.damage import flip_body, four_segments
from tests.unit.log.support import event, sqlite_log


def hxp(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


async def some_state(data: Path) -> None:
    await four_segments(data / "processing/log")
    store = Store(data / "streaming/state.db")
    await store.open()
    await store.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    asyncio.run(some_state(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def backup(data: Path) -> Path:
    done = hxp("backup", data.parent / "backup", "--data", data)
    assert done.exit_code == 0, done.output
    return data.parent / "backup"


def test_a_backup_says_what_it_holds(data: Path) -> None:
    done = hxp("backup", data.parent / "b", "--data", data)
    assert "Backup in" in done.output
    assert "log    40 events, offsets 1 to 40, epoch " in done.output
    assert "store  revision 0004" in done.output
    facts = json.loads(hxp("backup", data.parent / "c.tar", "--data", data, "--json").stdout)
    assert (facts["log"]["head"], facts["store"], len(facts["files"])) == (40, "0004", 5)
    assert stat.S_IMODE((data.parent / "c.tar").stat().st_mode) == 0o600
    assert {each.name for each in data.parent.iterdir()} == {"data", "b", "c.tar"}


def test_the_manifest_is_the_last_word(backup: Path) -> None:
    """Modes, and nothing but log, store and manifest: no note of the head, no lock, no secret."""
    found = {each.relative_to(backup).as_posix() for each in backup.rglob("*") if each.is_file()}
    log = {f"event-processing/log/{number:04d}.db" for number in range(1, 5)}
    assert found == log | {"data-streaming-api/state.db", "manifest.json"}
    modes = {stat.S_IMODE(each.stat().st_mode) for each in backup.rglob("*") if each.is_file()}
    assert modes == {0o600}


def test_a_damaged_segment_is_put_back_from_a_backup(data: Path) -> None:
    """As the page on a damaged log says: the segment has the same number and offsets in both."""
    whole = data.parent / "b.tar"
    assert hxp("backup", whole, "--data", data).exit_code == 0
    log = data / "processing/log"
    flip_body(log / "0002.db")
    assert hxp("log", "check", log).exit_code == 65
    with tarfile.open(whole) as tar:
        member = tar.extractfile("event-processing/log/0002.db")
        assert member is not None
        (log / "0002.db").write_bytes(member.read())
    assert hxp("log", "check", log).exit_code == 0


async def _after(directory: Path) -> tuple[str, int, int]:
    log = sqlite_log(directory)
    epoch = (await log.open()).epoch
    (told,) = await log.append([event(f"new in {epoch}")])
    events = 0
    after = BEGINNING
    while (batch := await log.read(after, 1000)).next > after:
        events, after = events + len(batch.events), batch.next
    await log.close()
    return epoch, told.offset, events


def test_restored_in_place_the_log_begins_a_new_epoch_and_the_former_one_is_kept(data: Path, backup: Path) -> None:
    before = json.loads((backup / "manifest.json").read_text())["log"]["epoch"]
    asyncio.run(_after(data / "processing/log"))
    refused = hxp("restore", backup, "--data", data)
    assert refused.exit_code == 1
    assert "--replace moves it aside and keeps it" in refused.output
    done = hxp("restore", backup, "--data", data, "--replace")
    assert done.exit_code == 0, done.output
    assert done.output.count("What was there is in ") == 2
    assert len(list((data / "processing").glob("log.before-restore-*/*.db"))) == 4
    assert len(list((data / "streaming").glob("state.db.before-restore-*Z"))) == 1
    assert len(list((data / "processing").glob("log.head.before-restore-*Z"))) == 1
    epoch, offset, events = asyncio.run(_after(data / "processing/log"))
    assert epoch != before
    assert offset > 41, "the offset of an event that is gone may not come again"
    assert events == 41


def test_what_was_set_for_sources_comes_back(data: Path) -> None:
    """And what is there, with the windows of the log that is there, goes aside."""
    settings, windows = data / "processing/sources.json", data / "processing/analytics/state"
    settings.write_text('{"api":{"off":true}}')
    assert hxp("backup", data.parent / "b.tar", "--data", data).exit_code == 0
    settings.write_text("{}")
    windows.parent.mkdir()
    windows.write_bytes(b"of the log that is there")
    done = hxp("restore", data.parent / "b.tar", "--data", data, "--replace")
    assert done.exit_code == 0, done.output
    assert settings.read_text() == '{"api":{"off":true}}'
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    (aside,) = settings.parent.glob("sources.json.before-restore-*")
    assert aside.read_text() == "{}"
    assert not windows.exists()
    assert len(list(windows.parent.glob("state.before-restore-*"))) == 1


def test_a_log_that_has_not_gone_on_begins_a_new_epoch_too(data: Path, backup: Path) -> None:
    before = json.loads((backup / "manifest.json").read_text())["log"]["epoch"]
    assert hxp("restore", backup, "--data", data, "--replace").exit_code == 0
    assert asyncio.run(_after(data / "processing/log"))[0] != before


def _all_of(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """No file may become larger: a disk that is full soon, as far as a writer sees."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("form", ["b", "b.tar"])
@pytest.mark.parametrize("limit", [4096, 60_000])
def test_a_disk_that_is_full_changes_nothing(data: Path, form: str, limit: int) -> None:
    """Neither what is there nor what lies beside it, and the same backup can be restored when there is room."""
    backup = data.parent / form
    assert hxp("backup", backup, "--data", data).exit_code == 0
    before = _all_of(data)
    with small_files(limit):
        refused = hxp("restore", backup, "--data", data, "--replace")
    assert refused.exit_code == 1
    assert "was not restored, all is as it was: " in refused.output
    assert f"it takes room for a second copy in {data}/processing" in refused.output
    assert _all_of(data) == before
    assert hxp("restore", backup, "--data", data, "--replace").exit_code == 0


def test_what_cannot_be_moved_aside_undoes_the_rest(data: Path, backup: Path) -> None:
    """Here a directory has the name; on a host it is a disk that turns read-only."""
    (data / "streaming/state.db.before-restore-S").mkdir()
    before = _all_of(data)
    with pytest.raises(BackupError, match="all is as it was"):
        restore(backup, Places(data / "processing", data / "streaming"), "S", replace=True)
    assert _all_of(data) == before


def test_what_a_killed_restore_left_is_in_nobodys_way(data: Path, backup: Path) -> None:
    (data / "processing/log.restoring").mkdir()
    (data / "processing/log.restoring/0001.db").touch()
    (data / "streaming/state.db.restoring").touch()
    assert hxp("restore", backup, "--data", data, "--replace").exit_code == 0
    assert list(data.rglob("*.restoring*")) == []


def test_a_backup_that_was_killed_is_named_and_its_tar_is_in_nobodys_way(data: Path) -> None:
    target = data.parent / "b.tar"
    target.with_name("b.tar.partial").touch()
    assert hxp("backup", target, "--data", data).exit_code == 0
    target.unlink()
    target.with_name("b.tar.making").mkdir()
    refused = hxp("backup", target, "--data", data)
    assert f"{target}.making is left over or in use: remove it if no other backup runs" in refused.output
    assert target.with_name("b.tar.making").exists()


def _flip(backup: Path) -> None:
    path = backup / "event-processing/log/0001.db"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _cut(backup: Path) -> None:
    path = backup / "data-streaming-api/state.db"
    path.write_bytes(path.read_bytes()[:-4096])


def _format(backup: Path) -> None:
    path = backup / "manifest.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 9'))


HARMS = [
    (_flip, "the backup is damaged: event-processing/log/0001.db: its content is not what was written"),
    (_cut, "the backup is damaged: data-streaming-api/state.db: its content is not what was written"),
    (
        lambda backup: (backup / "data-streaming-api/state.db").unlink(),
        "the backup is damaged: data-streaming-api/state.db: No such file or directory",
    ),
    (
        lambda backup: (backup / "event-processing/log/0099.db").touch(),
        "the backup is damaged: event-processing/log/0099.db: is not part of the backup",
    ),
    (lambda backup: (backup / "manifest.json").unlink(), "is no finished backup: it has no manifest.json"),
    (lambda backup: (backup / "manifest.json").write_text("{"), "manifest.json cannot be read"),
    (_format, "has format 9, this program reads format 1: use release 0.1.0"),
]


@pytest.mark.parametrize(("harm", "said"), HARMS)
def test_a_backup_that_is_not_whole_is_refused(backup: Path, harm: object, said: str) -> None:
    assert callable(harm)
    harm(backup)
    new = backup.parent / "new"
    for arguments in (["--check"], ["--data", new]):
        refused = hxp("restore", backup, *arguments)
        assert refused.exit_code == 1
        assert said in refused.output
    assert not (new / "processing/log").exists()
    assert not (new / "streaming").exists()


def test_what_is_damaged_is_not_backed_up(data: Path) -> None:
    flip_body(sorted((data / "processing/log").glob("*.db"))[1])
    refused = hxp("backup", data.parent / "b", "--data", data)
    assert refused.exit_code == 1
    assert "is damaged: 0002.db: offsets 16 to 20" in refused.output
    assert "`hxp log check` and `repair` mend it" in refused.output
    assert [each.name for each in data.parent.iterdir()] == ["data"]


def test_a_damaged_store_is_not_backed_up(data: Path) -> None:
    path = data / "streaming/state.db"
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 4] = b"\xff" * 4096
    path.write_bytes(content)
    refused = hxp("backup", data.parent / "b", "--data", data)
    assert refused.exit_code == 1
    assert f"the store {path} is damaged" in refused.output


def _tar(path: Path, fill: Iterator[tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w") as tar:
        for member in fill:
            tar.addfile(member)
    return path


def _link() -> tarfile.TarInfo:
    link = tarfile.TarInfo("event-processing")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    return link


@pytest.mark.parametrize("member", [tarfile.TarInfo("../escaped"), tarfile.TarInfo("/etc/escaped"), _link()])
def test_a_tar_cannot_write_elsewhere(tmp_path: Path, member: tarfile.TarInfo) -> None:
    hostile = _tar(tmp_path / "hostile.tar", iter([member]))
    refused = hxp("restore", hostile, "--check")
    assert refused.exit_code == 1
    assert "does not belong into a backup" in refused.output


def test_a_tar_that_was_cut_is_said(data: Path) -> None:
    whole = data.parent / "whole.tar.gz"
    assert hxp("backup", whole, "--data", data).exit_code == 0
    assert hxp("restore", whole, "--check").output.startswith(f"{whole} is whole")
    whole.write_bytes(whole.read_bytes()[:-2000])
    assert "is no backup, or only a part of one" in hxp("restore", whole, "--check").output


def test_what_is_no_archive_is_said_in_one_line(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("no archive")
    refused = hxp("restore", notes, "--check")
    assert (refused.exit_code, len(refused.output.splitlines())) == (1, 1)
    assert refused.output.startswith(f"{notes} is no backup, or only a part of one: ")


def test_where_nothing_is_nothing_is_backed_up(tmp_path: Path) -> None:
    refused = hxp("backup", tmp_path / "b", "--data", tmp_path / "nothing")
    assert refused.exit_code == 1
    assert f"there is neither a log in {tmp_path}/nothing/processing/log nor a store" in refused.output
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_is_there_is_not_written_over(data: Path, backup: Path) -> None:
    refused = hxp("backup", backup, "--data", data)
    assert refused.exit_code == 1
    assert "exists already: name another" in refused.output


def test_the_copy_reads_only(data: Path) -> None:
    """What a killed service left in the write-ahead file is in the copy, and stays where it is."""
    with closing(sqlite3.connect(data / "streaming/state.db")) as writer:
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("CREATE TABLE probe (x)")
        writer.commit()
        wal = data / "streaming/state.db-wal"
        size = wal.stat().st_size
        assert size > 0
        assert hxp("backup", data.parent / "b", "--data", data).exit_code == 0
        assert wal.stat().st_size == size
    with closing(sqlite3.connect(data.parent / "b/data-streaming-api/state.db")) as copy:
        assert copy.execute("SELECT count(*) FROM probe").fetchone() == (0,)
