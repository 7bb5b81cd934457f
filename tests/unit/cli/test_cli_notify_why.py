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


def made(channel: str, target: str, state: str, attempts: int = 1, error: str = "") -> dict[str, Any]:
    found = {"at": "2027-01-15T08:00:02.000Z", "episode": EPISODE, "kind": "firing", "attempts": attempts}
    return found | {"channel": channel, "target": target, "state": state} | ({"error": error} if error else {})


def test_it_reads_like_an_explanation(service: Any, hxp: Hxp) -> None:
    service.decisions = [
        decision("grouped", "route {}, group {}", "oncall"),
        decision("held", "silenced by alice\x1b[2J", "oncall"),
        decision("acknowledged", "bob takes it on"),
        decision("told", "first", episode="0123456789abcdef-1800000009000"),
    ]
    service.deliveries = [
        made("email", "a@x.example", "sent"),
        made("slack", "#ops", "retry", attempts=2, error="Slack says\x1b internal_error"),
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
        "deliveries",
        "  2027-01-15T08:00:02.000Z  firing to email a@x.example: sent, tried once",
        "  2027-01-15T08:00:02.000Z  firing to slack #ops: failed, will be tried again, tried 2 times:"
        " Slack says\\x1b internal_error",
    ]
    assert service.queries == [{"alertname": "slow", "limit": "200"}]


def test_an_episode_is_recognised(service: Any, hxp: Hxp) -> None:
    result = hxp("notify", "why", EPISODE, "--since", "2027-01-15T00:00:00Z", "--url", service.url)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"Nothing has been decided about {EPISODE}: it has not fired, or too long ago.",
        "hint: no rule has this name; rules are: none",
    ]
    assert service.queries == [{"episode": EPISODE, "limit": "200", "since": "2027-01-15T00:00:00Z"}]


def test_of_a_rule_that_has_not_fired_it_says_how_it_is(service: Any, hxp: Hxp) -> None:
    rule = {"name": "slow", "condition": "latency > 2000", "state": "ok", "health": "ok", "values": {"latency": 12.5}}
    service.rules = [rule, rule | {"name": "silent", "health": "no_data", "reason": "latency has no value"}]
    result = hxp("notify", "why", "slow", "--url", service.url)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[1] == "hint: the rule says latency > 2000: state ok; health ok; latency is 12.5"
    assert "health no_data; latency has no value" in hxp("notify", "why", "silent", "--url", service.url).stderr
    unknown = hxp("notify", "why", "slwo", "--url", service.url).stderr.splitlines()[1]
    assert unknown == "hint: no rule has this name; rules are: slow, silent"
