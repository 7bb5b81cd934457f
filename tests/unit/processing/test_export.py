"""GET /api/v2/export/analytics on a real server: every table in every format, and half a file that is known as one."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pyarrow.parquet
import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.history import HistoryConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import LogUnavailable
from hxp_enterprise_llm.event.processing.export import figures, formats, logged
from hxp_enterprise_llm.event.processing.export.api import MOST_AT_ONCE, PATH, Exports
from hxp_enterprise_llm.event.processing.export.formats import FORMATS, Csv, MissingPackage, Parquet
from hxp_enterprise_llm.event.processing.export.model import Column, Table
from hxp_enterprise_llm.event.processing.history.history import History
from hxp_enterprise_llm.security.edge import build_app
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.history_metrics import HistoryMetrics
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics

from .events import NOW, event, stored
from .history.support import metrics, snapshots, write
from .history.support import opened as opened_store
from .virtual import VirtualClock, opened

HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "＝1",
    "＋1",
    "－1",
    "＠x",
    '"quoted", and more',
    "two\nlines",
    "ä",
]


@asynccontextmanager
async def serving(tables: list[Table], clock: VirtualClock) -> AsyncIterator[TestClient[Any, Any]]:
    policy = Policy.of(SecurityConfig())
    app = build_app(Exports(tables, clock).routes(), policy=lambda: policy, metrics=ServiceMetrics(CollectorRegistry()))
    async with TestClient(TestServer(app)) as client:
        yield client


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[TestClient[Any, Any]]:
    clock = VirtualClock()
    log = await opened(clock)
    events = [
        event(
            n, "llm.request.completed", NOW - 600 + n, model=HOSTILE[n % len(HOSTILE)], agent=f"a{n % 2}",
            latency_ms=n + 0.5, input_tokens=n, output_tokens=1, user=12 if n == 3 else "u",
        )
        for n in range(1, 100)
    ]  # fmt: skip
    more = [
        event(1000, "knowledge.miss", NOW - 50, query="why?", best_score=0.2),
        event(1001, "memory.tier.access", NOW - 40, tier="redis", hit=True, latency_ms=1),
        event(1002, "llm.request.completed", NOW - 90_000, model="old", input_tokens=5, output_tokens=5),
    ]
    await log.append([*events, *more])
    store = opened_store(directory)
    write(store, [*snapshots(NOW - 600, 600), *(stored(e.offset, e.type) for e in ())])
    batch = await log.read((await log.bounds()).first - 1)
    write(store, batch.events)
    store.close()
    history = History(
        HistoryConfig(), metrics(), log, directory / "history.db", clock=clock,
        telemetry=HistoryMetrics(CollectorRegistry()),
    )  # fmt: skip
    await history._open()
    async with serving([*figures.tables(history, clock), *logged.tables(log)], clock) as client:
        yield client
    await history.close()


async def asked(client: TestClient[Any, Any], what: str, format: str, **query: Any) -> bytes:
    answer = await client.get(PATH, params={"what": what, "format": format, **query})
    body = await answer.read()
    assert answer.status == 200, body
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{what}-2027-01-15.{format}"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    return body


def rows_of(format: str, body: bytes) -> list[dict[str, Any]]:
    if format == "csv":
        return [
            {k: v or None for k, v in row.items()} for row in csv.DictReader(io.StringIO(body.decode(), newline=""))
        ]
    if format == "json":
        return msgspec.json.decode(body)
    if format == "ndjson":
        return [msgspec.json.decode(line) for line in body.splitlines()]
    return pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist()


@pytest.mark.parametrize("what", ["metrics", "tokens_by_agent_day", "requests", "knowledge", "tiers", "events"])
async def test_each_table_is_the_same_in_every_format(tmp_path: Path, what: str) -> None:
    async with served(tmp_path) as client:
        found = {format: rows_of(format, await asked(client, what, format)) for format in FORMATS}
    assert found["ndjson"]
    assert found["ndjson"] == found["json"] == found["parquet"]
    assert len(found["csv"]) == len(found["ndjson"])
    for text, typed in zip(found["csv"], found["ndjson"], strict=True):
        for name, value in typed.items():
            if isinstance(value, str):
                assert (text[name] or "").removeprefix("'") == value.removeprefix("'")
            elif isinstance(value, bool) or value is None:
                assert text[name] == (None if value is None else str(value).lower())
            else:
                assert float(text[name]) == value


async def test_tokens_by_agent_and_day_are_exact(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        rows = rows_of("json", await asked(client, "tokens_by_agent_day", "json"))
    odd = range(1, 100, 2)
    assert {row["agent"]: (row["requests"], row["input_tokens"], row["output_tokens"]) for row in rows} == {
        "a0": (49, sum(range(1, 100)) - sum(odd), 49),
        "a1": (50, sum(odd), 50),
    }


async def test_a_download_goes_on_behind_an_offset(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        whole = await asked(client, "requests", "ndjson")
        lines = whole.splitlines(keepends=True)
        last = msgspec.json.decode(lines[41])["offset"]
        rest = await asked(client, "requests", "ndjson", after=last)
    assert b"".join(lines[:42]) + rest == whole
    assert b'"old"' not in whole


async def test_a_value_of_another_kind_is_none(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        rows = rows_of("json", await asked(client, "requests", "json"))
    assert [row["user"] for row in rows].count(None) == 1


FAULTS = [
    ("what=secrets", "what=secrets is not known"),
    ("format=xls", "format=xls is not known"),
    ("from=now", "`from` is not before `to`"),
    ("from=x", "from=x is no moment"),
    ("what=requests&step=60", "requests takes no step"),
    ("what=metrics&after=1", "metrics takes no after"),
    ("what=events&after=-1", "after=-1 is no offset"),
    ("wat=events", "'wat' is no parameter of /api/v2/export/analytics (did you mean what?)"),
]


@pytest.mark.parametrize(("query", "message"), FAULTS)
async def test_a_bad_query_says_what_is_wrong(tmp_path: Path, query: str, message: str) -> None:
    async with served(tmp_path) as client:
        answer = await client.get(f"{PATH}?{query}")
        assert answer.status == 400
        assert (await answer.json())["error"]["message"] == message


async def test_parquet_without_pyarrow_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(columns: Any) -> Parquet:
        raise MissingPackage("pyarrow", "parquet")

    monkeypatch.setitem(formats.FORMATS, "parquet", formats.FORMATS["parquet"]._replace(make=missing))  # type: ignore[attr-defined]
    async with served(tmp_path) as client:
        answer = await client.get(f"{PATH}?format=parquet")
        error = (await answer.json())["error"]
    assert answer.status == 501
    assert error["hint"].startswith("pip install 'hxp-enterprise-llm[parquet]'")


async def broken(rows: int) -> AsyncIterator[list[Any]]:
    for number in range(rows):
        yield [(number, "x" * 1000)]
    raise LogUnavailable("the disk is gone", maybe_stored=False)


def table_of(rows: Any) -> Table:
    return Table("t", "", (Column("n", "integer"), Column("s", "text")), rows)


@pytest.mark.parametrize("format", list(FORMATS))
async def test_half_a_file_is_cut_off_so_that_nobody_takes_it_for_a_whole_one(format: str) -> None:
    async with serving([table_of(lambda wanted: broken(2000))], VirtualClock()) as client:
        answer = await client.get(PATH, params={"what": "t", "format": format})
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientError):
            await answer.read()


async def test_what_fails_at_once_is_a_refusal() -> None:
    async with serving([table_of(lambda wanted: broken(0))], VirtualClock()) as client:
        answer = await client.get(PATH, params={"what": "t"})
        assert answer.status == 503
        assert (await answer.json())["error"]["code"] == "export_unavailable"


async def test_few_exports_run_at_a_time_and_one_that_is_left_makes_room() -> None:
    more = asyncio.Event()

    async def endless(wanted: Any) -> AsyncIterator[list[Any]]:
        while not more.is_set():
            yield [(1, "x" * 100_000)]
            await asyncio.sleep(0)

    async with serving([table_of(endless)], VirtualClock()) as client:
        running = [await client.get(PATH, params={"what": "t"}) for _ in range(MOST_AT_ONCE)]
        refused = await client.get(PATH, params={"what": "t"})
        assert refused.status == 503
        assert (await refused.json())["error"]["code"] == "export_busy"
        for answer in running:
            answer.close()
        async with asyncio.timeout(10):
            while (answer := await client.get(PATH, params={"what": "t"})).status != 200:
                await asyncio.sleep(0.02)
        answer.close()
        more.set()


@given(st.text())
def test_no_cell_of_csv_begins_like_a_formula(text: str) -> None:
    body = Csv([Column("t", "text")]).rows([(text, -5, 1.5)]).decode("utf-8", "replace")
    ((cell, *numbers),) = csv.reader(io.StringIO(body, newline=""))
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))
    assert numbers == ["-5", "1.5"]


async def test_the_beginning_of_a_time_is_found_without_reading_all_before_it() -> None:
    clock = VirtualClock()
    log = MemoryLog(clock=clock)
    await log.open()
    for second in range(200):
        batch = [event(second * 200 + n, "tick", NOW + second) for n in range(199)]
        await log.append([*batch, event(10**6 + second, "analytics.snapshot", NOW + second, tick_s=1)])
    found = await logged.beginning(log, await log.bounds(), NOW + 100)
    assert 100 * 200 - 2 * 4096 <= found <= 101 * 200
    assert await logged.beginning(log, await log.bounds(), NOW - 10) == 0
