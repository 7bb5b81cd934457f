"""`hxp dashboards lint`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hxp_enterprise_llm.cli.main import main

CONFIGURED = Path(__file__).parents[3] / "config" / "dashboards"


def test_the_shipped_ones_have_no_fault() -> None:
    result = CliRunner().invoke(main, ["dashboards", "lint", str(CONFIGURED)])
    assert (result.exit_code, result.output) == (0, "5 definitions, no fault\n")


def test_each_fault_has_its_place(tmp_path: Path) -> None:
    faulty = tmp_path / "own.json"
    faulty.write_text((CONFIGURED / "system_health.json").read_text().replace('"gauge"', '"guage"', 1))
    result = CliRunner().invoke(main, ["dashboards", "lint", str(faulty), str(CONFIGURED / "system_health.json")])
    assert result.exit_code == 78
    assert f"{faulty}:" in result.stderr
    assert "(did you mean gauge?)" in result.stderr


def test_a_file_of_another_kind_is_named_as_it_is(tmp_path: Path) -> None:
    other = tmp_path / "gateway.yaml"
    other.write_text("service: {port: 9102}\n")
    result = CliRunner().invoke(main, ["dashboards", "lint", str(other)])
    assert result.exit_code == 2
    assert f"{other} is no definition: they are JSON, in files named NAME.json" in result.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"title": "A",\n  "title": "B"}', ":2:12: not valid JSON: the key 'title' is given twice"),
        ('{"panels": [\n {"limit": NaN}]}', ":2:12: not valid JSON: NaN is no JSON number"),
        ('{"title": "NaN",\n7}', ":2:1: not valid JSON"),
        ('{\n"update_frequency": 61}', ":2:21: update_frequency"),
        ('{"title": 7}', ":1:1: dashboard_id"),
        ("[" * 9999, "nested too deeply"),
    ],
)
def test_whatever_is_wrong_has_line_and_column(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "own.json"
    file.write_text(text)
    result = CliRunner().invoke(main, ["dashboards", "lint", str(file)])
    assert result.exit_code == 78
    assert said in result.stderr


def test_a_query_is_faulty_where_its_word_stands(tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    good = json.loads((CONFIGURED / "system_health.json").read_text())
    panel = {"panel_id": "x", "panel_type": "graph", "data_query": "count:llm.*[2h]"}
    file.write_text(json.dumps(good | {"panels": [panel]}, indent=1))
    line = next(n for n, each in enumerate(file.read_text().splitlines(), 1) if "[2h]" in each)
    result = CliRunner().invoke(main, ["dashboards", "lint", str(file)])
    assert f"{file}:{line}:31: " in result.stderr


def test_nothing_to_look_at_is_no_good_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in ([], [str(tmp_path)]):
        result = CliRunner().invoke(main, ["dashboards", "lint", *words])
        assert result.exit_code == 2
        assert "Error: " in result.stderr
