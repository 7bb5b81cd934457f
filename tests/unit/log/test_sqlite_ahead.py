"""The write-ahead log has its bytes before they are needed, and is written from its beginning again and again."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from hxp_enterprise_llm.event.log.sqlite import files, store
from hxp_enterprise_llm.event.log.sqlite.files import fill_ahead
from hxp_enterprise_llm.event.model import BEGINNING
from tests.unit.log.support import BATCH, events, sqlite_log
from tests.unit.log.test_sqlite_crash import append_and_kill, stored_ids

SHARE = 256 * 1024 // 8
"""Of the smallest segment there is."""


def wal(directory: Path) -> Path:
    return directory / "0001.db-wal"


@pytest.fixture
def longest_file() -> Iterator[int]:
    """No file of this process may become longer."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    yield 5000
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_what_a_file_has_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_FILL_BYTES", 1000)
    path = tmp_path / "file"
    path.write_bytes(b"frames")
    fill_ahead(path, 2500)
    assert path.read_bytes() == b"frames" + bytes(2494)
    fill_ahead(path, 100)
    assert path.stat().st_size == 2500


def test_without_room_a_file_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longest_file: int) -> None:
    monkeypatch.setattr(files, "_FILL_BYTES", 1000)
    path = tmp_path / "file"
    path.write_bytes(b"frames")
    fill_ahead(path, 2 * longest_file)
    assert path.read_bytes() == b"frames"


async def test_commits_write_over_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many times what the write-ahead log holds goes through it, and it is no longer than at first."""
    monkeypatch.setattr(store, "_CHECKPOINT_BYTES", SHARE - 12_000)
    log = sqlite_log(tmp_path, segment_bytes=SHARE * 8, recent_bytes=1)
    await log.open()
    assert wal(tmp_path).stat().st_size == SHARE - 12_000
    for number in range(60):
        await log.append(events(number, 1, size=500))
    assert wal(tmp_path).stat().st_size <= SHARE
    assert len((await log.read(BEGINNING, 1000)).events) == 60
    await log.close()


async def test_a_killed_process_leaves_its_events(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    kept = append_and_kill(directory, 0, 1, no_more=True)
    assert wal(directory).stat().st_size >= SHARE
    assert (await stored_ids(directory))[: kept * BATCH] == list(range(kept * BATCH))
