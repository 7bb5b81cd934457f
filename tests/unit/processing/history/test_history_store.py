"""The file of the history: whatever comes in whatever order, cut and folded anyhow, the same is read from it."""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.config.processing import MetricConfig, default_metrics
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import parse_rfc3339
from hxp_enterprise_llm.event.processing.groups import Portion
from hxp_enterprise_llm.event.processing.history.memories import Labelled, empty
from hxp_enterprise_llm.event.processing.history.model import DAYS, HOURS, MINUTES, SECONDS, TIERS, TOKENS, Tier
from hxp_enterprise_llm.event.processing.history.reading import Reader
from hxp_enterprise_llm.event.processing.history.store import Keep, Store

from ..events import NOW, stored
from .support import DAY, collector, fold_all, metrics, opened, requests, write

LATENCY = next(m for m in metrics() if m.name == "latency").source
BY_MODEL = next(m for m in metrics() if m.name == "tokens").breakdowns[0].source


CONFIG = next(c for c in default_metrics() if c.name == "latency")


def read(directory: Path, tier: Tier, begin: float, end: float, *wanted: Any) -> dict[Any, dict[int, Any]]:
    reader = Reader(directory / "history.db")
    try:
        return reader.read(
            wanted or (TOKENS, LATENCY, BY_MODEL), tier, int(begin // tier.seconds), int(end // tier.seconds)
        )
    finally:
        reader.close()


def expected(events: list[Stored], tier: Tier) -> dict[int, int]:
    """Tokens by slot, added up by hand."""
    totals: dict[int, int] = defaultdict(int)
    for event in events:
        body = msgspec.json.decode(event.raw)
        if event.type == "llm.request.completed":
            slot = int(parse_rfc3339(body["time"]) // tier.seconds)
            totals[slot] += body["data"]["input_tokens"] + body["data"]["output_tokens"]
    return dict(totals)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 9), st.booleans())
def test_any_order_any_cut_any_fold_gives_the_same_in_every_tier(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: int, folded: bool
) -> None:
    chance = random.Random(seed)
    directory = tmp_path_factory.mktemp("history")
    events = requests(chance, 300, begin=NOW - 3 * 3600, seconds=3 * 3600)
    late = events[:]
    chance.shuffle(late)
    store = opened(directory)
    size = len(late) // cuts + 1
    for at in range(0, len(late), size):
        write(store, late[at : at + size])
        if folded and chance.random() < 0.7:
            for place in store.due(NOW + chance.choice([0, DAY, 40 * DAY])):
                store.fold(place)
    for tier in TIERS:
        found = read(directory, tier, NOW - DAY, NOW)
        assert {slot: memory.total for slot, memory in found[TOKENS].items()} == expected(events, tier)
        by_model = found[BY_MODEL]
        assert {slot: sum(m.total for m in memory.kept.values()) for slot, memory in by_model.items()} == expected(
            events, tier
        )
        assert sum(memory.n for memory in found[LATENCY].values()) == 300
    store.close()


