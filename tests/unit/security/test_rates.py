"""How often one address may try, and what remembering it costs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.security.keys import digest_of
from hxp_enterprise_llm.security.model import JSON_BODY, Route
from hxp_enterprise_llm.security.problems import json_response
from hxp_enterprise_llm.security.rates import Rates
from tests.unit.security.serving import Served, serving

GOOD = "hxk_ci_" + "k" * 43


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def take(rates: Rates, address: str, times: int = 1, per_minute: int = 30) -> list[int]:
    return [rates.take("bad_credentials", address, per_minute) for _ in range(times)]


def test_a_minute_full_passes_and_the_next_one_is_told_how_long_to_wait() -> None:
    time = Time()
    rates = Rates(time)
    assert take(rates, "10.0.0.1", 30) == [0] * 30
    assert take(rates, "10.0.0.1", 2) == [2, 2]
    assert take(rates, "10.0.0.2") == [0]
    time.now += 2.0
    assert take(rates, "10.0.0.1", 2) == [0, 2]


def test_kinds_are_counted_apart_and_zero_is_no_bound() -> None:
    rates = Rates(Time())
    assert take(rates, "10.0.0.1", 2, per_minute=1) == [0, 60]
    assert rates.take("notify", "10.0.0.1", 1) == 0
    assert take(rates, "10.0.0.3", 1000, per_minute=0) == [0] * 1000
    assert len(rates) == 2


def test_a_site_of_ipv6_is_one_peer() -> None:
    rates = Rates(Time())
    assert take(rates, "2001:db8::1", per_minute=1) == [0]
    assert take(rates, "2001:db8::ffff", per_minute=1) == [60]
    assert take(rates, "2001:db8:0:1::1", per_minute=1) == [0]


def test_a_lower_rate_holds_at_once() -> None:
    rates = Rates(Time())
    take(rates, "10.0.0.1")
    assert take(rates, "10.0.0.1", 3, per_minute=2) == [0, 0, 30]


def test_the_table_is_bounded_and_newcomers_to_a_full_one_share_a_bucket() -> None:
    time = Time()
    rates = Rates(time, most=3)
    for last in range(3):
        take(rates, f"10.0.0.{last}")
    assert [take(rates, f"10.9.{n}.1", per_minute=2)[0] for n in range(3)] == [0, 0, 30]
    assert len(rates) == 3
    # Those in the table are not affected.
    assert take(rates, "10.0.0.0") == [0]
    time.now += 60
    # Whoever was not seen for a minute makes room, the one seen last the last.
    assert take(rates, "10.8.8.8", 31)[-1] == 2
    assert len(rates) == 3


async def hello(request: web.Request) -> web.Response:
    return json_response({})


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    keys = tmp_path / "keys"
    keys.write_text(f'- {{"id": "ci", "sha256": "{digest_of(GOOD).hex()}", "scopes": ["read", "notify"]}}\n')
    security = SecurityConfig(
        trusted_networks=["192.168.10.0/24"],
        trusted_proxies=["127.0.0.1/32"],
        api_keys_file=str(keys),
        refused_credentials_per_minute=3,
        notify_per_minute=2,
    )
    routes = [
        Route("GET", "/hello", hello, "read", ""),
        Route("POST", "/wake", hello, "notify", "", body=JSON_BODY),
    ]
    async with serving(routes, security) as found:
        yield found


async def test_guessing_keys_ends_in_429_and_a_good_key_is_taken_all_the_same(served: Served) -> None:
    answers = [await served.ask("GET", "/hello", X_API_Key=f"hxk_ci_{n}") for n in range(5)]
    assert [answer.status for answer in answers] == [401, 401, 401, 429, 429]
    assert answers[-1].error["code"] == "too_often"
    assert answers[-1].headers["retry-after"] == "20"
    assert "security.refused_credentials_per_minute" in answers[-1].error["hint"]
    assert (await served.ask("GET", "/hello", X_API_Key=GOOD)).status == 200
    assert (await served.ask("GET", "/hello")).status == 200
    assert served.sample("citadel_http_refused_total", code="too_often") == 2
    # A client elsewhere is another peer, also where both come through the same proxy.
    assert (await served.ask("GET", "/hello", X_API_Key="x", X_Forwarded_For="192.168.10.7")).status == 401


async def test_a_refused_key_is_counted_before_its_body_is_asked_for(served: Served) -> None:
    asked = {"Expect": "100-continue", "X_API_Key": "x", "Content_Type": "application/json"}
    answers = [await served.ask("POST", "/wake", b"{}", **asked) for _ in range(4)]
    assert [answer.status for answer in answers] == [401, 401, 401, 429]


async def test_a_trusted_network_may_not_wake_people_without_end(served: Served) -> None:
    async def wake(**headers: str) -> int:
        return (await served.ask("POST", "/wake", b"{}", Content_Type="application/json", **headers)).status

    neighbour = {"X_Forwarded_For": "192.168.10.7"}
    assert [await wake(**neighbour) for _ in range(3)] == [200, 200, 429]
    assert await wake(X_Forwarded_For="192.168.10.8") == 200
    assert [await wake() for _ in range(4)] == [200] * 4, "this host is not bounded"
    assert [await wake(**neighbour, X_API_Key=GOOD) for _ in range(4)] == [200] * 4, "nor is a key"
