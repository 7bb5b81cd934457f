"""Pollers against a real server that is slow, broken, lying, endless, gone and back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from hxp_enterprise_llm.config.processing import SourcesConfig
from hxp_enterprise_llm.config.sources import (
    ActivityConfig,
    AnalyticsEngineConfig,
    GatewaySourceConfig,
    PrometheusSourceConfig,
    QueryConfig,
    ScrapeConfig,
    WatchedConfig,
)
from hxp_enterprise_llm.event.log.model import LogUnavailable
from hxp_enterprise_llm.event.model import Encoded
from hxp_enterprise_llm.event.sources.pollers.configured import NAMES, Sources
from hxp_enterprise_llm.event.sources.pollers.engine import figures
from hxp_enterprise_llm.event.sources.pollers.model import PollError
from hxp_enterprise_llm.event.sources.pollers.poller import Poller
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.telemetry.source_metrics import SourceMetrics
from tests.peer import SYSTEM, Peer, serving

CATALOGUE = SchemaCatalogue.load()


class Log:
    """Keeps what is appended, and checks it against the schemas; refuses when it is told to."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.full = False

    async def append(self, batch: list[Encoded]) -> None:
        if self.full:
            raise LogUnavailable("no room", maybe_stored=False)
        for encoded in batch:
            event = json.loads(encoded.raw)
            assert CATALOGUE.check(event["type"], event["data"]) == ()
            self.events.append(event)

    @property
    def data(self) -> list[dict[str, Any]]:
        return [event["data"] for event in self.events]


class House:
    """The pollers of a configuration, and what they have put into the log."""

    def __init__(self, pollers: list[Poller], log: Log, registry: CollectorRegistry) -> None:
        self.pollers = {poller.name: poller for poller in pollers}
        self.log, self._registry = log, registry

    @property
    def only(self) -> Poller:
        (poller,) = self.pollers.values()
        return poller

    def metric(self, name: str, **labels: str) -> float:
        value = self._registry.get_sample_value(name, labels)
        assert value is not None
        return value


@asynccontextmanager
async def house(config: SourcesConfig, egress: Egress | None = None) -> AsyncIterator[House]:
    clock, log, registry = SystemClock(), Log(), CollectorRegistry()
    sources = Sources(config, egress or Egress(), clock)
    metrics = SourceMetrics(registry)
    pollers = [
        Poller(source, log.append, clock=clock, metrics=metrics, jitter=lambda: 0.0) for source in sources.make()
    ]
    try:
        yield House(pollers, log, registry)
    finally:
        await sources.close()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with serving() as server:
        yield server


def engine(url: str, *, timeout: float = 20.0, **more: Any) -> SourcesConfig:
    """`timeout`: seconds; a busy machine must not reach it where an answer comes."""
    return SourcesConfig(analytics_engine=AnalyticsEngineConfig(endpoint=url, timeout=timeout, interval=0.1, **more))


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_without_endpoints_nothing_is_asked() -> None:
    async with house(SourcesConfig()) as it:
        assert it.pollers == {}


async def test_every_section_gives_its_sources(peer: Peer) -> None:
    config = SourcesConfig(
        analytics_engine=AnalyticsEngineConfig(endpoint=peer.url),
        prometheus=PrometheusSourceConfig(endpoint=peer.url),
        scrape=ScrapeConfig(endpoint=peer.url),
        gateway=GatewaySourceConfig(endpoint=peer.url),
        activity=ActivityConfig(directories=[WatchedConfig(path="/srv")]),
    )
    async with house(config) as it:
        assert tuple(it.pollers) == NAMES


async def test_three_views_of_the_engine_become_events(peer: Peer) -> None:
    peer.answers |= {
        "/memory": {"memory_usage": 61, "items": 48211, "policy": "lru", "nested": {"left": "out"}},
        "/graph": {"graph": {"nodes": {"active": 12.0}}, "density": 0.25},
    }
    async with house(engine(peer.url, fields={"active_nodes": "graph.nodes.active"})) as it:
        for poller in it.pollers.values():
            await poller.poll()
        system, memory, graph = it.log.events
    assert (system["type"], system["source"], system["data"]) == ("engine.system", "/sources/engine_system", SYSTEM)
    assert (memory["type"], memory["data"]) == (
        "engine.memory",
        {"memory_usage": 61.0, "items": 48211, "policy": "lru"},
    )
    assert (graph["type"], graph["data"]) == ("engine.graph", {"active_nodes": 12, "density": 0.25})