def test_quantiles_are_within_one_per_cent_of_exact_after_all_mergers(tmp_path: Path) -> None:
    chance = random.Random(7)
    events = requests(chance, 5000, begin=NOW - 5 * 3600, seconds=5 * 3600)
    store = opened(tmp_path)
    for at in range(0, len(events), 1000):
        write(store, events[at : at + 1000], take=collector([CONFIG]))
    fold_all(store)
    sketch = None
    for memory in read(tmp_path, DAYS, NOW - DAY, NOW, LATENCY)[LATENCY].values():
        sketch = memory if sketch is None else (sketch.absorb(memory), sketch)[1]
    values = sorted(msgspec.json.decode(event.raw)["data"]["latency_ms"] for event in events)
    for q in (0.01, 0.5, 0.9, 0.95, 0.99, 0.999):
        exact = values[max(1, -(-int(q * 1e6) * len(values) // 1_000_000)) - 1]
        assert sketch.quantile(q) == pytest.approx(exact, rel=0.0101)
    store.close()


def test_the_last_value_is_that_of_the_latest_second_not_of_the_latest_arrival(tmp_path: Path) -> None:
    store = opened(tmp_path)
    cpu = next(m for m in metrics() if m.name == "cpu_percent").source
    write(store, [stored(1, "host.cpu", NOW - 100, percent=70)])
    fold_all(store)
    write(store, [stored(2, "host.cpu", NOW - 110, percent=10)])
    for fold in (False, True):
        if fold:
            fold_all(store)
        for tier in (HOURS, DAYS):
            (memory,) = read(tmp_path, tier, NOW - 2 * DAY, NOW, cpu)[cpu].values()
            assert (memory.last, memory.minimum, memory.maximum, memory.n) == (70, 10, 70, 2)
    store.close()


def test_position_and_figures_are_one_transaction(tmp_path: Path) -> None:
    """A write that fails leaves neither, and the same can be written again."""
    store = opened(tmp_path)
    write(store, requests(random.Random(1), 50, begin=NOW - 60, seconds=60))
    before = read(tmp_path, DAYS, NOW - DAY, NOW)[TOKENS]
    blocker = sqlite3.connect(tmp_path / "history.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    store._database.connection.execute("PRAGMA busy_timeout = 0")
    gathering = collector()
    gathering.take(requests(random.Random(2), 50, begin=NOW - 60, seconds=60, start=51), NOW)
    gathered = gathering.drain()
    cursor = store.cursor._replace(position=100)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        store.write(gathered, cursor, NOW)
    assert store.cursor.position == 50
    blocker.execute("ROLLBACK")
    blocker.close()
    assert {s: m.total for s, m in read(tmp_path, DAYS, NOW - DAY, NOW)[TOKENS].items()} == {
        s: m.total for s, m in before.items()
    }
    store.write(gathered, cursor, NOW)
    store.close()
    again = opened(tmp_path)
    assert again.cursor.position == 100
    assert sum(m.n for m in read(tmp_path, DAYS, NOW - DAY, NOW, LATENCY)[LATENCY].values()) == 100
    again.close()


def test_old_detail_goes_and_aggregates_stay(tmp_path: Path) -> None:
    store = opened(tmp_path, keep=Keep(2 * DAY, 30 * DAY))
    chance = random.Random(3)
    events = [
        e
        for day in range(40)
        for e in requests(chance, 40, begin=NOW - day * DAY - 7200, seconds=3600, start=1 + 40 * day)
    ]
    for at in range(0, len(events), 40):
        write(store, events[at : at + 40])
    while store.trim(NOW):
        pass
    exact = expected(events, HOURS)
    hours = {slot: m.total for slot, m in read(tmp_path, HOURS, NOW - 40 * DAY, NOW)[TOKENS].items()}
    kept = NOW - 30 * DAY
    assert {s: t for s, t in exact.items() if s * 3600 >= kept} == {s: t for s, t in hours.items() if s * 3600 >= kept}
    assert not [slot for slot in hours if slot * 3600 < kept - 2 * DAY]
    seconds = read(tmp_path, SECONDS, NOW - 40 * DAY, NOW)[TOKENS]
    assert min(seconds) >= NOW - 2 * DAY - 60
    assert store.floors()[0] > NOW - 3 * DAY
    store.close()


def test_a_late_event_finds_a_tier_that_still_has_its_time(tmp_path: Path) -> None:
    store = opened(tmp_path, keep=Keep(2 * DAY, 30 * DAY))
    write(store, requests(random.Random(4), 30, begin=NOW - 10 * DAY, seconds=60))
    write(store, requests(random.Random(4), 30, begin=NOW - 60, seconds=60, start=31))
    while store.trim(NOW):
        pass
    late = requests(random.Random(5), 30, begin=NOW - 10 * DAY, seconds=60, start=61)
    lost = requests(random.Random(5), 30, begin=NOW - 400 * DAY, seconds=60, start=91)
    write(store, late)
    assert not store.too_old
    found = read(tmp_path, HOURS, NOW - 11 * DAY, NOW)[LATENCY]
    assert sum(memory.n for memory in found.values()) == 90
    write(store, lost)
    fold_all(store)
    while store.trim(NOW):
        pass
    write(store, requests(random.Random(6), 30, begin=NOW - 500 * DAY, seconds=1, start=121))
    assert store.too_old > 0
    store.close()


def test_a_flood_of_names_becomes_other_and_no_token_is_lost(tmp_path: Path) -> None:
    store = opened(tmp_path)
    events = [
        stored(n, "llm.request.completed", NOW - 600 + n // 10, model=f"made-up-{n}", input_tokens=n, output_tokens=1)
        for n in range(1, 3000)
    ]
    for at in range(0, len(events), 300):
        write(store, events[at : at + 300])
    fold_all(store)
    for tier in (MINUTES, HOURS, DAYS):
        memories = read(tmp_path, tier, NOW - DAY, NOW, BY_MODEL)[BY_MODEL].values()
        assert all(len(memory.kept) <= 2 * BY_MODEL.limit for memory in memories)
        totals = [
            sum(m.total for m in (*memory.kept.values(), *([memory.other] * bool(memory.other)))) for memory in memories
        ]
        assert sum(totals) == sum(range(1, 3000)) + 2999
    store.close()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 10**12)), max_size=8), min_size=3, max_size=3)
)
def test_mergers_of_label_sets_are_associative(parts: list[list[tuple[str, int]]]) -> None:

    def made(values: list[tuple[str, int]]) -> Labelled:
        memory = empty(BY_MODEL)
        assert isinstance(memory, Labelled)
        memory.update([Portion((key,), [value]) for key, value in values])
        return memory

    def figures(memory: Labelled) -> dict[Any, Any]:
        return {key: (m.n, m.total, m.minimum, m.maximum) for key, m in memory.kept.items()}

    a, b, c = map(made, parts)
    left = a.copy()
    left.absorb(b)
    left.absorb(c)
    right = b.copy()
    right.absorb(c)
    first = a.copy()
    first.absorb(right)
    assert figures(left) == figures(first)


