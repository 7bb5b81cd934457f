"""`hxp dashboards lint`."""

from __future__ import annotations

from pathlib import Path

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
