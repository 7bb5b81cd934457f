"""`hxp notify why`: reads like an explanation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from click.testing import Result

Hxp = Callable[..., Result]
EPISODE = "0123456789abcdef-1800000001000"


def decision(outcome: str, reason: str, receiver: str = "", episode: str = EPISODE) -> dict[str, Any]:
    found = {
        "at": "2027-01-15T08:00:01.000Z",
        "episode": episode,
        "alertname": "slow",
        "stage": "notify",
        "outcome": outcome,
        "reason": reason,
    }
    return found | ({"receiver": receiver, "group_key": "{}"} if receiver else {})


def test_it_reads_like_an_explanation(service: Any, hxp: Hxp) -> None:
    service.decisions = [
        decision("grouped", "route {}, group {}", "oncall"),
        decision("held", "silenced by alice\x1b[2J", "oncall"),
        decision("acknowledged", "bob takes it on"),
        decision("told", "first", episode="0123456789abcdef-1800000009000"),
    ]
    result = hxp("notify", "why", "slow", "--url", service.url)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"slow, episode {EPISODE}",
        "  2027-01-15T08:00:01.000Z  was put into a group for oncall: route {}, group {}",
        "  2027-01-15T08:00:01.000Z  was held back for oncall: silenced by alice\\x1b[2J",
        "  2027-01-15T08:00:01.000Z  was acknowledged: bob takes it on",
        "slow, episode 0123456789abcdef-1800000009000",
        "  2027-01-15T08:00:01.000Z  was told: first",
    ]
    assert service.queries == [{"alertname": "slow", "limit": "200"}]


def test_an_episode_is_recognised(service: Any, hxp: Hxp) -> None:
    result = hxp("notify", "why", EPISODE, "--since", "2027-01-15T00:00:00Z", "--url", service.url)
    assert result.exit_code == 1
    assert result.stderr == f"Nothing has been decided about {EPISODE}: it has not fired, or too long ago.\n"
    assert service.queries == [{"episode": EPISODE, "limit": "200", "since": "2027-01-15T00:00:00Z"}]
