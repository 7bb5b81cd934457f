"""`hxp export` against a small real service: a file that is whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from hxp_enterprise_llm.client import export as client
from tests.ports import free_port

Hxp = Callable[..., Result]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(client, "_FIRST_DELAY", 0.01)
    monkeypatch.chdir(tmp_path)


def lines(count: int) -> list[tuple[int, bytes]]:
    return [(3 * n, b'{"offset":%d,"time":"t","data":"%b"}\n' % (3 * n, b"x" * (n % 40))) for n in range(1, count)]


def test_a_table_becomes_a_file(service: Any, hxp: Hxp, tmp_path: Path) -> None:
    service.rows = lines(100)
    result = hxp("export", "events", "--format", "ndjson", "--from", "-2h", "--url", service.url)
    whole = b"".join(line for _, line in service.rows)
    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1] == f"events.ndjson: {len(whole):,} bytes"
    assert (tmp_path / "events.ndjson").read_bytes() == whole
    assert service.queries == [{"what": "events", "format": "ndjson", "from": "-2h"}]
    assert [path.name for path in tmp_path.iterdir()] == ["events.ndjson"]


def test_a_broken_download_of_lines_goes_on_behind_the_last_whole_one(service: Any, hxp: Hxp, tmp_path: Path) -> None:
    service.rows = lines(500)
    service.breaks = [5000, 7, 4000, 0]
    result = hxp("export", "events", "--format", "ndjson", "--quiet", "--url", service.url)
    assert result.exit_code == 0
    assert (tmp_path / "events.ndjson").read_bytes() == b"".join(line for _, line in service.rows)
    afters = [int(query.get("after", 0)) for query in service.queries]
    assert afters == sorted(afters)
    assert afters[-1] > 300
    assert len(afters) == 5


def test_a_broken_download_of_another_kind_begins_again(service: Any, hxp: Hxp, tmp_path: Path) -> None:
    service.rows = lines(500)
    service.breaks = [5000, 300]
    result = hxp("export", "events", "--format", "json", "--quiet", "--url", service.url)
    assert result.exit_code == 0
    assert (tmp_path / "events.json").read_bytes() == b"".join(line for _, line in service.rows)
    assert all("after" not in query for query in service.queries)


def test_one_that_breaks_for_good_leaves_nothing(service: Any, hxp: Hxp, tmp_path: Path) -> None:
    service.rows = lines(50)
    service.breaks = [10] * 100
    result = hxp("export", "events", "--quiet", "--url", service.url)
    assert result.exit_code == 69
    assert "does not answer" in result.stderr
    assert list(tmp_path.iterdir()) == []
    assert len(service.queries) == 6


def test_a_refusal_is_said_with_its_hint(service: Any, hxp: Hxp, tmp_path: Path) -> None:
    error = {"code": "format_not_installed", "message": "this format needs pyarrow", "hint": "pip install it"}
    service.answers.append((501, {"error": error}))
    result = hxp("export", "--format", "parquet", "--url", service.url)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-2:] == [
        "refused: this format needs pyarrow (501 format_not_installed)",
        "hint: pip install it",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_written_over(service: Any, hxp: Hxp, tmp_path: Path) -> None:
    service.rows = lines(3)
    (tmp_path / "events.csv").write_text("mine")
    refused = hxp("export", "events", "--url", service.url)
    assert refused.exit_code == 1
    assert refused.stderr == "events.csv is there already: name another with --output, or use --force\n"
    assert (tmp_path / "events.csv").read_text() == "mine"
    assert hxp("export", "events", "--force", "--url", service.url).exit_code == 0
    assert (tmp_path / "events.csv").read_bytes() == b"".join(line for _, line in service.rows)


def test_a_place_that_cannot_be_written_is_named(service: Any, hxp: Hxp) -> None:
    result = hxp("export", "events", "--output", "/proc/none/x.csv", "--url", service.url)
    assert result.exit_code == 1
    assert result.stderr == "/proc/none/x.csv cannot be written: No such file or directory\n"


def test_nobody_answers(hxp: Hxp, tmp_path: Path) -> None:
    result = hxp("export", "events", "--quiet", "--url", f"http://127.0.0.1:{free_port()}")
    assert result.exit_code == 69
    assert list(tmp_path.iterdir()) == []
