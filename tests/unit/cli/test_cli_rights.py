"""Commands of an operator who forgot sudo: one line, no traceback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

# Whoever the test becomes may perhaps not read these.
from hxp_enterprise_llm.cli import backup, doctor, export, log  # noqa: F401
from hxp_enterprise_llm.cli.main import main

NOBODY = 65534


@pytest.fixture
def barred(tmp_path: Path) -> Iterator[Path]:
    """A directory with data that the one who runs the command may not enter."""
    data = tmp_path / "barred"
    for part in ("processing/log", "streaming"):
        (data / part).mkdir(parents=True)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    else:
        data.chmod(0)
    try:
        yield data
    finally:
        if is_root:
            os.seteuid(0)
        data.chmod(0o700)


def said(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stderr


@pytest.mark.parametrize("command", [["stat"], ["check"], ["repair"], ["trim", "--up-to", "1"]])
def test_a_log(barred: Path, command: list[str]) -> None:
    directory = barred / "processing" / "log"
    advice = "no right to use it; be the user that it belongs to, or use sudo"
    assert said("log", *command, directory) == (66, f"{directory}: {advice}\n")


def test_a_backup(barred: Path) -> None:
    status, text = said("backup", barred / "b.tar", "--data", barred.parent / "none")
    assert (status, text.count("\n")) == (1, 1)
    assert f"{barred}/b.tar: no right to use it" in text


def test_an_installation(barred: Path) -> None:
    status, text = said("doctor", "--data", barred)
    assert (status, "no right to use it; be the user that it belongs to, or use sudo" in text) == (2, True)


def test_an_export(barred: Path) -> None:
    file = barred / "x.csv"
    status, text = said("export", "--output", file, "--url", "http://127.0.0.1:1")
    assert (status, text) == (1, f"{file} cannot be written: Permission denied\n")
