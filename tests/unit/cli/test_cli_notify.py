"""`hxp notify`, `hxp --version`, and what all commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.cli.main import COMMANDS, main
from tests.ports import free_port

Hxp = Callable[..., Result]


def test_a_test_notification(service: Any, hxp: Hxp) -> None:
    result = hxp("notify", "test", "--message", "hello", "--url", service.url)
    assert (result.exit_code, result.stdout) == (0, "notification n-1\n  websocket: delivered\n")
    assert service.notifications == [{"channel": "websocket", "message": "hello"}]


def test_a_test_that_does_not_arrive_says_why(service: Any, hxp: Hxp) -> None:
    deliveries = [
        {"channel": "email", "target": "a@x", "state": "delivered"},
        {"channel": "email", "target": "b@x", "state": "failed", "reason": "550 no such\x1b user"},
    ]
    service.answers = [(200, {"id": "n-2", "delivered": False, "deliveries": deliveries})]
    result = hxp("notify", "test", "email", "--target", "b@x", "--url", service.url)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1:] == [
        "  email a@x: delivered",
        "  email b@x: failed: 550 no such\\x1b user",
    ]
    assert service.notifications == [{"channel": "email", "target": "b@x"}]


def test_a_receiver_is_tried_in_place_of_a_channel(service: Any, hxp: Hxp) -> None:
    assert hxp("notify", "test", "--receiver", "team", "--url", service.url).exit_code == 0
    assert service.notifications == [{"receiver": "team"}]
    assert hxp("notify", "test", "email", "--receiver", "team", "--url", service.url).exit_code == 2


LETTER = {
    "id": 7,
    "channel": "email",
    "target": "a@x",
    "title": "errors",
    "reason": "554 never",
    "given_up_at": "2027-01-15T08:00:00.000Z",
    "attempts": 1,
    "tells": 3,
}


def test_what_was_given_up_is_listed(service: Any, hxp: Hxp) -> None:
    assert hxp("notify", "dead", "--url", service.url).stdout == "nothing was given up\n"
    service.answers = [(200, {"dead": [LETTER]})]
    assert hxp("notify", "dead", "--url", service.url).stdout == (
        "7  2027-01-15T08:00:00.000Z  email a@x  errors (tells 3): 554 never (1 attempt)\n"
    )


def test_what_was_given_up_is_sent_again(service: Any, hxp: Hxp) -> None:
    service.answers = [(202, {"replayed": [7], "unknown": [8]}), (202, {"replayed": [7], "unknown": []})]
    result = hxp("notify", "replay", "7", "8", "--url", service.url)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "queued again: 7\n", "not given up: 8\n")
    assert hxp("notify", "replay", "--all", "--url", service.url).exit_code == 0
    assert service.notifications == [{"ids": [7, 8]}, {"all": True}]
    assert hxp("notify", "replay", "--url", service.url).exit_code == 2
    strange = hxp("notify", "replay", "7", "n-1", "--url", service.url)
    assert strange.exit_code == 2
    assert "'n-1' is no ID: they are the numbers at the beginning of `hxp notify dead`." in strange.stderr


def test_a_channel_that_is_off(service: Any, hxp: Hxp) -> None:
    error = {"code": "channel_off", "message": "email has no recipients", "hint": "set email.to"}
    service.answers = [(409, {"error": error})]
    result = hxp("notify", "test", "--channel", "email", "--url", service.url)
    assert result.exit_code == 1
    assert result.stderr == "refused: email has no recipients (409 channel_off)\nhint: set email.to\n"


def test_nobody_there(hxp: Hxp) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = hxp("notify", "test", "--url", url)
    assert result.exit_code == 69
    assert result.stderr.startswith(f"{url}/notifications/test does not answer: Connection refused.")


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