MISBEHAVIOUR = {
    "slow": "has not answered within 0.3 s",
    "broken": r"answers 500 Traceback\x1b[31m",
    "redirect": "answers with a redirect; name the place that it leads to",
    "endless": "answers with more than 1,048,576 bytes",
    "drip": "has not answered within 0.3 s",
    "packed": "compresses its answer although it was asked not to",
    "cut": "does not answer",
    "garbage": "its answer is no JSON object",
}


@pytest.mark.parametrize("mode", MISBEHAVIOUR)
async def test_an_engine_that_misbehaves_is_found_away_and_its_last_data_stale(peer: Peer, mode: str) -> None:
    timeout = 0.3 if "0.3 s" in MISBEHAVIOUR[mode] else 20.0
    async with house(engine(peer.url, timeout=timeout)) as it:
        poller = it.pollers["engine_system"]
        await poller.poll()
        peer.mode = mode
        with capture_logs() as lines:
            for _ in range(5):
                await poller.poll()
        assert MISBEHAVIOUR[mode] in poller.breaker.reason
        assert len(poller.breaker.reason) < 600
        assert (poller.breaker.state, poller.stale, poller.failures) == ("away", True, 5)
        good, old = it.log.data
        assert good == SYSTEM
        assert {key: old[key] for key in SYSTEM} == SYSTEM
        assert old["stale"] is True
        assert old["stale_since"].endswith("Z")
        assert [line["event"] for line in lines] == ["sources.failing", "sources.away"]
        assert it.metric("citadel_source_up", source="engine_system") == 0
        assert it.metric("citadel_source_polls_total", source="engine_system", outcome="failed") == 5

        peer.mode = "well"
        with capture_logs() as lines:
            await poller.poll()
        assert [line["event"] for line in lines] == ["sources.recovered"]
        assert (poller.breaker.state, poller.stale) == ("ok", False)
        assert it.log.data[2] == SYSTEM
        assert it.metric("citadel_source_up", source="engine_system") == 1


LIES: dict[str, Any] = {
    "active_nodes: 'many', and that must be a whole number": {"active_nodes": "many"},
    "active_nodes: '1.5'": {"active_nodes": 1.5},
    "active_edges: '-1'": {"active_edges": -1, "active_nodes": 1},
    "cpu_usage: 'True', and that must be a number": {"cpu_usage": True},
    "query_rate: '[]'": {"query_rate": []},
    "has no figures": {"status": "fine", "stale": 3},
    "is no JSON object: Expected `object`": [1, 2],
    "is no JSON object": "{not json",
    "memory_usage": {"memory_usage": 1e300},
}


@pytest.mark.parametrize("words", LIES)
async def test_an_answer_that_cannot_be_true_is_no_answer(peer: Peer, words: str) -> None:
    peer.answers["/system"] = LIES[words]
    async with house(engine(peer.url)) as it:
        poller = it.pollers["engine_system"]
        await poller.poll()
        assert words in poller.breaker.reason
        assert it.log.events == []
        assert not poller.stale


def test_what_an_answer_holds_beyond_is_bounded() -> None:
    answer = {f"figure_{n}": n for n in range(1000)} | {"active_nodes": 1, "text": "x" * 201, "": 1, "stale": True}
    data = figures(answer, {})
    assert len(data) == 64
    assert data["active_nodes"] == 1
    assert "stale" not in data
    with pytest.raises(PollError):
        figures({"huge": 2**53}, {})


async def test_an_engine_that_goes_and_comes_back_is_noticed_within_five_seconds(peer: Peer) -> None:
    async with house(engine(peer.url)) as it:
        poller = it.pollers["engine_system"]
        running = asyncio.create_task(poller.run())
        await until(lambda: len(it.log.events) > 2)
        await peer.stop()
        await until(lambda: poller.breaker.state == "away")
        # Long enough for the pauses to have become as long as they get.
        await until(lambda: poller.failures >= 6)
        assert it.log.data[-1]["stale"] is True
        seen = len(it.log.events)
        await peer.start()
        assert poller.breaker.due - time.monotonic() < 5.0
        await until(lambda: len(it.log.events) > seen)
        assert it.log.data[-1] == SYSTEM
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_retry_does_not_wait_for_the_pause(peer: Peer) -> None:
    async with house(engine(peer.url, failures=1)) as it:
        poller = it.pollers["engine_system"]
        peer.mode = "broken"
        for _ in range(6):
            await poller.poll()
        peer.mode = "well"
        running = asyncio.create_task(poller.run())
        await asyncio.sleep(0)
        poller.retry()
        await until(lambda: poller.breaker.state == "ok", 0.9)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_connections_are_kept_and_not_more_than_allowed(peer: Peer) -> None:
    peer.answers |= {"/memory": SYSTEM, "/graph": SYSTEM}
    async with house(engine(peer.url, connections=1)) as it:
        for _ in range(3):
            await asyncio.gather(*(poller.poll() for poller in it.pollers.values()))
        assert len(it.log.events) == 9


