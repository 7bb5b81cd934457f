"""The file of variables beside a configuration, as systemd reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hxp_enterprise_llm.config.environment_file import read_environment_file


@pytest.mark.parametrize(
    ("line", "variables"),
    [
        ("PORT=9102", {"PORT": "9102"}),
        ("PORT = 9102 ", {"PORT": "9102"}),
        ('A="two words"', {"A": "two words"}),
        ("A='two words'", {"A": "two words"}),
        (r'A="a \"b\" \$c \n"', {"A": r'a "b" $c \n'}),
        (r"A=a\ b", {"A": "a b"}),
        (r"A='a\ b'", {"A": r"a\ b"}),
        ("A=${B} # no comment", {"A": "${B} # no comment"}),
        ("A=", {"A": ""}),
        ("# A=1\n; B=2\n\nC=3", {"C": "3"}),
        ("A=1 \\\n2", {"A": "1 2"}),
        ("# a comment \\\nA=1", {"A": "1"}),
        ("A=1\nA=2", {"A": "2"}),
    ],
)
def test_a_line(tmp_path: Path, line: str, variables: dict[str, str]) -> None:
    (tmp_path / "a.env").write_text(line + "\n")
    found = read_environment_file(tmp_path / "a.env")
    assert (found.variables, found.warnings) == (variables, ())


@pytest.mark.parametrize("line", ["export A=1", "A", "1A=2", "=3"])
def test_what_systemd_does_not_take_is_told(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.env"
    path.write_text(f"B=2\n{line}\n")
    found = read_environment_file(path)
    assert found.variables == {"B": "2"}
    assert found.warnings == (f"{path}:2: systemd ignores this line: it must be NAME=value, without `export`",)


def test_one_that_is_not_there_has_no_variables(tmp_path: Path) -> None:
    assert read_environment_file(tmp_path / "none.env").variables == {}
