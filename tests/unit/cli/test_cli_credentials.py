"""The key that commands send: from a file, with every request, in no message."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Hxp = Callable[..., Result]
EVENT = json.dumps({"offset": 1, "epoch": "e1", "type": "a", "time": "2026-11-20T17:34:31.250Z"})


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_text("hxk_ci_secret\n", encoding="utf-8")
    path.chmod(0o600)
    return str(path)


def test_every_command_sends_the_key(service: Any, hxp: Hxp, key_file: str) -> None:
    service.frames = [[EVENT]]
    gateway = service.url.replace("http", "ws")
    lines = [
        ("publish", "a.b", "--url", service.url),
        ("publish", "--file", "-", "--url", service.url),
        ("notify", "test", "--url", service.url),
        ("tail", "--count", "1", "--url", gateway),
    ]
    for line in lines:
        result = hxp(*line, "--key-file", key_file, input='{"type":"a"}\n' if "--file" in line else None)
        assert result.exit_code == 0, result.stderr
        assert "secret" not in result.output
    assert service.credentials == ["Bearer hxk_ci_secret"] * 4


def test_the_environment_names_the_file(service: Any, hxp: Hxp, key_file: str) -> None:
    for env in ({"HXP_KEY_FILE": key_file}, {}):
        assert hxp("publish", "a.b", "--url", service.url, env=env).exit_code == 0
    assert service.credentials == ["Bearer hxk_ci_secret", ""]


def test_a_file_that_is_not_there_or_open_to_all(service: Any, hxp: Hxp, key_file: str) -> None:
    result = hxp("publish", "a.b", "--url", service.url, "--key-file", key_file + "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the secret cannot be read: No such file or directory" in result.stderr
    Path(key_file).chmod(0o644)
    result = hxp("tail", "--url", service.url, "--key-file", key_file)
    assert result.exit_code == 1
    assert f"run: chmod o-rwx {key_file}" in result.stderr
    assert service.credentials == []