async def test_link_local_addresses_are_not_asked() -> None:
    async with house(engine("http://169.254.169.254")) as it:
        poller = it.pollers["engine_system"]
        await poller.poll()
        assert "link-local" in poller.breaker.reason
    async with house(engine("http://127.0.0.1:1"), Egress(deny_private=True)) as it:
        poller = it.pollers["engine_system"]
        await poller.poll()
        assert "security.egress.deny_private" in poller.breaker.reason


async def test_no_password_of_a_url_is_shown(peer: Peer) -> None:
    peer.mode = "broken"
    async with house(engine(peer.url.replace("//", "//user:hunter2@"))) as it:
        poller = it.pollers["engine_system"]
        await poller.poll()
        assert "hunter2" not in poller.breaker.reason


async def test_what_the_log_does_not_take_is_counted(peer: Peer) -> None:
    async with house(engine(peer.url)) as it:
        poller = it.pollers["engine_system"]
        it.log.full = True
        with capture_logs() as lines:
            await poller.poll()
            await poller.poll()
        it.log.full = False
        await poller.poll()
        assert it.metric("citadel_source_dropped_events_total", source="engine_system") == 2
        assert [line["event"] for line in lines] == ["sources.append.failing"]
        assert len(it.log.events) == 1


def vector(*series: tuple[dict[str, str], str]) -> dict[str, Any]:
    result = [{"metric": labels, "value": [1.5, value]} for labels, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def prometheus(url: str, **more: Any) -> SourcesConfig:
    queries = [QueryConfig(name="load", query="avg(load)"), QueryConfig(name="up", query="up")]
    return SourcesConfig(prometheus=PrometheusSourceConfig(endpoint=url, timeout=1, queries=queries, **more))


async def test_queries_become_metrics(peer: Peer) -> None:
    peer.answers |= {
        "avg(load)": {"status": "success", "data": {"resultType": "scalar", "result": [1.5, "0.75"]}},
        "up": vector(({"__name__": "up", "job": "a"}, "1"), ({"job": "b"}, "NaN"), ({"job": "c"}, "0")),
    }
    async with house(prometheus(peer.url)) as it:
        await it.only.poll()
        assert it.log.data == [
            {"metric": "load", "value": 0.75, "poller": "prometheus"},
            {"metric": "up", "value": 1.0, "poller": "prometheus", "labels": {"job": "a"}},
            {"metric": "up", "value": 0.0, "poller": "prometheus", "labels": {"job": "c"}},
        ]
        assert it.log.events[1]["subject"] == "up"
        assert it.only.problem == ""


async def test_a_query_that_fails_does_not_stop_the_others(peer: Peer) -> None:
    peer.answers |= {"up": vector(*[({"job": str(n)}, "1") for n in range(5)]), "avg(load)": {"status": "error"}}
    async with house(prometheus(peer.url, max_series=2)) as it:
        await it.only.poll()
        assert len(it.log.events) == 2
        assert it.only.problem == "load: the query fails: error; up: only the first 2 series are taken"
        assert it.only.breaker.state == "ok"


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "success", "data": {"resultType": "matrix", "result": []}},
        {"status": "success", "data": {"resultType": "vector", "result": [{"value": [1]}]}},
        {"status": "success", "data": {"resultType": "vector", "result": [{"value": [1, "x"]}]}},
        {"status": "success", "data": {"resultType": "scalar", "result": "x"}},
        {"status": "success"},
        {"status": "error", "error": "parse error\x1b[0m"},
        [],
        "<html>",
    ],
)
async def test_a_prometheus_that_lies_is_no_prometheus(peer: Peer, answer: Any) -> None:
    peer.answers |= {"up": answer, "avg(load)": answer}
    async with house(prometheus(peer.url)) as it:
        await it.only.poll()
        assert it.only.breaker.state == "failing"
        assert "\x1b" not in it.only.breaker.reason
        assert it.log.events == []


