"""`hxp keys new`: a key, and the line that makes it known."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from hxp_enterprise_llm.cli.main import main
from hxp_enterprise_llm.security.keys import ApiKey, load_keys


def run(*arguments: str):
    return CliRunner().invoke(main, ["keys", "new", *arguments])


def test_the_line_makes_the_key_known(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    for id, more in (("ci", []), ("gateway-2", ["--expires", "90d"])):
        result = run("--id", id, "--scopes", "publish, read,read", *more)
        assert result.exit_code == 0
        key, line = result.stdout.splitlines()
        assert key not in line
        assert "security.api_keys_file" in result.stderr
        assert key not in result.stderr
        with file.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
        found = load_keys(str(file)).find(key, time.time())
        assert isinstance(found, ApiKey)
        assert (found.id, found.scopes) == (id, {"publish", "read"})
        if more:
            assert found.expires == pytest.approx(time.time() + 90 * 86_400, abs=60)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--id", "CI", "--scopes", "read"], "Invalid value for --id: 'CI' is no id"),
        (["--id", "ci", "--scopes", "admin"], "Invalid value for --scopes: 'admin' is no scope; scopes are"),
        (["--id", "ci", "--scopes", " , "], "Invalid value for --scopes: a key without scopes opens nothing"),
        (["--id", "ci", "--scopes", "read", "--expires", "soon"], "Invalid value for --expires: 'soon' is no duration"),
        (["--id", "ci", "--scopes", "read", "--expires", "0s"], "Invalid value for --expires: 0s is not between"),
        (["--id", "ci", "--scopes", "read", "--expires", "9999d"], "9999d is not between 1s and 3650d"),
    ],
)
def test_what_cannot_be_made(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
