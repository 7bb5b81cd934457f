"""`hxp notify test`, `hxp --version`, and what all commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp.test_utils import unused_port
from click.testing import Result

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.cli.main import COMMANDS, main

Hxp = Callable[..., Result]


def test_a_test_notification(service: Any, hxp: Hxp) -> None:
    result = hxp("notify", "test", "--message", "hello", "--url", service.url)
    assert (result.exit_code, result.stdout) == (0, "notification n-1\n  websocket: queued\n")
    assert service.notifications == [{"type": "test", "message": "hello", "channel": "websocket"}]


def test_a_channel_that_is_off(service: Any, hxp: Hxp) -> None:
    error = {"code": "channel_off", "message": "email has no recipients", "hint": "set email.to"}
    service.answers = [(409, {"error": error})]
    result = hxp("notify", "test", "--channel", "email", "--url", service.url)
    assert result.exit_code == 1
    assert result.stderr == "refused: email has no recipients (409 channel_off)\nhint: set email.to\n"


def test_nobody_there(hxp: Hxp) -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    result = hxp("notify", "test", "--url", url)
    assert result.exit_code == 69
    assert result.stderr.startswith(f"{url}/notifications/send does not answer: Connection refused.")


def test_the_version(hxp: Hxp) -> None:
    assert hxp("--version").stdout == f"hxp, version {__version__}\n"


def test_an_unknown_command(hxp: Hxp) -> None:
    result = hxp("pulbish")
    assert result.exit_code == 2
    assert "No such command 'pulbish'" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(hxp: Hxp, name: str) -> None:
    assert main.get_command(None, name) is not None  # type: ignore[arg-type]
    result = hxp(name, "--help")
    assert result.exit_code == 0
    assert len(result.stdout) > 100


def test_the_overview_lists_every_command(hxp: Hxp) -> None:
    shown = hxp("--help").stdout
    assert all(f"\n  {name} " in shown for name in COMMANDS)
