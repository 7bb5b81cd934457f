from __future__ import annotations

from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.processing import IngestConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import BatchTooLarge, EventTooLarge, Limits, LogFull, LogUnavailable
from hxp_enterprise_llm.event.model import BEGINNING, rfc3339
from hxp_enterprise_llm.event.sources.faults import Interrupted, Rejected
from hxp_enterprise_llm.event.sources.ingest import SLICE_EVENTS, Ingest
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics

CATALOGUE = SchemaCatalogue.load()
NOW = 1_795_196_071.0


class FixedClock:
    def __init__(self) -> None:
        self.ids = 0

    def time(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    def new_id(self) -> str:
        self.ids += 1
        return f"id-{self.ids}"


class Room:
    def __init__(self, limits: Limits, config: IngestConfig) -> None:
        self.log = MemoryLog(limits=limits)
        self.registry = CollectorRegistry()
        self.ingest = Ingest(self.log, CATALOGUE, config, FixedClock(), ProcessingMetrics(self.registry))

    async def stored(self) -> list[str]:
        return [event.type for event in (await self.log.read(BEGINNING, 100_000)).events]

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


async def room(limits: Limits | None = None, config: IngestConfig | None = None) -> Room:
    found = Room(limits or Limits(max_batch_events=3), config or IngestConfig())
    await found.log.open()
    return found


def events(*types: str) -> list[bytes]:
    return [b'{"type":"%s"}' % type.encode() for type in types]


async def rejected(found: Room, items: Sequence[bytes], *, partial: bool = False) -> Rejected:
    with pytest.raises(Rejected) as caught:
        await found.ingest.accept(items, source="/t", partial=partial)
    return caught.value


async def test_events_are_stored_in_order_and_answered() -> None:
    found = await room()
    answers = await found.ingest.accept(events("a", "b"), source="/t")
    assert [(answer.offset, answer.duplicate) for answer in answers] == [(1, False), (2, False)]
    assert await found.stored() == ["a", "b"]
    assert found.count("citadel_events_received_total", source="http") == 2


async def test_a_repeat_is_answered_with_its_first_offset() -> None:
    found = await room()
    item = b'{"type":"a","id":"1","source":"/s"}'
    first, second = await found.ingest.accept([item, item], source="/t")
    assert (first, second) == ((1, False), (1, True))


async def test_no_events_are_no_append() -> None:
    found = await room()
    found.log.fail_next(LogFull("never asked"))
    assert await found.ingest.accept([], source="/t", partial=True) == []
    assert await found.ingest.accept([], source="/t") == []


async def test_one_fault_rejects_the_whole_batch() -> None:
    found = await room()
    error = await rejected(found, [*events("a"), b'{"type":"b c"}', b"{"])
    assert str(error) == "2 of 3 events are not valid; nothing was stored"
    assert error.faults == (
        (1, "type", "'b c' has other characters than A-Z a-z 0-9 . _ -"),
        (2, "", "the JSON is cut off at byte 1"),
    )
    assert await found.stored() == []
    assert found.count("citadel_events_rejected_total", code="invalid") == 2


async def test_the_first_twenty_faults_are_told_and_all_are_counted() -> None:
    found = await room(Limits())
    error = await rejected(found, [b'{"id":1,"time":2}'] * 30)
    assert len(error.faults) == 20
    assert str(error).startswith("30 of 30 events are not valid")


async def test_data_must_agree_with_the_schema_of_its_type() -> None:
    found = await room()
    error = await rejected(found, [b'{"type":"host.cpu","data":{"percent":"high"}}', b'{"type":"host.cpu"}'])
    assert error.faults == ((0, "data.percent", '"high" is not a number'), (1, "data", "is missing"))


async def test_unknown_types_are_refused_when_configured_so() -> None:
    found = await room(config=IngestConfig(unknown_types="refuse"))
    error = await rejected(found, [b'{"type":"llm.request.complete","data":{}}', *events("zzz")])
    assert error.faults == (
        (
            0,
            "type",
            "'llm.request.complete' has no schema (did you mean 'llm.request.completed'?); "
            "put one at config/schemas/llm.request.complete.json or set ingest.unknown_types to accept",
        ),
        (
            1,
            "type",
            "'zzz' has no schema; put one at config/schemas/zzz.json or set ingest.unknown_types to accept",
        ),
    )
    found.ingest.configure(IngestConfig(), CATALOGUE)
    assert len(await found.ingest.accept(events("zzz"), source="/t")) == 1


async def test_times_are_held_against_the_configuration() -> None:
    found = await room(config=IngestConfig(max_future="1s", max_age="1m"))
    late, early = (b'{"type":"a","time":"%s"}' % rfc3339(NOW + by).encode() for by in (-120, 1.5))
    assert [fault.path for fault in (await rejected(found, [late, early])).faults] == ["time", "time"]
    found.ingest.configure(IngestConfig(max_age="3m"), CATALOGUE)
    assert len(await found.ingest.accept([late, early], source="/t")) == 2


async def test_a_batch_beyond_the_limit_is_refused_with_its_size() -> None:
    found = await room()
    with pytest.raises(BatchTooLarge) as caught:
        await found.ingest.accept(events(*"abcde"), source="/t")
    assert (caught.value.limit, caught.value.found, caught.value.unit) == (3, 5, "events")
    assert await found.stored() == []


async def test_a_partial_batch_is_stored_in_order_in_several_records() -> None:
    found = await room()
    answers = await found.ingest.accept(events(*"abcdefg"), source="/t", partial=True)
    assert [answer.offset for answer in answers] == [1, 2, 3, 4, 5, 6, 7]
    assert await found.stored() == list("abcdefg")


async def test_a_partial_batch_keeps_to_the_bytes_of_the_log() -> None:
    found = await room(Limits(max_batch_events=10, max_batch_bytes=300, max_event_bytes=200))
    assert len(await found.ingest.accept(events(*"abcdefg"), source="/t", partial=True)) == 7
    with pytest.raises(BatchTooLarge) as caught:
        await found.ingest.accept(events(*"abcdefg"), source="/t")
    assert caught.value.unit == "bytes"


async def test_a_fault_in_the_middle_of_a_partial_batch_tells_what_is_stored() -> None:
    found = await room()
    error = await rejected(found, [*events(*"abcd"), b"7", *events("e")], partial=True)
    assert str(error) == "1 of 6 events is not valid; the first 3 are stored"
    assert [fault.at for fault in error.faults] == [4]
    assert [answer.offset for answer in error.stored] == [1, 2, 3]
    assert await found.stored() == ["a", "b", "c"]


async def test_a_log_that_gives_up_in_the_middle_tells_what_is_stored() -> None:
    found = await room()
    first = found.log.append
    calls = 0

    async def append(events: object, *, deadline: float = 10.0) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise LogUnavailable("no quorum", maybe_stored=True)
        return await first(events, deadline=deadline)  # type: ignore[arg-type]

    found.log.append = append  # type: ignore[method-assign, assignment]
    with pytest.raises(Interrupted) as caught:
        await found.ingest.accept(events(*"abcde"), source="/t", partial=True)
    assert [answer.offset for answer in caught.value.stored] == [1, 2, 3]
    assert str(caught.value) == (
        "the log is not available: no quorum; it may have been stored: send the same ids again; "
        "the first 3 events are stored"
    )


async def test_what_the_log_refuses_is_raised_as_it_is() -> None:
    found = await room()
    found.log.fail_next(LogFull("no space"))
    with pytest.raises(LogFull):
        await found.ingest.accept(events("a"), source="/t")
    assert found.count("citadel_events_rejected_total", code="LogFull") == 1


async def test_an_event_that_is_too_large_is_named() -> None:
    found = await room(Limits(max_event_bytes=200))
    with pytest.raises(EventTooLarge) as caught:
        await found.ingest.accept([*events("a"), b'{"type":"a","data":"%s"}' % (b"x" * 200)], source="/t")
    assert (caught.value.index, caught.value.limit) == (1, 200)


async def test_a_large_batch_lets_others_run() -> None:
    import asyncio

    found = await room(Limits())
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await found.ingest.accept(events(*["a"] * (SLICE_EVENTS * 4)), source="/t")
    counting.cancel()
    assert turns >= 4
