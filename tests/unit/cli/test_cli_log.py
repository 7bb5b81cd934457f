"""`hxp log`: check, repair, stat and trim of a log on disk, with its owner and without."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hxp_enterprise_llm.cli.main import main
from hxp_enterprise_llm.event.log.sqlite.segment import SegmentWriter, segment_paths
from tests.unit.log.damage import flip_body, four_segments
from tests.unit.log.support import LogServer, sqlite_log


def hxp(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["log", *map(str, arguments)])


def last_line(result: Result) -> str:
    """What a command said; the lines before may be the log of the service in the same process."""
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout.splitlines()[-1]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    asyncio.run(four_segments(tmp_path / "log"))
    return tmp_path / "log"


def test_check_of_a_whole_log(directory: Path) -> None:
    result = hxp("check", directory)
    assert result.exit_code == 0
    assert "40 events in 8 records, 4 segments" in result.stdout
    assert "offsets 1 to 40, epoch " in result.stdout
    assert result.stdout.endswith("All is whole.\n")


def test_check_names_what_is_damaged(directory: Path) -> None:
    flip_body(segment_paths(directory)[1])
    result = hxp("check", directory)
    assert result.exit_code == 65
    line = "damaged: 0002.db: offsets 16 to 20: record 20: its checksum does not fit its content (5 events, "
    assert line in result.stdout
    facts = json.loads(hxp("check", directory, "--json").stdout)
    assert (facts["whole"], facts["lost_events"], facts["events"]) == (False, 5, 35)
    (damage,) = facts["damages"]
    assert (damage["path"], damage["first"], damage["last"]) == (str(segment_paths(directory)[1]), 16, 20)
    assert damage["bytes"] > 150_000


def test_repair_keeps_what_is_whole(directory: Path) -> None:
    flip_body(segment_paths(directory)[1])
    facts = json.loads(hxp("repair", directory, "--json").stdout)
    assert (facts["repaired"], facts["kept_events"], facts["lost_events"]) == (True, 35, 5)
    assert segment_paths(Path(facts["original"]))
    assert hxp("check", directory).exit_code == 0
    result = hxp("repair", directory)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "Nothing to repair.")


def test_a_repair_without_room_says_how_much_it_needs(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flip_body(segment_paths(directory)[1])
    before = sorted(path.name for path in directory.parent.iterdir())

    def full(_: SegmentWriter) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(SegmentWriter, "seal", full)
        result = hxp("repair", directory)
    assert result.exit_code == 66, result.output
    assert "make room" in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in directory.parent.iterdir()) == before
    assert hxp("repair", directory).exit_code == 0


def test_repair_says_what_it_did(directory: Path) -> None:
    flip_body(segment_paths(directory)[1])
    lines = hxp("repair", directory).stdout.splitlines()
    assert lines[-2].startswith("Kept 35 events under the new epoch ")
    assert str(next(directory.parent.glob("log.damaged-*"))) in lines[-1]


def test_stat(directory: Path) -> None:
    (directory / "copy.db").write_bytes(b"somebody else's")
    facts = json.loads(hxp("stat", directory, "--json").stdout)
    assert (facts["first"], facts["head"], facts["segments"]) == (1, 40, 4)
    assert facts["bytes"] > 900_000
    assert "head       40" in hxp("stat", directory).stdout


def test_trim(directory: Path) -> None:
    result = hxp("trim", directory, "--up-to", 25)
    assert (result.exit_code, result.stdout) == (0, "The log begins at offset 21 now.\n")
    assert hxp("check", directory).exit_code == 0
    assert json.loads(hxp("trim", directory, "--up-to", 40, "--json").stdout)["first"] == 41


def test_a_digit_too_many_does_not_drop_the_log(directory: Path) -> None:
    result = hxp("trim", directory, "--up-to", 250)
    assert result.exit_code == 1
    assert result.stderr == (
        "the newest event has the offset 40, 250 is beyond it; nothing was dropped\n"
        "hint: --up-to 40 drops all that there is now\n"
    )
    assert json.loads(last_line(hxp("stat", directory, "--json")))["first"] == 1


@pytest.mark.parametrize("command", [["check"], ["repair"], ["stat"], ["trim", "--up-to", "1"]])
def test_no_log_there(tmp_path: Path, command: list[str]) -> None:
    result = hxp(*command, tmp_path)
    assert result.exit_code == 66
    assert f"there is no log in {tmp_path}" in result.stderr
    assert "hint: name the log's own directory" in result.stderr


async def test_while_the_service_runs(tmp_path: Path) -> None:
    """check and repair refuse; stat asks the service; trim is done by it."""
    directory = tmp_path / "log"
    await four_segments(directory)
    log = sqlite_log(directory)
    await log.open()
    scrub = asyncio.create_task(log.run_scrub())
    server = LogServer(log)
    await server.start()

    async def run(*arguments: object) -> Result:
        return await asyncio.to_thread(hxp, *arguments)

    for command in ("check", "repair"):
        result = await run(command, directory)
        assert result.exit_code == 73
        assert "stop the service first" in result.stderr
    facts: dict[str, Any] = json.loads(last_line(await run("stat", directory, "--url", server.url, "--json")))
    assert (facts["first"], facts["head"], facts["status"]) == (1, 40, "ok")
    assert facts["owner"].startswith("process ")
    assert last_line(await run("trim", directory, "--up-to", 20)) == "The log begins at offset 21 now."
    assert (await log.bounds()).first == 21
    await server.stop()
    result = await run("stat", directory, "--url", server.url)
    assert result.exit_code == 69
    in_use, silent, hint = result.stderr.splitlines()
    assert in_use.startswith(f"{directory} is in use by process ")
    assert silent == f"{server.url}/events/bounds does not answer: Connection refused"
    assert hint == "hint: name the address of that process with --url or HXP_PROCESSING_URL"
    await log.close()
    await scrub


def test_an_owner_that_does_not_trim(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hxp_enterprise_llm.cli.log.TRIM_SECONDS", 0.2)
    asyncio.run(_trim_with_a_deaf_owner(directory))
    assert not (directory / "trim").exists()


async def _trim_with_a_deaf_owner(directory: Path) -> None:
    log = sqlite_log(directory)
    await log.open()
    result = await asyncio.to_thread(hxp, "trim", directory, "--up-to", 20)
    assert result.exit_code == 69
    assert "did not trim it within" in result.stderr
    await log.close()
