"""What every backend does with an append."""

from __future__ import annotations

import asyncio

import pytest

from hxp_enterprise_llm.event.log.model import BatchTooLarge, EventTooLarge, Limits, LogClosed
from hxp_enterprise_llm.event.model import BEGINNING, EARLIEST, Encoded
from tests.unit.log.conformance.conftest import SMALL, Backend
from tests.unit.log.support import event, events, ids, no_task_left, read_all


async def test_offsets_grow_over_batches_and_appenders(backend: Backend) -> None:
    """Later calls get higher offsets, whoever makes them; inside a batch the order is kept."""
    first = await backend.start()
    second = await backend.second()
    offsets = []
    for start, log in ((0, first), (10, second), (20, first)):
        answer = await log.append(events(start, 10))
        assert not any(appended.duplicate for appended in answer)
        offsets += [appended.offset for appended in answer]
    assert offsets == sorted(set(offsets))
    assert offsets[0] >= 1
    stored = await read_all(first, BEGINNING, 1000)
    assert [one.offset for one in stored] == offsets


async def test_concurrent_appends_are_each_kept_whole(backend: Backend) -> None:
    log = await backend.start()
    answers = await asyncio.gather(*(log.append(events(100 * n, 20)) for n in range(20)))
    by_offset = {stored.offset: stored.raw for stored in await read_all(log, BEGINNING, 1000)}
    assert len(by_offset) == 400
    for n, answer in enumerate(answers):
        assert [by_offset[appended.offset] for appended in answer] == [e.raw for e in events(100 * n, 20)]
        offsets = [appended.offset for appended in answer]
        assert offsets == sorted(offsets)


async def test_no_events_store_nothing(backend: Backend) -> None:
    log = await backend.start()
    assert await log.append([]) == []
    assert (await log.bounds()).head == 0


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        (events(0, 6), BatchTooLarge(5, 6, "events")),
        ([event(0), event(1, size=1500)], EventTooLarge(1500, len(event(1, size=1500).raw), 1)),
        (events(0, 4, size=1000), BatchTooLarge(4000, sum(len(e.raw) for e in events(0, 4, size=1000)), "bytes")),
    ],
    ids=["events", "event bytes", "batch bytes"],
)
async def test_above_a_limit_nothing_is_stored(backend: Backend, batch: list[Encoded], error: Exception) -> None:
    log = await backend.start(limits=SMALL)
    assert log.limits == SMALL
    with pytest.raises(type(error)) as caught:
        await log.append(batch)
    assert caught.value.args == error.args
    assert (await log.bounds()).head == 0


async def test_at_each_limit_all_is_stored(backend: Backend) -> None:
    padding = 1500 - len(event(0).raw)
    assert len(event(0, size=padding).raw) == 1500
    limits = Limits(max_batch_events=5, max_batch_bytes=5 * 1500, max_event_bytes=1500)
    log = await backend.start(limits=limits)
    assert len(await log.append(events(0, 5, size=padding))) == 5
    assert len(await read_all(log, BEGINNING, 10)) == 5


@pytest.mark.parametrize("raw", [b"", b"{}", b"[1]", b'"x"', b'{"id":\n1}', b'{"id":1}\n'])
async def test_text_that_is_no_line_of_json_is_refused(backend: Backend, raw: bytes) -> None:
    log = await backend.start()
    with pytest.raises(ValueError, match="event 1: raw is not one JSON object with a member, on one line"):
        await log.append([event(0), Encoded("/test", "1", "test.tick", raw)])
    assert (await log.bounds()).head == 0


async def test_a_repeat_is_answered_with_its_first_offset(backend: Backend) -> None:
    log = await backend.start()
    other = await backend.second()
    first = await log.append(events(0, 3))
    again = await other.append([event(2), event(3), event(0)])
    assert [appended.duplicate for appended in again] == [True, False, True]
    assert [again[0].offset, again[2].offset] == [first[2].offset, first[0].offset]
    assert again[1].offset > first[2].offset
    assert ids(await log.read(BEGINNING)) == ["0", "1", "2", "3"]


