"""The forecast at work over a real file: it learns the hours, tells once, and knows the same after a restart."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.history import AnomalyConfig, ForecastConfig, HistoryConfig
from hxp_enterprise_llm.config.processing import MetricConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import LogUnavailable, Stored
from hxp_enterprise_llm.event.model import Encoded
from hxp_enterprise_llm.event.processing.forecast.api import routes
from hxp_enterprise_llm.event.processing.forecast.forecaster import Forecaster
from hxp_enterprise_llm.event.processing.history.history import History
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.history_metrics import ForecastMetrics, HistoryMetrics
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics

from ..events import NOW, stored
from ..history.support import collector, metrics, opened, snapshots, write
from ..virtual import VirtualClock

HOUR = 3600
FEW = [MetricConfig(name="c", types=["x"], kind="count")]


class Room:
    """A history that a test writes into, and a forecast of it."""

    def __init__(self, directory: Path, clock: VirtualClock, config: ForecastConfig) -> None:
        self.clock, self.directory = clock, directory
        self.store = opened(directory)
        self.told: list[dict[str, Any]] = []
        self.fails = False
        self.numbers = self.store.cursor.position
        log, telemetry = MemoryLog(clock=clock), HistoryMetrics(CollectorRegistry())
        self.history = History(
            HistoryConfig(),
            metrics(FEW),
            log,
            directory / "history.db",
            clock=clock,
            telemetry=telemetry,
        )
        self.registry = CollectorRegistry()
        self.forecaster = Forecaster(
            config, self.history, self.append, clock=clock, telemetry=ForecastMetrics(self.registry)
        )

    async def append(self, events: list[Encoded]) -> None:
        if self.fails:
            raise LogUnavailable("away", maybe_stored=False)
        self.told += [msgspec.json.decode(event.raw) for event in events]

    def fill(self, begin: float, end: float, tokens: int) -> None:
        """So many tokens each minute of a stretch of time in which the system ran."""
        events: list[Stored] = []
        for minute in range(int(begin // 60), int(end // 60)):
            self.numbers += 1
            at = minute * 60 + 30
            events.append(stored(self.numbers, "llm.request.completed", at, input_tokens=tokens, output_tokens=0))
        events += snapshots(begin, int(end - begin), tick=30.0)
        write(self.store, events, end, take=collector(FEW))


@asynccontextmanager
async def room(directory: Path, at: float, **config: Any) -> AsyncIterator[Room]:
    made = Room(directory, VirtualClock(at), ForecastConfig(**config))
    await made.history._open()
    try:
        yield made
    finally:
        await made.history.close()
        made.store.close()


async def test_hours_are_learnt_and_the_one_that_has_begun_is_told_once(tmp_path: Path) -> None:
    async with room(tmp_path, NOW + 60) as here:
        here.fill(NOW - 60 * HOUR, NOW + 60, 10)
        await here.forecaster.step()
        await here.forecaster.step()
        (told,) = here.told
        answer = here.forecaster.answer(3, None)
    assert told["type"] == "forecast.tokens"
    assert told["data"]["hour"] == "2027-01-15T08:00:00.000Z"
    assert told["data"]["tokens"] == pytest.approx(600, rel=0.01)
    assert told["data"]["hours_known"] == 60
    assert told["data"]["cold"] is False
    assert SchemaCatalogue.load().check(told["type"], told["data"]) == ()
    assert answer.next_hour.tokens == pytest.approx(600, rel=0.05)
    assert (answer.ready, answer.so_far, answer.hours_known, len(answer.ahead)) == (True, 10, 60, 3)
    assert here.forecaster.values()["tokens_next_hour"] == pytest.approx(600, rel=0.05)
    expected = here.registry.get_sample_value("citadel_forecast_tokens_next_hour", {"bound": "expected"})
    assert expected == pytest.approx(600, rel=0.05)


async def test_after_a_restart_it_knows_the_same_and_tells_nothing_again(tmp_path: Path) -> None:
    chance = random.Random(3)
    async with room(tmp_path, NOW + 1800) as here:
        for hour in range(80):
            here.fill(NOW - (80 - hour) * HOUR, NOW - (79 - hour) * HOUR, chance.randrange(5, 50))
        here.fill(NOW, NOW + 1800, 20)
        await here.forecaster.step()
        before = here.forecaster.answer(24, 100_000)
    async with room(tmp_path, NOW + 1800) as again:
        await again.forecaster.step()
        assert again.forecaster.answer(24, 100_000) == before
        assert again.told == []


async def test_each_hour_is_learnt_as_it_ends(tmp_path: Path) -> None:
    async with room(tmp_path, NOW + 60) as here:
        here.fill(NOW - 50 * HOUR, NOW + 60, 10)
        await here.forecaster.step()
        for hour in range(1, 4):
            here.fill(NOW + (hour - 1) * HOUR + 60, NOW + hour * HOUR + 60, 10)
            await here.clock.advance(HOUR)
            await here.forecaster.step()
        hours = [told["data"]["hour"][11:13] for told in here.told]
    assert hours == ["08", "09", "10", "11"]


async def test_an_hour_without_the_system_is_not_known(tmp_path: Path) -> None:
    async with room(tmp_path, NOW + 60) as here:
        here.fill(NOW - 100 * HOUR, NOW - 50 * HOUR, 10)
        here.fill(NOW - 20 * HOUR, NOW + 60, 10)
        await here.forecaster.step()
        answer = here.forecaster.answer(1, None)
    assert answer.next_hour.tokens == pytest.approx(600, rel=0.05)
    assert answer.hours_known == 100


async def test_while_the_history_is_filled_nothing_is_said(tmp_path: Path) -> None:
    async with room(tmp_path, NOW + 60) as here:
        here.fill(NOW - 100 * HOUR, NOW - 50 * HOUR, 10)
        await here.forecaster.step()
        answer = here.forecaster.answer(1, None)
        assert (answer.ready, answer.next_hour, here.told) == (False, None, [])
        here.fill(NOW - 50 * HOUR, NOW + 60, 10)
        await here.forecaster.step()
        assert here.forecaster.answer(1, None).hours_known == 100


async def test_an_anomaly_begins_is_told_and_ends(tmp_path: Path) -> None:
    config = AnomalyConfig(interval="1m", threshold=8, least=2, of=3)
    async with room(tmp_path, NOW, anomaly=config) as here:
        here.fill(NOW - 2 * HOUR, NOW, 1000)
        await here.forecaster.step()
        assert here.forecaster.values()["tokens_anomaly"] == 0
        await here.clock.advance(180)
        here.fill(NOW, NOW + 180, 90_000)
        await here.forecaster.step()
        assert here.forecaster.values()["tokens_anomaly"] == 1
        assert here.forecaster.answer(1, None).anomaly.active
        await here.clock.advance(300)
        here.fill(NOW + 180, NOW + 480, 1000)
        await here.forecaster.step()
        assert here.forecaster.values()["tokens_anomaly"] == 0
        told = [event for event in here.told if event["type"].startswith("anomaly.")]
    assert [event["type"] for event in told] == ["anomaly.started", "anomaly.ended"]
    assert told[0]["data"]["value"] == 90_000
    assert told[0]["data"]["deviations"] > 8
    assert all(SchemaCatalogue.load().check(event["type"], event["data"]) == () for event in told)


async def test_a_log_that_is_away_does_not_end_the_forecast(tmp_path: Path) -> None:
    async with room(tmp_path, NOW + 60) as here:
        here.fails = True
        here.fill(NOW - 60 * HOUR, NOW + 60, 10)
        await here.forecaster.step()
        assert here.forecaster.values()["tokens_next_hour"] is not None


async def test_a_budget_of_the_day_ends_at_midnight(tmp_path: Path) -> None:
    async with room(tmp_path, NOW + 60, tokens_per_day=10_000) as here:
        here.fill(NOW - 60 * HOUR, NOW + 60, 10)
        await here.forecaster.step()
        today = here.forecaster.answer(1, None).budget
        asked = here.forecaster.answer(1, 50_000).budget
    assert (today.tokens, today.used, today.remaining) == (10_000, 8 * 600 + 10, 10_000 - 8 * 600 - 10)
    assert today.expected_at.startswith("2027-01-15T16:3")
    assert asked.expected_at > "2027-01-18"
    assert here.forecaster.answer(1, 10**9).budget.expected_at is None


@pytest.mark.parametrize("query", ["hours=0", "hours=200", "hours=x", "tokens=-1", "tokens=1.5", "hour=3"])
async def test_a_bad_query_is_refused(tmp_path: Path, query: str) -> None:
    async with room(tmp_path, NOW) as here:
        policy = Policy.of(SecurityConfig())
        app = build_app(routes(here.forecaster), policy=lambda: policy, metrics=ServiceMetrics(CollectorRegistry()))
        async with TestClient(TestServer(app)) as client:
            answer = await client.get(f"/api/v2/forecast/tokens?{query}")
            assert answer.status == 400
            assert (await client.get("/api/v2/forecast/tokens")).status == 200
