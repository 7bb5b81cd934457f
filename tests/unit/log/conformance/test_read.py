"""What every backend answers to read, follow, trim."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import pytest

from hxp_enterprise_llm.event.log.model import (
    Ahead,
    Batch,
    EpochChanged,
    EventLog,
    Gone,
    LogClosed,
    LogError,
)
from hxp_enterprise_llm.event.model import BEGINNING, EARLIEST, Offset, TypePatterns
from tests.unit.log.conformance.conftest import Backend
from tests.unit.log.support import event, events, exhaust, ids, no_task_left, read_all


def following(log: EventLog, after: Offset, **options: Any) -> Any:
    """A follow that is closed with its block."""
    return aclosing(cast("Any", log.follow(after, **options)))


async def collect(batches: AsyncIterator[Batch], count: int) -> list[str]:
    """Ids of the next `count` events."""
    found: list[str] = []
    while len(found) < count:
        found += ids(await anext(batches))
    return found


@pytest.mark.parametrize("page", [1, 7, 1000])
async def test_pages_give_everything_once_in_order(backend: Backend, page: int) -> None:
    log = await backend.start()
    batches = [events(0, 1), events(1, 30), events(31, 9), events(40, 20)]
    for batch in batches:
        await log.append(batch)
    raws = [one.raw for batch in batches for one in batch]
    assert [stored.raw for stored in await read_all(log, BEGINNING, page)] == raws
    log = await backend.reopen()
    assert [stored.raw for stored in await read_all(log, EARLIEST, page)] == raws


async def test_a_cursor_inside_a_batch_goes_on_from_there(backend: Backend) -> None:
    log = await backend.start()
    answer = await log.append(events(0, 20))
    for is_reopened in (False, True):
        log = await backend.reopen() if is_reopened else log
        for index in (0, 7, 18):
            assert ids(await log.read(answer[index].offset)) == [str(n) for n in range(index + 1, 20)]
    batch = await log.read(answer[19].offset)
    assert batch == ((), batch.head, batch.head)


async def test_a_filter_that_matches_nothing_moves_the_cursor(backend: Backend) -> None:
    log = await backend.start()
    await log.append(events(0, 10))
    for is_reopened in (False, True):
        log = await backend.reopen() if is_reopened else log
        batch = await log.read(BEGINNING, types=TypePatterns(["other.*"]))
        assert batch.events == ()
        assert batch.next == batch.head == (await log.bounds()).head


async def test_a_filter_gives_every_match_once(backend: Backend) -> None:
    log = await backend.start()
    kinds = ["llm.a", "llm.b", "host.cpu"]
    await log.append([event(n, type=kinds[n % 3]) for n in range(60)])
    types, after, found = TypePatterns(["llm.*"]), BEGINNING, []
    while True:
        batch = await log.read(after, 7, types=types)
        found += ids(batch)
        after = batch.next
        if batch.next == batch.head:
            break
    assert found == [str(n) for n in range(60) if n % 3 != 2]


async def test_a_read_ends_after_about_a_megabyte(backend: Backend) -> None:
    log = await backend.start()
    for start in range(0, 40, 10):
        await log.append(events(start, 10, size=100_000))
    batch = await log.read(BEGINNING, 1000)
    size = sum(len(stored.raw) for stored in batch.events)
    assert 100_000 <= size <= 3_000_000
    assert batch.next < batch.head
    assert len(await read_all(log, BEGINNING, 1000)) == 40


async def test_an_empty_log(backend: Backend) -> None:
    log = await backend.start()
    bounds = await log.bounds()
    assert (bounds.first, bounds.head) == (1, 0)
    for after in (BEGINNING, EARLIEST):
        assert await log.read(after) == ((), 0, 0)


async def test_numbers_that_are_no_cursor(backend: Backend) -> None:
    log = await backend.start()
    with pytest.raises(ValueError, match="limit is 0, at least 1 event is read"):
        await log.read(BEGINNING, 0)
    if backend.trims:
        with pytest.raises(ValueError, match="-2 is no offset"):
            await log.read(Offset(-2))


async def test_ahead_of_the_head(backend: Backend) -> None:
    log = await backend.start()
    await log.append(events(0, 3))
    bounds = await log.bounds()
    with pytest.raises(Ahead) as caught:
        await log.read(Offset(bounds.head + 1))
    assert caught.value.bounds == bounds
    assert str(caught.value) == f"offset {bounds.head + 1} is beyond the head of the log, {bounds.head}"


async def test_trimmed_events_are_gone_and_the_head_stays(backend: Backend) -> None:
    log = await backend.start()
    first_half = await log.append(events(0, 10))
    await backend.empty()
    bounds = await log.bounds()
    head = first_half[-1].offset
    assert (bounds.head, bounds.first) == (head, head + 1)
    with pytest.raises(Gone) as caught:
        await log.read(Offset(bounds.first - 2))
    assert caught.value.bounds == bounds
    with pytest.raises(Gone):
        await log.read(BEGINNING)
    assert (await log.read(Offset(bounds.first - 1))) == ((), head, head)
    assert (await log.read(EARLIEST)) == ((), head, head)
    answer = await log.append(events(10, 5))
    assert answer[0].offset > head
    assert ids(await log.read(Offset(bounds.first - 1))) == ["10", "11", "12", "13", "14"]
    assert ids(await log.read(EARLIEST)) == ["10", "11", "12", "13", "14"]
    assert (await log.append([event(3)]))[0] == (first_half[3].offset, True)


async def test_trim_may_keep_more_but_never_less(backend: Backend) -> None:
    log = await backend.start()
    await log.append(events(0, 10))
    answer = await log.append(events(10, 10))
    if not backend.trims:
        with pytest.raises(LogError, match="trim is done by the process that owns the log"):
            await log.trim(answer[4].offset)
        return
    first = await log.trim(answer[4].offset)
    assert first <= answer[5].offset
    assert ids(await log.read(answer[4].offset)) == ["15", "16", "17", "18", "19"]


async def test_a_recreated_log_has_a_new_epoch(backend: Backend) -> None:
    log = await backend.start()
    await log.append(events(0, 3))
    old = await log.bounds()
    log = await backend.recreate()
    with pytest.raises(EpochChanged) as caught:
        await log.read(BEGINNING, epoch=old.epoch)
    new = await log.bounds()
    assert caught.value.asked == old.epoch
    assert caught.value.bounds == new
    assert new.epoch != old.epoch
    assert len(new.epoch) <= 64
    answer = await log.append(events(0, 3))
    assert not any(appended.duplicate for appended in answer)
    assert ids(await log.read(BEGINNING, epoch=new.epoch)) == ["0", "1", "2"]


@pytest.mark.parametrize("given", [True, False], ids=["epoch given", "no epoch given"])
async def test_follow_ends_when_the_log_is_recreated(backend: Backend, given: bool) -> None:
    log = await backend.start()
    await log.append(events(0, 3))
    old = (await log.bounds()).epoch
    async with following(log, BEGINNING, epoch=old if given else None) as batches:
        assert await collect(batches, 3) == ["0", "1", "2"]
        waiting = asyncio.ensure_future(exhaust(batches))
        await asyncio.sleep(0)
        log = await backend.recreate()
        # An owner that lets go of its files says that it is closed; whoever opens them says that the epoch is another.
        async with asyncio.timeout(30):
            with pytest.raises((EpochChanged, LogClosed)):
                await waiting
    async with asyncio.timeout(30), following(log, BEGINNING, epoch=old) as batches:
        with pytest.raises(EpochChanged):
            await anext(batches)


async def test_follow_gives_what_was_and_what_comes_once_in_order(backend: Backend) -> None:
    log = await backend.start()
    await log.append(events(0, 50))
    async with following(log, BEGINNING) as batches:
        found = await collect(batches, 50)
        for start in range(50, 100, 10):
            await log.append(events(start, 10))
            found += await collect(batches, 10)
    assert found == [str(n) for n in range(100)]


async def test_follow_from_earliest_and_from_the_head(backend: Backend) -> None:
    log = await backend.start()
    await log.append(events(0, 3))
    head = (await log.bounds()).head
    async with following(log, EARLIEST) as everything, following(log, head) as live:
        assert await collect(everything, 3) == ["0", "1", "2"]
        assert (await anext(live)).events == ()
        await log.append([event(3)])
        assert await collect(live, 1) == ["3"]
        assert await collect(everything, 1) == ["3"]


async def test_follow_with_a_filter_moves_on_over_what_it_leaves_out(backend: Backend) -> None:
    log = await backend.start()
    async with following(log, BEGINNING, types=TypePatterns(["llm.*"])) as batches:
        await log.append(events(0, 5, type="host.cpu"))
        last = (await log.append([event(5, type="llm.done"), event(6, type="host.cpu")]))[1].offset
        found, cursor = [], BEGINNING
        while cursor < last:
            batch = await anext(batches)
            found += ids(batch)
            cursor = batch.next
    assert found == ["5"]


async def test_an_idle_follow_gives_signs_of_life(backend: Backend) -> None:
    log = await backend.start(progress_seconds=0.02)
    await log.append(events(0, 3))
    head = (await log.bounds()).head
    async with asyncio.timeout(30), following(log, head) as batches:
        for _ in range(4):
            batch = await anext(batches)
            assert batch == ((), head, head)


async def test_follow_refuses_a_cursor_that_cannot_be_served(backend: Backend) -> None:
    log = await backend.start()
    await log.append(events(0, 5))
    await backend.empty()
    for after, error in ((BEGINNING, Gone), (Offset(10**6), Ahead)):
        async with following(log, after) as batches:
            with pytest.raises(error):
                await anext(batches)


async def test_a_follower_overtaken_by_a_trim_is_told(backend: Backend) -> None:
    log = await backend.start()
    await log.append(events(0, 5))
    async with following(log, BEGINNING) as batches:
        await anext(batches)
        await log.append(events(5, 5))
        if backend.trims:
            await backend.empty()
            with pytest.raises(Gone):
                await exhaust(batches)


async def test_close_ends_followers(backend: Backend) -> None:
    log = await backend.start()
    with no_task_left():
        async with following(log, BEGINNING) as batches:
            await anext(batches)
            waiting = asyncio.ensure_future(exhaust(batches))
            await asyncio.sleep(0)
            async with asyncio.timeout(30):
                await log.close()
                with pytest.raises(LogClosed):
                    await waiting
    for call in (log.read(BEGINNING), log.bounds()):
        with pytest.raises(LogClosed):
            await call
    with pytest.raises(LogClosed):
        await anext(log.follow(BEGINNING))
    assert (await log.health()).status == "down"


async def test_health_of_an_open_log(backend: Backend) -> None:
    log = await backend.start()
    await log.append(events(0, 3))
    health, bounds = await log.health(), await log.bounds()
    assert (health.status, health.epoch, health.first, health.head) == ("ok", *bounds)
    assert health.bytes > 0