async def test_a_repeat_inside_the_batch(backend: Backend) -> None:
    log = await backend.start()
    answer = await log.append([event(1), event(2), event(1)])
    assert [appended.duplicate for appended in answer] == [False, False, True]
    assert answer[2].offset == answer[0].offset
    assert ids(await log.read(BEGINNING)) == ["1", "2"]


async def test_the_same_id_of_another_source_is_no_repeat(backend: Backend) -> None:
    log = await backend.start()
    answer = await log.append([event(1, source="/a"), event(1, source="/b")])
    assert [appended.duplicate for appended in answer] == [False, False]


async def test_only_repeats_store_nothing(backend: Backend) -> None:
    log = await backend.start()
    first = await log.append(events(0, 3))
    head = (await log.bounds()).head
    again = await log.append(events(0, 3))
    assert [(appended.offset, appended.duplicate) for appended in again] == [(one.offset, True) for one in first]
    assert (await log.bounds()).head == head


async def test_a_repeat_after_the_log_was_opened_again(backend: Backend) -> None:
    log = await backend.start()
    first = await log.append(events(0, 5))
    log = await backend.reopen()
    again = await log.append([event(4), event(5)])
    assert again[0] == (first[4].offset, True)
    assert again[1].offset > first[4].offset
    assert not again[1].duplicate


async def test_after_the_window_an_event_is_stored_again(backend: Backend) -> None:
    log = await backend.start(window_seconds=600)
    first = await log.append(events(0, 3))
    backend.clock.shift = 599
    assert (await log.append([event(0)]))[0].duplicate
    backend.clock.shift = 602
    again = await log.append(events(0, 3))
    assert not any(appended.duplicate for appended in again)
    assert again[0].offset > first[-1].offset
    assert (await log.append([event(0)]))[0] == (again[0].offset, True)


async def test_the_last_n_events_are_recognised(backend: Backend) -> None:
    log = await backend.start(window_events=10)
    for start in range(0, 30, 5):
        await log.append(events(start, 5))
    assert all(appended.duplicate for appended in await log.append(events(20, 10)))
    assert not any(appended.duplicate for appended in await log.append(events(0, 5)))


async def test_hostile_ids_and_types_come_back_as_they_were(backend: Backend) -> None:
    """Spaces, line ends, length and foreign letters are data, never syntax."""
    log = await backend.start()
    texts = [" ", "a b", "x\r\ny", "\x00", "*", ">", "# 1 2 3", "! gone", "ü日本語🎉", "{hxlog}", "n" * 5000, "\u2028"]
    batch = [event(text, source=f"/{text}", type=text) for text in texts]
    answer = await log.append(batch)
    assert not any(appended.duplicate for appended in answer)
    stored = (await log.read(BEGINNING)).events
    assert [(one.type, one.raw) for one in stored] == [(one.type, one.raw) for one in batch]
    assert all(appended.duplicate for appended in await log.append(batch))
    log = await backend.reopen()
    assert all(appended.duplicate for appended in await log.append(batch))
    assert (await log.read(BEGINNING)).events == stored


async def test_close_during_appends_is_bounded_and_leaves_no_task(backend: Backend) -> None:
    log = await backend.start()
    with no_task_left():
        appends = [asyncio.ensure_future(log.append(events(100 * n, 50))) for n in range(30)]
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await log.close(within=2.0)
            results = await asyncio.gather(*appends, return_exceptions=True)
    assert all(isinstance(result, list | LogClosed) for result in results), results
    await log.close()
    with pytest.raises(LogClosed):
        await log.append([event(1)])
    stored = set(ids(await (await backend.reopen()).read(EARLIEST, 10_000)))
    for n, result in enumerate(results):
        if isinstance(result, list):
            assert {str(id) for id in range(100 * n, 100 * n + 50)} <= stored
