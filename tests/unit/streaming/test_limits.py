"""Places, rates and signals."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.event.streaming.limits import PAGES, Places, Quota
from hxp_enterprise_llm.event.streaming.rate import Rate
from hxp_enterprise_llm.event.streaming.signal import Signal
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics


def test_a_place_is_taken_and_given_back_once() -> None:
    registry = CollectorRegistry()
    places: Places[str] = Places("sse", 2, StreamingMetrics(registry, SystemClock()))
    places.take("a")
    places.take("b")
    with pytest.raises(Problem) as raised:
        places.take("c")
    assert raised.value.body()["error"] == {
        "code": "too_many_connections",
        "message": "all 2 SSE connections are in use",
        "hint": "Try again in 5 seconds, or raise sse.max_connections.",
        "limit": 2,
    }
    places.give_back("a", "client")
    places.give_back("a", "client")
    assert (len(places), list(places)) == (1, ["b"])
    assert registry.get_sample_value("sse_connections_total") == 1
    assert registry.get_sample_value("citadel_streaming_connections_limit", {"transport": "sse"}) == 2
    places.limit = 1
    assert registry.get_sample_value("citadel_streaming_connections_limit", {"transport": "sse"}) == 1


def test_a_quota_is_a_limit_within_the_limit() -> None:
    """Those that it holds for are refused by it or by the whole; both count exactly."""
    registry = CollectorRegistry()
    quota = Quota(PAGES, 1, "live_dashboard.max_connections")
    places: Places[str] = Places(
        "sse",
        2,
        StreamingMetrics(registry, SystemClock()),
        None,
        lambda name: quota if name.startswith("page") else None,
    )
    places.take("page1")
    for _ in range(2):
        with pytest.raises(Problem) as raised:
            places.take("page2")
    assert raised.value.body()["error"]["message"] == "all 1 dashboard connections are in use"
    assert raised.value.hint == "Try again in 5 seconds, or raise live_dashboard.max_connections."
    refused = {"transport": "sse", "reason": "quota"}
    assert registry.get_sample_value("citadel_streaming_connections_refused_total", refused) == 2
    places.take("a")
    assert registry.get_sample_value("citadel_dashboard_pages") == 1
    places.give_back("page1", "client")
    assert registry.get_sample_value("citadel_dashboard_pages") == 0
    assert registry.get_sample_value("citadel_dashboard_pages_opened_total") == 1
    places.give_back("page1", "client")
    places.take("b")
    with pytest.raises(Problem) as raised:
        places.take("page2")
    assert raised.value.hint == "Try again in 5 seconds, or raise sse.max_connections."
    places.give_back("a", "client")
    places.take("page2")
    with pytest.raises(Problem):
        places.take("page3")
    assert (len(places), quota.full) == (2, True)
    quota.limit = 2
    assert not quota.full


def test_a_rate_follows_what_happens() -> None:
    now = [0.0]
    rate = Rate(lambda: now[0])
    assert rate.per_second() == 0
    rate.count += 100
    now[0] = 5.0
    assert rate.per_second() == pytest.approx(10)
    now[0] = 10.0
    assert rate.per_second() == pytest.approx(10)
    now[0] = 15.0
    assert rate.per_second() == pytest.approx(5)
    now[0] = 100.0
    assert rate.per_second() == 0


async def test_a_signal_wakes_all_and_forgets_who_was_cancelled() -> None:
    signal = Signal()
    signal.fire()
    tasks = [asyncio.create_task(signal.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.gather(tasks[0], return_exceptions=True)
    assert len(signal._waiters) == 2
    tasks[1].cancel()  # cancelled and fired in the same turn
    signal.fire()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (tasks[2].done(), tasks[2].cancelled(), signal._waiters) == (True, False, [])
