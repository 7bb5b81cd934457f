"""What every backend keeps when it has no room, gives no answer, or was gone for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from hxp_enterprise_llm.event.log.following import PROGRESS_SECONDS
from hxp_enterprise_llm.event.log.model import Appended, EventLog, LogClosed, LogFull, LogUnavailable
from hxp_enterprise_llm.event.model import BEGINNING
from tests.unit.log.conformance.conftest import Backend
from tests.unit.log.support import events, eventually, ids, no_task_left


async def test_without_room_nothing_of_a_batch_is_stored(backend: Backend) -> None:
    log = await backend.start()
    await log.append(events(0, 3))
    backend.fill()
    with pytest.raises(LogFull):
        await log.append(events(2, 4))
    assert ids(await log.read(BEGINNING)) == ["0", "1", "2"]
    backend.free()
    answer = await log.append(events(2, 4))
    assert [appended.duplicate for appended in answer] == [True, False, False, False]
    assert ids(await log.read(BEGINNING)) == [str(number) for number in range(6)]


async def test_without_an_answer_an_append_ends_by_its_deadline(backend: Backend) -> None:
    """Reads go on meanwhile; the same batch sent again is stored once, whatever had become of it."""
    log = await backend.start()
    await log.append(events(0, 3))
    backend.hang()
    with no_task_left():
        async with asyncio.timeout(30):
            with pytest.raises(LogUnavailable) as caught:
                await log.append(events(3, 3), deadline=1.0)
    assert caught.value.maybe_stored
    assert ids(await log.read(BEGINNING, 3)) == ["0", "1", "2"]
    backend.release()
    answer = await stored(lambda: log.append(events(3, 3)))
    assert answer[0].offset < answer[1].offset < answer[2].offset
    assert ids(await log.read(BEGINNING)) == [str(number) for number in range(6)]


async def test_a_log_that_was_gone_is_there_again_for_its_handles(backend: Backend) -> None:
    """A connection that was closed for good is made anew; nobody has to open the log again."""
    log = await backend.start()
    first = await log.append(events(0, 3))
    await backend.cut()
    again = await stored(lambda: log.append(events(0, 4)))
    assert [appended.duplicate for appended in again] == [True, True, True, False]
    assert again[0].offset == first[0].offset
    assert ids(await log.read(BEGINNING)) == ["0", "1", "2", "3"]


async def test_what_was_appended_while_a_follower_was_cut_off_comes_soon(backend: Backend) -> None:
    """Nobody rings for it: a follower that comes back looks by itself. It sees each event once."""
    log = await backend.start()
    await log.append(events(0, 3))
    found: list[str] = []
    following = asyncio.create_task(follow_again(log, found))
    await eventually(lambda: len(found) == 3)
    await backend.cut()
    await stored(lambda: log.append(events(3, 3)))
    await eventually(lambda: len(found) >= 6, within=PROGRESS_SECONDS / 2)
    following.cancel()
    assert found == [str(number) for number in range(6)]


async def follow_again(log: EventLog, found: list[str]) -> None:
    """Follow the log, and again from where it was when the log was gone."""
    position = BEGINNING
    while True:
        with suppress(LogClosed, LogUnavailable):
            async for batch in log.follow(position):
                found += ids(batch)
                position = batch.next
        await asyncio.sleep(0.02)


async def stored(append: Callable[[], Awaitable[list[Appended]]]) -> list[Appended]:
    """Send the same batch until it is answered, as a publisher does."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await append()
            except LogUnavailable:
                await asyncio.sleep(0.02)
