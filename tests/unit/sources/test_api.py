"""The routes of the log on a real server, over a log in memory."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.processing import IngestConfig
from hxp_enterprise_llm.event.log import RemoteLog
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import (
    Appended,
    EpochChanged,
    Gone,
    Limits,
    LogClosed,
    LogCorrupt,
    LogFull,
    LogLocked,
    LogUnavailable,
)
from hxp_enterprise_llm.event.model import BEGINNING, EARLIEST, Encoded, Event, Offset, decode, encode, rfc3339
from hxp_enterprise_llm.event.sources.answers import problem_of
from hxp_enterprise_llm.event.sources.api import routes
from hxp_enterprise_llm.event.sources.ingest import Ingest
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics
from tests.unit.security.serving import Answer, Served, serving

JSON = {"Content_Type": "application/json"}
HELLO = b'{"type":"demo.hello","data":{"a":1}}'


@pytest.fixture
async def log() -> AsyncIterator[MemoryLog]:
    found = MemoryLog(limits=Limits(max_batch_events=10, max_event_bytes=100_000), offset_step=3, progress_seconds=0.05)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
async def served(log: MemoryLog) -> AsyncIterator[Served]:
    metrics = ProcessingMetrics(CollectorRegistry())
    ingest = Ingest(log, SchemaCatalogue.load(), IngestConfig(), SystemClock(), metrics)
    async with serving(routes(ingest, log, BodyBudget())) as found:
        yield found


async def post(served: Served, body: bytes, path: str = "/events", **headers: str) -> Answer:
    return await served.ask("POST", path, body, **(JSON | headers))


async def fill(log: MemoryLog, count: int) -> str:
    for number in range(count):
        await log.append([encode(Event(id=str(number), source="/t", type=f"demo.t{number % 2}", data=number))])
    return (await log.bounds()).epoch


async def test_events_are_answered_after_the_commit(served: Served, log: MemoryLog) -> None:
    epoch = (await log.bounds()).epoch
    answer = await post(served, b"[%s,%s]" % (HELLO, HELLO))
    assert answer.status == 202
    found = [event["offset"] for event in answer.json["events"]]
    assert answer.json == {
        "events": [{"offset": found[0], "duplicate": False}, {"offset": found[1], "duplicate": False}],
        "epoch": epoch,
    }
    stored = (await log.read(BEGINNING)).events
    assert [event.offset for event in stored] == found
    assert decode(stored[0].raw).source == "/http/127.0.0.1"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (
            b'{"specversion":"1.0","id":"1","source":"/s","type":"demo.hello"}',
            {"Content_Type": "application/cloudevents+json"},
        ),
        (
            b'[{"specversion":"1.0","id":"1","source":"/s","type":"demo.hello"}]',
            {"Content_Type": "application/cloudevents-batch+json; charset=utf-8"},
        ),
        (HELLO + b"\n", {"Content_Type": "application/x-ndjson"}),
        (
            b"hello",
            {
                "Content_Type": "text/plain",
                "ce_specversion": "1.0",
                "ce_type": "demo.hello",
                "ce_id": "1",
                "ce_source": "/s",
            },
        ),
        (gzip.compress(HELLO, mtime=0), {"Content_Type": "application/json", "Content_Encoding": "gzip"}),
    ],
)
async def test_every_form_is_taken(served: Served, log: MemoryLog, body: bytes, headers: dict[str, str]) -> None:
    assert (await served.ask("POST", "/events", body, **headers)).status == 202
    assert [event.type for event in (await log.read(BEGINNING)).events] == ["demo.hello"]


async def test_a_repeat_is_a_duplicate(served: Served) -> None:
    body = b'{"type":"a","id":"1","source":"/s"}'
    first, second = await post(served, body), await post(served, body)
    assert second.json["events"] == [{"offset": first.json["events"][0]["offset"], "duplicate": True}]


async def test_faults_are_told_item_by_item_and_nothing_is_stored(served: Served, log: MemoryLog) -> None:
    answer = await post(served, b'[%s,{"type":"host.cpu","data":{"percent":"x"}},7]' % HELLO)
    assert answer.status == 400
    assert answer.error == {
        "code": "invalid_events",
        "message": "2 of 3 events are not valid; nothing was stored",
        "hint": "correct these items and send them again",
        "items": [
            {"index": 1, "path": "data.percent", "message": '"x" is not a number'},
            {"index": 2, "path": "", "message": "an event is a JSON object, this is a number"},
        ],
    }
    assert (await log.read(BEGINNING)).events == ()


async def test_json_that_is_cut_off(served: Served) -> None:
    answer = await post(served, b'[{"type":"a"},{"type"')
    assert answer.status == 400
    assert answer.error["code"] == "invalid_json"
    assert answer.error["message"] == "the JSON is cut off at byte 21"
    answer = await post(served, b'{"type":"a"')
    assert answer.error["items"] == [{"index": 0, "path": "", "message": "the JSON is cut off at byte 11"}]


async def test_a_body_of_21_mib(served: Served) -> None:
    answer = await post(served, b" " * (21 * 1024 * 1024))
    assert (answer.status, answer.error["code"]) == (413, "body_too_large")
    assert answer.error["message"] == "the body has 22,020,096 bytes, at most 20,971,520 are taken"


async def test_a_gzip_bomb(served: Served) -> None:
    answer = await post(served, gzip.compress(bytes(100_000_000)), Content_Encoding="gzip")
    assert (answer.status, answer.error["code"]) == (413, "decompression_bomb")


async def test_a_wrong_content_type_is_answered_with_the_curl_line(served: Served) -> None:
    answer = await post(served, HELLO, Content_Type="application/x-www-form-urlencoded")
    assert (answer.status, answer.error["code"]) == (415, "content_type")
    assert answer.error["hint"] == (
        f"curl -X POST http://127.0.0.1:{served.port}/events -H 'Content-Type: application/json' --data-binary @FILE"
    )


async def test_times_too_far_off(served: Served) -> None:
    now = SystemClock().time()
    body = json.dumps([{"type": "a", "time": rfc3339(now + by)} for by in (86400 * 3, -86400 * 1826)]).encode()
    messages = [item["message"] for item in (await post(served, body)).error["items"]]
    assert "lies 3 days in the future, at most 5 minutes are taken" in messages[0]
    assert "lies 1,826 days in the past, at most 30 days are taken (ingest.max_age)" in messages[1]


async def test_foreign_host_and_origin(served: Served) -> None:
    sent = b"POST /events HTTP/1.1\r\nHost: evil\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    assert (await served.raw(sent)).status == 421
    answer = await post(served, HELLO, Origin="http://evil.example.org")
    assert (answer.status, answer.error["code"]) == (403, "foreign_origin")


async def test_a_fault_of_the_binary_mode(served: Served) -> None:
    answer = await post(served, b"{", ce_specversion="1.0", ce_type="a")
    assert answer.error["items"] == [{"index": 0, "path": "data", "message": "the JSON is cut off at byte 1"}]


async def test_a_batch_beyond_the_limit(served: Served, log: MemoryLog) -> None:
    body = (HELLO + b"\n") * 25
    answer = await post(served, body, Content_Type="application/x-ndjson")
    assert answer.status == 413
    assert {key: answer.error[key] for key in ("code", "limit", "found", "unit")} == {
        "code": "batch_too_large",
        "limit": 10,
        "found": 25,
        "unit": "events",
    }
    assert "?partial=true" in answer.error["hint"]
    answer = await post(served, body, "/events?partial=true", Content_Type="application/x-ndjson")
    assert (answer.status, len(answer.json["events"])) == (202, 25)
    answer = await post(served, body + b"7", "/events?partial=true", Content_Type="application/x-ndjson")
    assert (answer.status, len(answer.error["stored"])) == (400, 20)
    assert answer.error["message"] == "1 of 26 events is not valid; the first 20 are stored"


async def test_an_event_that_is_too_large(served: Served) -> None:
    answer = await post(served, b'[%s,{"type":"a","data":"%s"}]' % (HELLO, b"x" * 100_000))
    assert (answer.status, answer.error["code"], answer.error["index"]) == (413, "event_too_large", 1)


@pytest.mark.parametrize(
    ("error", "status", "code", "retry", "more"),
    [
        (LogFull("no space left"), 503, "log_full", "30", {}),
        (LogUnavailable("no answer", maybe_stored=True), 503, "log_unavailable", "1", {"maybe_stored": True}),
        (LogUnavailable("no answer", maybe_stored=False), 503, "log_unavailable", "1", {"maybe_stored": False}),
        (LogClosed(), 503, "log_closed", "1", {}),
    ],
)
async def test_a_log_that_cannot_is_answered_so(
    served: Served, log: MemoryLog, error: Any, status: int, code: str, retry: str, more: dict[str, Any]
) -> None:
    log.fail_next(error)
    answer = await post(served, HELLO)
    assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (status, code, retry)
    assert more.items() <= answer.error.items()
    if more.get("maybe_stored"):
        assert "it may have been stored: send the same ids again" in answer.error["message"]


async def test_a_log_that_gives_up_in_the_middle_tells_what_is_stored(served: Served, log: MemoryLog) -> None:
    # The second of three records meets the full disk.
    original, calls = log.append, []

    async def append(events: Sequence[Encoded], *, deadline: float = 10.0) -> list[Appended]:
        calls.append(len(events))
        if len(calls) == 2:
            raise LogFull("no space left")
        return await original(events, deadline=deadline)

    log.append = append  # type: ignore[method-assign]
    answer = await post(served, (HELLO + b"\n") * 25, "/events?partial=true", Content_Type="application/x-ndjson")
    assert (answer.status, answer.error["code"], len(answer.error["stored"])) == (503, "log_full", 10)
    assert answer.error["message"] == "the log is full: no space left; the first 10 events are stored"


def test_an_unforeseen_error_of_the_log_is_no_success() -> None:
    assert problem_of(LogLocked("/log", "process 7")).status == 503


def test_a_corrupt_log_is_told() -> None:
    problem = problem_of(LogCorrupt("0001.db", "record 7 fails its checksum"))
    assert (problem.status, problem.code, problem.message) == (
        500,
        "log_corrupt",
        "0001.db: record 7 fails its checksum",
    )


async def test_the_log_is_read_page_by_page(served: Served, log: MemoryLog) -> None:
    epoch = await fill(log, 5)
    head = (await log.bounds()).head
    page = (await served.ask("GET", "/events?limit=2")).json
    assert [event["data"] for event in page["events"]] == [0, 1]
    assert page["events"][0].keys() == {"offset", "specversion", "id", "source", "type", "data"}
    assert (page["epoch"], page["head"], page["next"]) == (epoch, head, page["events"][-1]["offset"])
    rest = (await served.ask("GET", f"/events?after={page['next']}&epoch={epoch}")).json
    assert [event["data"] for event in rest["events"]] == [2, 3, 4]
    assert rest["next"] == head
    narrow = (await served.ask("GET", "/events?type=demo.t1,x.*")).json
    assert [event["data"] for event in narrow["events"]] == [1, 3]
    assert (await served.ask("GET", f"/events?after={head}")).json["events"] == []


async def fill_megabytes(served: Served, count: int) -> None:
    line = json.dumps({"type": "demo.large", "data": "x" * 90_000}).encode()
    for _ in range(12 * count):
        assert (await post(served, line)).status == 202


async def test_a_rare_type_is_found_beyond_what_one_read_looks_through(served: Served) -> None:
    await fill_megabytes(served, 3)
    await post(served, b'{"type": "demo.rare"}')
    page = (await served.ask("GET", "/events?type=demo.rare&limit=1")).json
    assert [event["type"] for event in page["events"]] == ["demo.rare"]


async def test_a_search_ends_and_says_where(served: Served, log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hxp_enterprise_llm.event.sources.api.LOOKS", 2)
    await fill_megabytes(served, 5)
    head = (await log.bounds()).head
    page = (await served.ask("GET", "/events?type=demo.rare")).json
    assert page["events"] == []
    assert 0 < page["next"] < page["head"] == head
    while page["next"] < head:
        page = (await served.ask("GET", f"/events?type=demo.rare&after={page['next']}")).json
    assert page["events"] == []


async def test_cursors_that_the_log_cannot_serve(served: Served, log: MemoryLog) -> None:
    epoch = await fill(log, 5)
    await log.trim(Offset((await log.bounds()).head - 3))
    bounds = await log.bounds()
    place = {"epoch": epoch, "first": bounds.first, "head": bounds.head}
    for path in ("/events", "/events/stream"):
        for asked, status, code in (
            ("after=0", 410, "gone"),
            (f"after={bounds.head + 1}", 409, "ahead"),
            (f"after={bounds.head}&epoch=old", 409, "epoch_changed"),
        ):
            answer = await served.ask("GET", f"{path}?{asked}")
            assert (answer.status, answer.error["code"]) == (status, code)
            assert place.items() <= answer.error.items()
    assert (await served.ask("GET", "/events")).status == 200
    assert (await served.ask("GET", "/events?after=x")).error["message"] == "after=x is not taken"


async def test_a_misspelt_parameter_does_not_widen_the_answer(served: Served) -> None:
    answer = await served.ask("GET", "/events?tpye=llm.*")
    assert (answer.status, answer.error["code"]) == (400, "unknown_parameter")
    assert answer.error["message"] == "'tpye' is no parameter of /events (did you mean type?)"
    assert answer.error["hint"].startswith("it takes ")


async def test_bounds(served: Served, log: MemoryLog) -> None:
    epoch = await fill(log, 2)
    answer = (await served.ask("GET", "/events/bounds")).json
    bounds = await log.bounds()
    assert (answer["epoch"], answer["first"], answer["head"], answer["status"]) == (
        epoch,
        bounds.first,
        bounds.head,
        "ok",
    )
    assert answer["limits"]["max_batch_events"] == 10
    assert answer.keys() == {"epoch", "first", "head", "durable", "status", "reason", "bytes", "limits"}


async def test_a_remote_log_speaks_to_these_routes(served: Served, log: MemoryLog) -> None:
    async with aiohttp.ClientSession() as session:
        remote = RemoteLog(f"http://127.0.0.1:{served.port}", session=session, clock=SystemClock())
        await remote.open()
        assert remote.limits == log.limits
        events = [
            encode(Event(id=str(n), source="/r", type="demo.r", time=rfc3339(SystemClock().time()))) for n in range(5)
        ]
        appended = await remote.append(events)
        assert await remote.append(events) == [(offset, True) for offset, _ in appended]
        batch = await remote.read(EARLIEST, 3)
        assert [event.raw for event in batch.events] == [event.raw for event in events[:3]]
        assert (await remote.read(batch.next)).events[0].raw == events[3].raw
        async for found in remote.follow(batch.next):
            if found.events:
                assert found.events[0].offset == appended[3].offset
                break
        with pytest.raises(EpochChanged):
            await remote.read(BEGINNING, epoch="other")
        await log.trim(appended[-1].offset)
        with pytest.raises(Gone):
            await remote.read(BEGINNING)
        await remote.close()
