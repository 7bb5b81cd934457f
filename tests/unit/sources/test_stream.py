"""GET /events/stream on a real server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.processing import IngestConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import Batch, LogUnavailable
from hxp_enterprise_llm.event.log.remote import RemoteLog
from hxp_enterprise_llm.event.log.remote.lines import StreamDecoder
from hxp_enterprise_llm.event.model import BEGINNING, Event, Offset, TypePatterns, encode
from hxp_enterprise_llm.event.sources import stream
from hxp_enterprise_llm.event.sources.api import routes
from hxp_enterprise_llm.event.sources.ingest import Ingest
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.security.body import BodyBudget
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics
from tests.unit.security.serving import Served, serving


@pytest.fixture
async def log() -> AsyncIterator[MemoryLog]:
    found = MemoryLog(offset_step=3, progress_seconds=0.05)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
async def served(log: MemoryLog) -> AsyncIterator[Served]:
    ingest = Ingest(log, SchemaCatalogue.load(), IngestConfig(), SystemClock(), ProcessingMetrics(CollectorRegistry()))
    async with serving(routes(ingest, log, BodyBudget())) as found:
        yield found


async def fill(log: MemoryLog, count: int, size: int = 1) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    for number in range(count):
        event = encode(Event(id=str(number), source="/t", type=f"demo.t{number % 2}", data="x" * size))
        (answer,) = await log.append([event])
        found.append((answer.offset, event.raw))
    return found


def lines(events: list[tuple[int, bytes]]) -> list[bytes]:
    return [b"%d %s" % event for event in events]


async def read(served: Served, query: str) -> list[bytes]:
    answer = await served.ask("GET", f"/events/stream?{query}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.body.endswith(b"\n")
    return answer.body.splitlines()


async def progress(log: MemoryLog, cursor: int) -> bytes:
    epoch, first, head = await log.bounds()
    return f"# {epoch} {first} {head} {cursor}".encode()


@asynccontextmanager
async def following(served: Served, query: str) -> AsyncIterator[aiohttp.StreamReader]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{served.port}/events/stream?{query}") as response,
    ):
        yield response.content


async def test_without_waiting_it_ends_at_the_head(served: Served, log: MemoryLog) -> None:
    events = await fill(log, 5)
    head = events[-1][0]
    assert await read(served, "after=0&wait=0") == [await progress(log, 0), *lines(events), await progress(log, head)]
    assert await read(served, f"after={head}&wait=0") == [await progress(log, head)] * 2
    assert await read(served, "wait=0") == [await progress(log, head)] * 2


async def test_earliest_is_what_is_still_there(served: Served, log: MemoryLog) -> None:
    events = await fill(log, 5)
    await log.trim(Offset(events[1][0]))
    first = (await log.bounds()).first
    found = await read(served, "after=-1&wait=0")
    assert found[0] == await progress(log, first - 1)
    assert found[1:-1] == lines(events[2:])


async def test_a_limit_ends_it_with_the_cursor(served: Served, log: MemoryLog) -> None:
    events = await fill(log, 5)
    for wait in ("0", "1"):
        found = await read(served, f"after=0&limit=3&wait={wait}")
        assert found[1:] == [*lines(events[:3]), await progress(log, events[2][0])]


async def test_a_log_longer_than_one_read(served: Served, log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "READ_EVENTS", 2)
    events = await fill(log, 7)
    assert (await read(served, "after=0&wait=0"))[1:-1] == lines(events)
    assert (await read(served, "after=0&wait=0&limit=5"))[1:-1] == lines(events[:5])


async def test_types_are_chosen_and_the_cursor_still_moves(served: Served, log: MemoryLog) -> None:
    events = await fill(log, 4)
    found = await read(served, "after=0&wait=0&type=demo.t1")
    assert found[1:-1] == lines(events[1::2])
    for limit in ("", "&limit=9"):
        found = await read(served, f"after=0&wait=0&type=none{limit}")
        assert found[-1] == await progress(log, events[-1][0])


async def test_it_follows_from_the_head(served: Served, log: MemoryLog) -> None:
    await fill(log, 2)
    async with following(served, "") as content:
        head = (await log.bounds()).head
        assert await content.readline() == await progress(log, head) + b"\n"
        event = encode(Event(id="new", source="/t", type="demo.new"))
        (answer,) = await log.append([event])
        while (line := await content.readline()).startswith(b"#"):
            pass
        assert line == b"%d %s\n" % (answer.offset, event.raw)


async def test_it_follows_up_to_a_limit(served: Served, log: MemoryLog) -> None:
    async with following(served, "limit=1") as content:
        await content.readline()
        await log.append([encode(Event(id=str(n), source="/t", type="demo.new")) for n in range(3)])
        rest = (await content.read()).splitlines()
        (line,) = [line for line in rest if not line.startswith(b"#")]
        assert rest[-1] == await progress(log, int(line.split()[0]))


async def test_a_reader_hears_with_its_event_what_was_left_out_and_is_not_woken_for_the_rest(
    served: Served, log: MemoryLog
) -> None:
    async with following(served, "type=demo.wanted") as content:
        await content.readline()
        for number in range(20):
            await log.append([encode(Event(id=f"no{number}", source="/t", type="demo.other"))])
        wanted = encode(Event(id="yes", source="/t", type="demo.wanted"))
        answer, last = await log.append([wanted, encode(Event(id="no", source="/t", type="demo.other"))])
        heard = []
        while not heard or heard[-1] != await progress(log, last.offset) + b"\n":
            heard.append(await content.readline())
        assert [line for line in heard if not line.startswith(b"#")] == [b"%d %s\n" % (answer.offset, wanted.raw)]
        assert len(heard) <= 4  # the event, the progress behind it, and at most the signs of life before


async def test_a_remote_log_that_follows_a_type_is_sent_no_other(served: Served, log: MemoryLog) -> None:
    """Seen at the lines: what the reader would drop anyway must not have come."""
    fed: list[bytes] = []
    async with aiohttp.ClientSession() as session:
        remote = RemoteLog(f"http://127.0.0.1:{served.port}", session=session, clock=SystemClock())
        await remote.open()
        take = StreamDecoder.feed
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                StreamDecoder, "feed", lambda self, data, types=None: fed.append(data) or take(self, data, types)
            )
            follower = remote.follow(BEGINNING, types=TypePatterns(["demo.wanted"]))
            await anext(follower)
            for type in ("demo.other", "demo.wanted"):
                await log.append([encode(Event(id=type, source="/t", type=type))])
            while not (batch := await anext(follower)).events:
                pass
            await follower.aclose()
        await remote.close()
    assert [event.type for event in batch.events] == ["demo.wanted"]
    assert b"demo.other" not in b"".join(fed)


async def test_a_reader_hears_in_a_while_of_what_was_left_out(
    served: Served, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SKIPPED_SECONDS", 0.0)
    async with following(served, "type=demo.wanted") as content:
        await content.readline()
        (answer,) = await log.append([encode(Event(id="no", source="/t", type="demo.other"))])
        while await content.readline() != await progress(log, answer.offset) + b"\n":
            pass


async def test_signs_of_life_come_while_nothing_happens(served: Served, log: MemoryLog) -> None:
    async with following(served, "") as content:
        assert [await content.readline() for _ in range(3)] == [await progress(log, 0) + b"\n"] * 3


async def test_signs_of_life_come_while_much_happens(
    served: Served, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PROGRESS_SECONDS", 0.0)
    (event,) = await fill(log, 1)
    async with following(served, "after=0") as content:
        await content.readline()
        assert await content.readline() == b"%d %s\n" % event
        assert await content.readline() == await progress(log, event[0]) + b"\n"


async def test_a_new_epoch_ends_it_with_the_reason(served: Served, log: MemoryLog) -> None:
    await fill(log, 2)
    async with following(served, "") as content:
        await content.readline()
        log.recreate()
        rest = (await content.read()).splitlines()
        code, details = rest[-1].removeprefix(b"! ").split(b" ", 1)
        epoch, first, head = await log.bounds()
        assert (code, json.loads(details)) == (b"epoch_changed", {"epoch": epoch, "first": first, "head": head})


async def test_a_log_that_fails_ends_it_with_the_reason(
    served: Served, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def follow(*args: object, **options: object) -> AsyncIterator[Batch]:
        yield Batch((), Offset(0), Offset(0))
        raise LogUnavailable("the disk is gone", maybe_stored=False)

    monkeypatch.setattr(log, "follow", follow)
    found = await read(served, "after=0")
    assert found[-1] == b'! log_unavailable {"message":"the log is not available: the disk is gone"}'


async def test_head_answers_the_headers_alone(served: Served) -> None:
    answer = await served.ask("HEAD", "/events/stream")
    assert (answer.status, answer.body) == (200, b"")


async def test_a_reader_that_stops_costs_no_reads(
    served: Served, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(log, 3000, size=10_000)
    reads = 0
    original = log.read

    async def counting(*args: object, **options: object) -> object:
        nonlocal reads
        reads += 1
        return await original(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(log, "read", counting)
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET /events/stream?after=0&wait=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    settled = -1
    while settled != reads or reads == 0:
        settled = reads
        await asyncio.sleep(0.1)
    # 30 MB are there; what was read fits into the buffers of the two kernels.
    assert reads < 20
    writer.close()


async def test_a_reader_that_is_given_a_rest_is_not_woken_for_each_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone event comes all the same; what is stored within the rest comes together after it."""
    log, reads = MemoryLog(), 0
    await log.open()
    read_log = log.read

    async def counted(*arguments: Any, **options: Any) -> Batch:
        nonlocal reads
        reads += 1
        return await read_log(*arguments, **options)

    monkeypatch.setattr(log, "read", counted)
    route = Route("GET", "/events/stream", stream.EventStream(log, 0.2).get, "read", "Follow the log")
    async with serving([route]) as served, following(served, "after=0") as reader:
        for _ in range(2):
            assert (await reader.readline()).startswith(b"#")
        await log.append([encode(Event(id="lone", source="/t", type="a.b"))])
        assert b'"lone"' in await reader.readline()
        before, begun = reads, time.monotonic()
        for number in range(40):
            await log.append([encode(Event(id=str(number), source="/t", type="a.b"))])
            await asyncio.sleep(0.001)
        for number in range(40):
            assert b'"id":"%d"' % number in await reader.readline()
        # A rest of 0.2 s before each, however long a busy machine took for it all; without, each commit wakes it.
        assert reads - before < 10 + (time.monotonic() - begun) / 0.2
    await log.close()
