"""GET /analytics/range on a real server over a real file: each kind of metric in each tier, gaps, bounds, faults."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.history import HistoryConfig
from hxp_enterprise_llm.config.processing import MetricConfig, default_metrics
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import parse_rfc3339
from hxp_enterprise_llm.event.processing.history.api import routes
from hxp_enterprise_llm.event.processing.history.history import History
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.history_metrics import HistoryMetrics
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics

from ..events import NOW, stored
from ..virtual import VirtualClock
from .support import DAY, collector, fold_all, metrics, opened, requests, snapshots, write

CONFIGS = [
    *default_metrics(),
    MetricConfig(name="models", types=["llm.*"], kind="distinct", field="data.model", by=["data.agent"]),
    MetricConfig(name="requests", types=["llm.*"], kind="count", by=["data.model"], limit=2),
]


@asynccontextmanager
async def served(directory: Path, now: float = NOW) -> AsyncIterator[TestClient[Any, Any]]:
    clock = VirtualClock(now)
    telemetry = HistoryMetrics(CollectorRegistry())
    log = MemoryLog(clock=clock)
    history = History(
        HistoryConfig(), metrics(CONFIGS), log, directory / "history.db", clock=clock, telemetry=telemetry
    )
    await history._open()
    policy = Policy.of(SecurityConfig())
    app = build_app(routes(history, clock), policy=lambda: policy, metrics=ServiceMetrics(CollectorRegistry()))
    async with TestClient(TestServer(app)) as client:
        yield client
    await history.close()


async def asked(client: TestClient[Any, Any], **query: Any) -> dict[str, Any]:
    answer = await client.get("/analytics/range", params=query)
    body = await answer.json()
    assert answer.status == 200, body
    return body


def filled(directory: Path, events: list[Stored], *, fold: bool) -> None:
    store = opened(directory)
    for at in range(0, len(events), 500):
        write(store, events[at : at + 500], take=collector(CONFIGS))
    if fold:
        fold_all(store)
    store.close()


def by_step(events: list[Stored], step: int) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for event in events:
        body = msgspec.json.decode(event.raw)
        if event.type.startswith("llm."):
            found.setdefault(int(parse_rfc3339(body["time"]) // step) * step, []).append(body)
    return found


def nearest_rank(values: list[float], q: float) -> float:
    return sorted(values)[max(1, ceil(q * len(values) - 1e-9)) - 1]


@pytest.mark.parametrize(
    ("step", "fold"), [(1, False), (7, True), (60, True), (300, False), (3600, False), (3600, True), (86_400, True)]
)
async def test_every_kind_of_metric_is_what_the_events_say(tmp_path: Path, step: int, fold: bool) -> None:
    length = 900 if step < 60 else 4 * 3600
    events = requests(random.Random(step), 900, begin=NOW - length, seconds=length)
    filled(tmp_path, [*events, *snapshots(NOW - length, length)], fold=fold)
    exact = by_step(events, step)
    async with served(tmp_path) as client:
        answers = {
            name: await asked(client, metric=name, **{"from": NOW - length, "to": NOW, "step": step})
            for name in ("tokens", "request_rate", "error_rate", "latency", "requests", "models")
        }
    assert answers["tokens"]["step_s"] == step
    assert answers["tokens"]["tier"] == {1: "1s", 7: "1s", 60: "1m", 300: "1m", 3600: "1h", 86_400: "1d"}[step]
    for at, *values in zip(
        answers["tokens"]["times"], *(answers[name]["series"][0]["values"] for name in answers), strict=True
    ):
        those = exact.get(at, [])
        done = [e["data"] for e in those if e["type"] == "llm.request.completed"]
        tokens, rate, errors, latency, count, models = values
        assert tokens == sum(d["input_tokens"] + d["output_tokens"] for d in done)
        assert count == len(those)
        watched = min(step, length, NOW - at, at + step - (NOW - length))
        assert rate == pytest.approx(len(those) / watched)
        assert errors == (1 - len(done) / len(those) if those else None) or errors == pytest.approx(
            1 - len(done) / len(those)
        )
        assert models == len({e["data"]["model"] for e in those})
        if those:
            assert latency == pytest.approx(nearest_rank([e["data"]["latency_ms"] for e in those], 0.95), rel=0.0101)
        else:
            assert latency is None


@pytest.mark.parametrize(("length", "tier", "slot"), [(900, "1s", 1), (4 * 3600, "1m", 60), (4 * DAY, "1h", 3600)])
async def test_a_whole_range_is_one_value_from_its_own_beginning(
    tmp_path: Path, length: int, tier: str, slot: int
) -> None:
    """A quantile of the range is that of all its requests, and what lies beside it does not count."""
    begin, end = NOW - length - 333, NOW - 333
    begin, end = begin - begin % slot, end - end % slot
    inside = requests(random.Random(length), 400, begin=begin, seconds=end - begin)
    beside = requests(random.Random(1), 300, begin=end, seconds=333, start=5000)
    filled(tmp_path, [*inside, *beside, *snapshots(begin, int(end - begin), tick=slot)], fold=False)
    bodies = [msgspec.json.decode(event.raw) for event in inside]
    async with served(tmp_path) as client:
        whole = {"from": str(begin), "to": str(end), "step": "all"}
        rate, latency = [await asked(client, metric=name, **whole) for name in ("request_rate", "latency")]
        models = await asked(client, metric="requests", by="model", **whole)
    assert (rate["tier"], rate["step_s"], rate["times"]) == (tier, end - begin, [begin])
    assert rate["series"][0]["values"] == [pytest.approx(400 / (end - begin))]
    exact = nearest_rank([body["data"]["latency_ms"] for body in bodies], 0.95)
    assert latency["series"][0]["values"] == [pytest.approx(exact, rel=0.0101)]
    assert sum(line["values"][0] for line in models["series"]) == 400


async def test_a_gap_is_a_gap_and_a_quiet_time_is_a_zero(tmp_path: Path) -> None:
    events = requests(random.Random(1), 5, begin=NOW - 600, seconds=59)
    filled(tmp_path, [*events, *snapshots(NOW - 600, 120), *snapshots(NOW - 180, 180, start=2_000_000)], fold=True)
    async with served(tmp_path) as client:
        tokens = await asked(client, metric="tokens", **{"from": NOW - 600, "step": "1m"})
        latency = await asked(client, metric="latency", **{"from": NOW - 600, "step": "1m"})
    values = tokens["series"][0]["values"]
    assert values[0] > 0
    assert values[1:] == [0, None, None, None, None, None, 0, 0, 0]
    assert latency["series"][0]["values"][1:] == [None] * 9


async def test_a_long_tick_watches_the_seconds_before_it(tmp_path: Path) -> None:
    filled(tmp_path, snapshots(NOW - 50, 55, tick=5), fold=False)
    async with served(tmp_path) as client:
        body = await asked(client, metric="tokens", **{"from": NOW - 30, "step": 1})
    assert body["series"][0]["values"] == [0] * 30


@pytest.mark.parametrize("fold", [False, True])
async def test_label_sets_and_the_rest_add_up(tmp_path: Path, fold: bool) -> None:
    events = requests(random.Random(3), 600, begin=NOW - 7200, seconds=7200, models=8)
    filled(tmp_path, [*events, *snapshots(NOW - 7200, 7200)], fold=fold)
    async with served(tmp_path) as client:
        query = {"from": NOW - 7200, "to": NOW, "step": "10m"}
        whole = await asked(client, metric="requests", **query)
        parts = await asked(client, metric="requests", by="model", **query)
        errors = await asked(client, metric="error_rate", by="agent", **query)
    assert [line["labels"]["model"] for line in parts["series"]][-1] == "other"
    assert len(parts["series"]) == 3
    columns = zip(*(line["values"] for line in parts["series"]), strict=True)
    assert [sum(column) for column in columns] == whole["series"][0]["values"]
    assert [line["labels"]["agent"] for line in errors["series"]] == ["a0", "a1", "a2", "a3", "a4"]


async def test_what_detail_no_longer_has_is_answered_from_a_coarser_tier_and_said(tmp_path: Path) -> None:
    old = NOW - 20 * DAY
    store = opened(tmp_path)
    write(store, [*requests(random.Random(4), 200, begin=old, seconds=7200), *snapshots(old, 7200)])
    write(store, requests(random.Random(5), 10, begin=NOW - 60, seconds=60, start=201))
    while store.trim(NOW):
        pass
    store.close()
    async with served(tmp_path) as client:
        body = await asked(client, metric="tokens", **{"from": old, "to": old + 7200, "step": 10})
    assert (body["tier"], body["step_s"]) == ("1h", 3600)
    assert body["notes"] == ["steps of 3600 s: so far back finer ones are no longer kept"]
    assert sum(body["series"][0]["values"]) > 0


async def test_an_answer_is_bounded_and_says_how_to_ask(tmp_path: Path) -> None:
    filled(tmp_path, snapshots(NOW - 60, 60), fold=False)
    async with served(tmp_path) as client:
        answer = await client.get("/analytics/range?metric=tokens&from=-1d&step=1")
        error = (await answer.json())["error"]
        wide = await asked(client, metric="tokens", **{"from": "-90d"})
        mine = await asked(client, metric="tokens", **{"from": "-90d", "by": "model"})
    assert answer.status == 400
    assert error["code"] == "too_many_points"
    assert error["hint"] == "ask for step=60s or longer, or for a shorter range"
    assert len(wide["times"]) <= 500
    assert len(mine["times"]) <= 500


FAULTS = [
    ("", "missing_parameter", "which metric?"),
    ("metric=tok", "unknown_metric", "metric 'tok' is not declared"),
    ("metric=tokens&by=user", "unknown_breakdown", "tokens is not broken down by user"),
    ("metric=cpu_percent&by=user", "unknown_breakdown", "cpu_percent is not broken down by user"),
    ("metric=tokens&from=yesterday", "bad_parameter", "from=yesterday is no moment"),
    ("metric=tokens&from=now", "bad_parameter", "`from` is not before `to`"),
    ("metric=tokens&from=-99999999d", "bad_parameter", "from=-99999999d is no moment"),
    ("metric=tokens&to=2026-11-29T12:00:00", "bad_parameter", "to=2026-11-29T12:00:00 is no moment"),
    ("metric=tokens&step=0", "bad_parameter", "step=0 is not taken"),
    ("metric=tokens&step=1.5", "bad_parameter", "step=1.5 is not taken"),
    ("metric=tokens&step=fast", "bad_parameter", "step=fast is not taken"),
    ("metric=tokens&metric=latency", "bad_parameter", "metric is there 2 times"),
    ("metric=tokens&stepp=1m", "unknown_parameter", "'stepp' is no parameter of /analytics/range (did you mean step?)"),
]


@pytest.mark.parametrize(("query", "code", "message"), FAULTS)
async def test_a_bad_query_says_what_is_wrong(tmp_path: Path, query: str, code: str, message: str) -> None:
    async with served(tmp_path) as client:
        answer = await client.get(f"/analytics/range?{query}")
        error = (await answer.json())["error"]
    assert answer.status == 400
    assert (error["code"], error["message"]) == (code, message)
    assert error["hint"]


async def test_moments_in_each_form(tmp_path: Path) -> None:
    filled(tmp_path, snapshots(NOW - 60, 60), fold=False)
    async with served(tmp_path) as client:
        for begin in ("-60s", str(int(NOW - 60)), "2027-01-15T07:59:00Z", "2027-01-15T08:59:00+01:00"):
            body = await asked(client, metric="tokens", **{"from": begin, "step": "1m"})
            assert body["times"] == [NOW - 60]


async def test_before_the_file_is_open_there_is_no_answer_that_looks_like_one(tmp_path: Path) -> None:
    clock = VirtualClock()
    history = History(
        HistoryConfig(),
        metrics(),
        MemoryLog(clock=clock),
        tmp_path / "history.db",
        clock=clock,
        telemetry=HistoryMetrics(CollectorRegistry()),
    )
    policy = Policy.of(SecurityConfig())
    app = build_app(routes(history, clock), policy=lambda: policy, metrics=ServiceMetrics(CollectorRegistry()))
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/analytics/range?metric=tokens")
        assert answer.status == 503
        assert (await answer.json())["error"]["code"] == "history_unavailable"
        assert answer.headers["Retry-After"] == "2"


def test_one_event_in_its_second(tmp_path: Path) -> None:
    """The smallest case, by hand."""
    store = opened(tmp_path)
    write(store, [stored(1, "llm.request.completed", NOW - 5, model="m", input_tokens=3, output_tokens=4)])
    assert store.cursor.position == 1
    store.close()