PAGE = """# HELP queue_depth Jobs that wait
# TYPE queue_depth gauge
queue_depth{queue="gpu"} 7
queue_depth{queue="cpu"} NaN
# TYPE jobs counter
jobs_total 12
# TYPE other gauge
other 1
"""


async def test_a_page_of_metrics_is_read(peer: Peer) -> None:
    peer.answers["/metrics"] = PAGE
    config = SourcesConfig(scrape=ScrapeConfig(endpoint=peer.url, families=["queue_depth", "jobs", "gone"]))
    async with house(config) as it:
        await it.only.poll()
        assert it.log.data == [
            {"metric": "queue_depth", "value": 7.0, "poller": "scrape", "labels": {"queue": "gpu"}},
            {"metric": "jobs_total", "value": 12.0, "poller": "scrape"},
        ]
        assert it.only.problem == "the page does not have gone"


async def test_a_page_is_taken_up_to_a_number_of_series(peer: Peer) -> None:
    peer.answers["/custom/page"] = "\n".join(f'm{{n="{n}"}} {n}' for n in range(2000)) + "\n"
    config = SourcesConfig(scrape=ScrapeConfig(endpoint=f"{peer.url}/custom/page", max_series=50))
    async with house(config) as it:
        await it.only.poll()
        assert len(it.log.events) == 50
        assert it.only.problem == "only the first 50 series are taken"


@pytest.mark.parametrize("page", ["{", "a b c d\n", 'x{y="} 1\n', "<html></html>", "name 0x1z\n"])
async def test_a_page_that_is_none_is_said_so(peer: Peer, page: str) -> None:
    peer.answers["/metrics"] = page
    async with house(SourcesConfig(scrape=ScrapeConfig(endpoint=peer.url))) as it:
        await it.only.poll()
        assert "its page is not in Prometheus' text form" in it.only.breaker.reason


async def test_the_gateway_is_up_or_down(peer: Peer) -> None:
    peer.answers["/health"] = "fine"
    config = SourcesConfig(gateway=GatewaySourceConfig(endpoint=peer.url, timeout=20.0, failures=2))
    async with house(config) as it:
        await it.only.poll()
        peer.mode = "broken"
        for _ in range(4):
            await it.only.poll()
        up, down = it.log.data
    assert (up["metric"], up["value"], up["poller"]) == ("api_gateway_up", 1.0, "gateway")
    assert up["latency_ms"] > 0
    assert down == {"metric": "api_gateway_up", "value": 0.0, "poller": "gateway"}


async def test_what_comes_after_it_was_switched_off_is_not_taken(peer: Peer) -> None:
    async with house(engine(peer.url)) as it:
        poller = it.pollers["engine_system"]
        await poller.poll()
        poller.apply(poller.breaker.settings._replace(live=False))
        for mode in ("well", "broken"):
            peer.mode = mode
            await poller.poll()
        assert (poller.breaker.state, poller.stale, poller.failures) == ("off", True, 0)
        assert it.log.data == [SYSTEM]
        with pytest.raises(AssertionError):
            it.metric("citadel_source_up", source="engine_system")
        poller.apply(poller.breaker.settings._replace(live=True))
        peer.mode = "well"
        await poller.poll()
        assert poller.breaker.state == "ok"
        assert it.metric("citadel_source_up", source="engine_system") == 1


async def test_one_that_is_given_up_says_so_and_stays_down_for_prometheus(peer: Peer) -> None:
    async with house(engine(peer.url)) as it:
        poller = it.pollers["engine_system"]
        poller.apply(poller.breaker.settings._replace(tries=5))
        await poller.poll()
        peer.mode = "garbage"
        with capture_logs() as lines:
            for _ in range(5):
                await poller.poll()
        assert [line["event"] for line in lines] == ["sources.failing", "sources.away", "sources.given_up"]
        assert poller.breaker.state == "off"
        # Its last data is told once more as old, once.
        assert [data.get("stale", False) for data in it.log.data] == [False, True]
        assert it.metric("citadel_source_up", source="engine_system") == 0