def flood_of(hour: int, begin: float) -> list[Stored]:
    return requests(random.Random(hour), 600, begin=begin, seconds=3600, models=40, start=1 + hour * 600)


def test_the_file_stays_below_its_budget(tmp_path: Path) -> None:
    """A flood that would take several times the budget: old detail goes, the newest and the aggregates stay."""
    budget, hours = 1024 * 1024, 16
    store = opened(tmp_path, budget)
    few = [MetricConfig(name="tokens", types=["llm.*"], kind="sum", field="data.input_tokens", by=["data.model"])]
    begin = NOW - hours * 3600
    largest = 0
    for hour in range(hours):
        now = begin + (hour + 1) * 3600
        write(store, flood_of(hour, now - 3600), now, take=collector(few))
        for place in store.due(now):
            store.fold(place)
        while store.trim(now):
            pass
        largest = max(largest, store.size)
    assert largest <= budget + 32_768, "the file, its write-ahead log, and 32 kB of index of that"
    assert store.forced_out > 0
    found = read(tmp_path, DAYS, NOW - 4 * DAY, NOW)[TOKENS]
    exact = [expected(flood_of(hour, begin + hour * 3600), DAYS) for hour in range(hours)]
    assert sum(memory.total for memory in found.values()) == sum(sum(each.values()) for each in exact)
    assert max(read(tmp_path, SECONDS, NOW - 3600, NOW)[TOKENS]) > NOW - 60
    store.close()


def test_a_damaged_file_is_said_to_be_one(tmp_path: Path) -> None:
    store = opened(tmp_path)
    write(store, requests(random.Random(1), 500, begin=NOW - 600, seconds=600))
    store.close()
    path = tmp_path / "history.db"
    path.write_bytes(b"no database at all, " * 4096)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        opened(tmp_path)


def test_a_metric_of_large_sums_stays_exact(tmp_path: Path) -> None:
    """Beyond 64 bits as well."""
    config = MetricConfig(name="big", types=["x"], kind="sum", field="data.n", by=["data.k"])
    (metric,) = metrics([config])
    store: Store = opened(tmp_path)
    events = [stored(n, "x", NOW - 10, n=2**63 - 1, k="k") for n in range(1, 6)]
    write(store, events, take=collector([config]))
    fold_all(store)
    (memory,) = read(tmp_path, DAYS, NOW - DAY, NOW, metric.source)[metric.source].values()
    assert memory.total == 5 * (2**63 - 1)
    store.close()
