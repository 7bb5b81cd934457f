"""`Ingest.begin` and the events of an array at once: what `accept` gives, without a task."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.processing import IngestConfig, LogConfig
from hxp_enterprise_llm.event.log import SqliteLog
from hxp_enterprise_llm.event.log.model import EventLog, EventTooLarge, Limits, LogClosed, LogFull
from hxp_enterprise_llm.event.model import BEGINNING
from hxp_enterprise_llm.event.sources.answers import accepted_json, appended_json
from hxp_enterprise_llm.event.sources.faults import Rejected
from hxp_enterprise_llm.event.sources.forms import Elements
from hxp_enterprise_llm.event.sources.ingest import SLICE_BYTES, Ingest
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.metrics import LogMetrics, ProcessingMetrics
from tests.unit.sources.test_ingest import CATALOGUE, FixedClock, Room, room


def array(*types: str) -> bytes:
    return json.dumps([{"type": type, "data": {}} for type in types]).encode()


async def begun(ingest: Ingest, body: bytes) -> Any:
    future = ingest.begin(body, source="/t")
    assert future is not None
    return await future


async def on_disk(directory: Path) -> tuple[Ingest, SqliteLog, CollectorRegistry]:
    registry = CollectorRegistry()
    log = SqliteLog(
        directory, config=LogConfig(reserve_bytes=0), clock=SystemClock(), metrics=LogMetrics(CollectorRegistry())
    )
    await log.open()
    return Ingest(log, CATALOGUE, IngestConfig(), SystemClock(), ProcessingMetrics(registry)), log, registry


async def stored(log: EventLog) -> list[tuple[str, bytes]]:
    return [(event.type, event.raw) for event in (await log.read(BEGINNING, 1000)).events]


async def test_bodies_that_are_begun_are_stored_in_order(tmp_path: Path) -> None:
    ingest, log, registry = await on_disk(tmp_path)
    with_id = b'{"type":"c","data":1,"id":"1","source":"/s"}'
    bodies = [array("a", "b"), with_id, with_id, b'{"type":"d"}']
    futures = [ingest.begin(body, source="/t") for body in bodies]
    answers = [await future for future in futures if future is not None]
    assert answers == [[(1, False), (2, False)], [(3, False)], [(3, True)], [(4, False)]]
    assert [type for type, _ in await stored(log)] == ["a", "b", "c", "d"]
    await asyncio.sleep(0)  # the turn in which futures call back
    assert registry.get_sample_value("citadel_events_received_total", {"source": "http"}) == 5
    await log.close()


async def test_begin_needs_no_log_on_disk() -> None:
    found = await room()
    assert await begun(found.ingest, array("a", "b")) == [(1, False), (2, False)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"7",
        b"[]",
        b"[7]",
        b'{"type":"a b"}',
        b'{"type":"host.cpu"}',
        b'{"type":"a","type":"a"}',
        b'[{"type":"a","data":1},{"type":"a","data":1,"data":1}]',
        array("a", "b", "c", "d"),
        json.dumps({"type": "a", "data": "x" * SLICE_BYTES}).encode(),
        json.dumps([{"type": "a", "data": "x" * SLICE_BYTES}]).encode(),
    ],
)
async def test_what_takes_the_long_way_is_not_begun(body: bytes) -> None:
    found = await room()
    assert found.ingest.begin(body, source="/t") is None
    assert await found.stored() == []


async def test_unknown_types_are_not_begun_when_they_are_refused() -> None:
    found = await room(config=IngestConfig(unknown_types="refuse"))
    assert found.ingest.begin(array("zzz"), source="/t") is None
    assert found.ingest.begin(b'{"type":"zzz"}', source="/t") is None
    tick = json.dumps([{"type": "bench.tick", "data": {"seq": 1}}]).encode()
    assert await begun(found.ingest, tick) == [(1, False)]


async def test_what_the_log_refuses_is_the_futures_exception(tmp_path: Path) -> None:
    ingest, log, registry = await on_disk(tmp_path)
    await log.close()
    future = ingest.begin(array("a", "b"), source="/t")
    assert future is not None
    with pytest.raises(LogClosed):
        await future
    await asyncio.sleep(0)  # the turn in which futures call back
    assert registry.get_sample_value("citadel_events_rejected_total", {"code": "LogClosed"}) == 2
    found = await room()
    found.log.fail_next(LogFull("no space"))
    with pytest.raises(LogFull):
        await begun(found.ingest, array("a"))


async def test_a_future_that_is_cancelled_is_not_counted() -> None:
    found = await room()
    future = found.ingest.begin(array("a"), source="/t")
    assert future is not None
    future.cancel()
    await asyncio.wait([future])
    assert found.count("citadel_events_received_total", source="http") == 0


async def test_an_array_is_stored_as_its_elements_are() -> None:
    ways: list[Room] = [await room(), await room()]
    body = array("a", "b", "c")
    at_once = await ways[0].ingest.accept(Elements(body), source="/t")
    singly = await ways[1].ingest.accept(list(Elements(body)), source="/t")
    assert at_once == singly
    raws = [(await way.log.read(BEGINNING)).events for way in ways]
    assert raws[0] == raws[1]
    assert ways[0].count("citadel_events_received_total", source="http") == 3


async def test_a_fault_in_an_array_is_told_with_its_index() -> None:
    found = await room()
    with pytest.raises(Rejected) as caught:
        await found.ingest.accept(Elements(b'[{"type":"a"},{"type":"b c"}]'), source="/t")
    assert [(fault.at, fault.path) for fault in caught.value.faults] == [(1, "type")]


async def test_an_event_of_an_array_that_is_too_large_is_named() -> None:
    found = await room(Limits(max_event_bytes=100))
    body = b'[{"type":"a","data":1},{"type":"a","data":"%s"}]' % (b"x" * 100)
    with pytest.raises(EventTooLarge) as caught:
        await found.ingest.accept(Elements(body), source="/t")
    assert caught.value.index == 1


async def test_many_large_events_are_decoded_in_slices() -> None:
    found = await room(Limits())
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    item = b'{"type":"a","data":"%s"}' % (b"x" * (SLICE_BYTES // 2))
    await found.ingest.accept([item] * 8, source="/t")
    counting.cancel()
    assert turns >= 8


async def test_a_new_configuration_holds_within_the_same_millisecond() -> None:
    found = await room()
    old = b'{"type":"a","time":"2026-11-20T17:00:00Z"}'
    assert await begun(found.ingest, old) == [(1, False)]
    found.ingest.configure(IngestConfig(max_age="1m"), CATALOGUE)
    assert found.ingest.begin(old, source="/t") is None


async def test_the_source_of_events_without_one_is_that_of_their_submission() -> None:
    found = await room()
    for source in ("/one", "/two"):
        future = found.ingest.begin(b'{"type":"a"}', source=source)
        assert future is not None
        await future
    raws = [json.loads(event.raw) for event in (await found.log.read(BEGINNING)).events]
    assert [event["source"] for event in raws] == ["/one", "/two"]


def test_the_clock_is_read_once_a_millisecond() -> None:
    clock = FixedClock()
    registry = CollectorRegistry()
    ingest = Ingest(
        Room(Limits(), IngestConfig()).log, SchemaCatalogue({}), IngestConfig(), clock, ProcessingMetrics(registry)
    )
    assert ingest._terms("/s") is ingest._terms("/s")
    assert ingest._terms("/s") is not ingest._terms("/t")


def test_the_answer_is_put_together_as_it_would_be_encoded() -> None:
    from hxp_enterprise_llm.event.log.model import Appended
    from hxp_enterprise_llm.event.model import Offset

    new, repeat = Appended(Offset(1), False), Appended(Offset(7), True)
    for appended in ([], [new], [repeat], [new, repeat], [new, new], [repeat, repeat]):
        whole = {"events": appended_json(appended), "epoch": 'e"\n'}
        assert accepted_json(appended, 'e"\n') == json.dumps(whole, separators=(",", ":")).encode() + b"\n"
