"""Files that come, change and go, in real directories."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hxp_enterprise_llm.config.sources import WatchedConfig
from hxp_enterprise_llm.event.sources.pollers import activity
from hxp_enterprise_llm.event.sources.pollers.activity import Activity
from hxp_enterprise_llm.event.sources.pollers.model import PollError
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue

CATALOGUE = SchemaCatalogue.load()


def watching(*paths: Path, max_files: int = 100, **more: Any) -> Activity:
    return Activity([WatchedConfig(path=str(path), **more) for path in paths], max_files)


async def told(it: Activity) -> list[tuple[str, str]]:
    """What one look tells, in short; each event agrees with its schema."""
    items = (await it.ask()).items
    assert all(item.type == "file.activity" and CATALOGUE.check(item.type, item.data) == () for item in items)
    return [(item.data["change"], item.data["path"]) for item in items]


async def test_what_is_there_is_learnt_and_what_happens_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text("a")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    it = watching(tmp_path)
    assert await told(it) == []
    (tmp_path / "old.md").write_text("ab")
    (tmp_path / "deep" / "er" / "new.md").write_text("abc")
    assert await told(it) == [("created", "deep/er/new.md"), ("changed", "old.md")]
    assert await told(it) == []
    (tmp_path / "deep" / "er" / "new.md").unlink()
    (tmp_path / "deep" / "er").rmdir()
    assert await told(it) == [("removed", "deep/er/new.md")]


async def test_an_event_has_all_that_is_known(tmp_path: Path) -> None:
    it = watching(tmp_path, topic="planning")
    await it.ask()
    (tmp_path / "plan.md").write_text("12345")
    (item,) = (await it.ask()).items
    assert item.subject == "plan.md"
    assert item.data == {
        "path": "plan.md",
        "directory": str(tmp_path),
        "change": "created",
        "size_bytes": 5,
        "topic": "planning",
    }


async def test_only_what_was_asked_for_counts(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    inside = tmp_path / "inside"
    (inside / ".git").mkdir(parents=True)
    it = watching(inside, include=["*.md", "TASK*"])
    await it.ask()
    for name in ("a.md", "TASK-1", "b.txt", ".hidden.md", ".git/c.md"):
        (inside / name).write_text("x")
    (outside / "far.md").write_text("x")
    (inside / "link").symlink_to(outside)
    (inside / "link.md").symlink_to(outside / "far.md")
    os.mkfifo(inside / "pipe.md")
    assert await told(it) == [("created", "TASK-1"), ("created", "a.md")]


async def test_many_changes_are_told_bit_by_bit_and_none_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "MOST", 4)
    it = watching(tmp_path)
    await it.ask()
    for number in range(10):
        (tmp_path / f"{number}").write_text("x")
    looks = [await told(it) for _ in range(4)]
    assert [len(look) for look in looks] == [4, 4, 2, 0]
    assert [path for look in looks for _, path in look] == [f"{number}" for number in range(10)]


async def test_the_same_path_below_two_directories_is_two_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    it = watching(tmp_path / "one", tmp_path / "two")
    await it.ask()
    for name in ("one", "two"):
        (tmp_path / name / "same").write_text("x")
    assert await told(it) == [("created", "same"), ("created", "same")]


async def test_a_directory_that_is_not_there_is_said_and_found_again(tmp_path: Path) -> None:
    it = watching(tmp_path / "later")
    with pytest.raises(PollError, match="later cannot be read: No such file or directory"):
        await it.ask()
    (tmp_path / "later").mkdir()
    assert await told(it) == []


async def test_too_many_files_are_said(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}").write_text("x")
    with pytest.raises(PollError, match="more than 2 files are there: name smaller directories"):
        await watching(tmp_path, max_files=2).ask()


async def test_a_name_that_is_no_text_is_shown_safely(tmp_path: Path) -> None:
    it = watching(tmp_path)
    await it.ask()
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff\nname"))).write_text("x")
    ((change, path),) = await told(it)
    assert change == "created"
    assert path.isprintable()
