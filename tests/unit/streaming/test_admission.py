"""Connections a second: buckets, addresses, and the refusal over HTTP."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import msgspec
import pytest
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import connect

from hxp_enterprise_llm.config.streaming import SseConfig, StreamingConfig, WebSocketConfig
from hxp_enterprise_llm.event.streaming import admission
from hxp_enterprise_llm.event.streaming.admission import ConnectionRate
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.security.networks import network
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics
from tests.unit.streaming.gateways import serving


class Door:
    def __init__(self, per_second: float = 0.0, per_address: float = 0.0) -> None:
        self.now, self.chance = 100.0, 0.0
        self.registry = CollectorRegistry()
        metrics = StreamingMetrics(self.registry, SystemClock())
        self.rate = ConnectionRate("sse", metrics, monotonic=lambda: self.now, random=lambda: self.chance)
        self.rate.per_second, self.rate.per_address = per_second, per_address
        self.now += 1.0

    def passes(self, address: str = "10.0.0.1") -> bool:
        expected = self.rate.has_room(address)
        try:
            self.rate.take(address)
        except Problem:
            assert not expected
            return False
        assert expected
        return True


def test_without_a_limit_everybody_passes() -> None:
    door = Door()
    assert all(door.passes() for _ in range(10_000))
    assert not door.rate._addresses


def test_as_many_as_a_second_allows_come_at_once_then_one_after_the_other() -> None:
    door = Door(per_second=10)
    assert [door.passes() for _ in range(11)] == [True] * 10 + [False]
    door.now += 0.125
    assert [door.passes(), door.passes()] == [True, False]
    door.now += 60
    assert [door.passes() for _ in range(11)] == [True] * 10 + [False]
    assert (
        door.registry.get_sample_value(
            "citadel_streaming_connections_refused_total", {"transport": "sse", "reason": "rate"}
        )
        == 3
    )


def test_less_than_one_a_second() -> None:
    door = Door(per_second=0.5)
    assert [door.passes(), door.passes()] == [True, False]
    door.now += 2.0
    assert [door.passes(), door.passes()] == [True, False]


def test_an_address_that_is_refused_takes_nothing_from_the_others() -> None:
    door = Door(per_second=4, per_address=2)
    assert [door.passes("10.0.0.1") for _ in range(20)].count(True) == 2
    assert [door.passes("10.0.0.2") for _ in range(20)].count(True) == 2
    assert not door.passes("10.0.0.3")


def test_a_refusal_says_when_to_come_back() -> None:
    door = Door(per_second=0.5)
    door.chance = 0.99
    door.rate.take("10.0.0.1")
    with pytest.raises(Problem) as raised:
        door.rate.take("10.0.0.1")
    assert raised.value.status == 503
    assert raised.value.headers["Retry-After"] == "6"
    assert raised.value.body()["error"] == {
        "code": "too_many_at_once",
        "message": "more than 0.5 SSE connections a second",
        "hint": "Try again in 6 seconds, or raise sse.connection_rate.",
        "limit": 0.5,
    }


def test_addresses_are_forgotten_when_they_say_nothing_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MOST_ADDRESSES", 3)
    door = Door(per_address=1)
    assert [door.passes(f"10.0.0.{n}") for n in range(3)] == [True] * 3
    door.now += 5  # all of them are full again
    assert door.passes("10.0.0.9")
    assert set(door.rate._addresses) == {"10.0.0.9"}
    assert [door.passes(f"10.0.1.{n}") for n in range(8)] == [True] * 8
    assert len(door.rate._addresses) == 3


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no:address", "no:address"),
    ],
)
def test_what_counts_as_one_peer(address: str, counted_as: str) -> None:
    assert network(address) == counted_as


async def test_the_refusal_over_http_and_a_reload_that_lifts_it() -> None:
    limited = StreamingConfig(
        websocket=WebSocketConfig(connection_rate_per_address=2), sse=SseConfig(connection_rate=1)
    )
    async with serving(limited) as served, aiohttp.ClientSession() as session:
        now = time.monotonic() + 60
        for rate in served.gateway.rates.values():
            rate._monotonic = lambda: now  # no time goes by, however long a connection takes
        async with connect(served.ws("/ws/events")), connect(served.ws("/ws/events")):
            with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
                await session.ws_connect(served.ws("/ws/events"))
            assert raised.value.status == 503
            assert raised.value.headers is not None
            assert int(raised.value.headers["Retry-After"]) >= 1
            first, second = [await session.get(served.http("/sse/events")) for _ in range(2)]
            assert (first.status, second.status) == (200, 503)
            assert msgspec.json.decode(await second.read())["error"]["code"] == "too_many_at_once"
            first.close()
            served.gateway.prepare(StreamingConfig())()
            async with asyncio.timeout(30), session.ws_connect(served.ws("/ws/events")):
                pass
        reason = {"transport": "websocket", "reason": "rate"}
        assert served.sample("citadel_streaming_connections_refused_total", **reason) == 1
