"""The mirror of a log: memory for what is new, the log itself for what is old, and one stream for all followers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.log.mirror import Mirror
from hxp_enterprise_llm.event.log.model import Batch, EpochChanged, LogError, LogUnavailable
from hxp_enterprise_llm.event.model import EARLIEST, Offset, TypePatterns
from tests.unit.log.support import event, events, eventually, ids, read_all


class Watched(MemoryLog):
    """Counts who asks, and is away for a while when it is told to be."""

    reads = follows = 0
    away = False

    async def read(self, *arguments, **options) -> Batch:
        self.reads += 1
        return await super().read(*arguments, **options)

    def follow(self, *arguments, **options) -> AsyncIterator[Batch]:
        self.follows += 1
        if self.away:
            raise LogUnavailable("no answer", maybe_stored=False)
        return super().follow(*arguments, **options)


@asynccontextmanager
async def mirrored(
    far: MemoryLog, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep, **options
) -> AsyncIterator[Mirror]:
    mirror = Mirror(far, sleep=sleep, **options)
    await mirror.open()
    running = asyncio.create_task(mirror.run())
    try:
        yield mirror
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await mirror.close()


@pytest.fixture
async def far() -> Watched:
    log = Watched(offset_step=3)
    await log.open()
    await log.append(events(0, 5))
    return log


async def test_what_is_new_is_read_from_memory_and_what_is_old_from_the_log(far):
    """From the head at the opening on nobody is asked."""
    async with mirrored(far) as mirror:
        begun = mirror.head
        await far.append(events(5, 5))
        assert await mirror.reached((await far.bounds()).head, 5)
        before = far.reads
        assert ids(await mirror.read(begun)) == ["5", "6", "7", "8", "9"]
        assert mirror.read_nowait(begun) == await mirror.read(begun)
        assert far.reads == before
        assert mirror.read_nowait(EARLIEST) is None
        assert await read_all(mirror, EARLIEST, 2) == await read_all(far, EARLIEST, 2)


async def test_any_number_of_followers_cost_the_log_one(far):
    """Each gets everything, from wherever it begins."""
    async with mirrored(far) as mirror:
        seen: list[list[str]] = [[], [], []]

        async def follow(number: int) -> None:
            async for batch in mirror.follow(Offset(0)):
                seen[number] += ids(batch)

        followers = [asyncio.create_task(follow(number)) for number in range(3)]
        for number in range(5, 25):
            await far.append([event(number)])
            await asyncio.sleep(0)
        await eventually(lambda: all(len(each) == 25 for each in seen))
        assert seen == [[str(number) for number in range(25)]] * 3
        assert far.follows == 1
        for task in followers:
            task.cancel()


async def test_types_are_chosen_in_memory_too(far):
    async with mirrored(far) as mirror:
        begun = mirror.head
        await far.append([event(5), event(6, type="a.b")])
        await mirror.reached((await far.bounds()).head, 5)
        assert ids(await mirror.read(begun, types=TypePatterns(["a.*"]))) == ["6"]


async def test_memory_is_bounded(far):
    """What it let go of is read from the log."""
    async with mirrored(far, recent_bytes=20_000) as mirror:
        begun = mirror.head
        for number in range(5, 105):
            await far.append([event(number, size=1000)])
            await mirror.reached((await far.bounds()).head, 5)
        assert mirror.read_nowait(begun) is None
        assert len(await read_all(mirror, begun, 1000)) == 100
        newest = Offset(mirror.head - 3)
        assert ids(await mirror.read(newest)) == ["104"]
        assert mirror.read_nowait(newest) is not None


async def test_a_cursor_beyond_what_is_mirrored_is_not_refused(far):
    """The log has got further; whoever read that from it goes on from there."""
    mirror = Mirror(far)
    await mirror.open()
    await far.append(events(5, 5))
    head = (await far.bounds()).head
    assert ids(await mirror.read(Offset(head - 3))) == ["9"]
    assert not (await mirror.read(head)).events
    assert not await mirror.reached(head, 0.01)


async def test_whoever_reads_where_the_mirror_ends_is_given_what_the_log_has_got_since(far):
    """A loop up to the head of the log comes to its end, however far behind the mirror is."""
    mirror = Mirror(far)
    await mirror.open()
    begun = mirror.head
    await far.append(events(5, 5))
    assert ids(await mirror.read(begun)) == ["5", "6", "7", "8", "9"]
    assert mirror.read_nowait(begun) == Batch((), begun, begun)


async def test_a_log_that_is_not_there_at_the_start_is_mirrored_when_it_comes():
    """Until then whoever asks hears that it is away, and whoever follows waits."""
    far = Watched()
    mirror = Mirror(far, sleep=lambda _: asyncio.sleep(0))
    running = asyncio.create_task(mirror.run())
    with pytest.raises(LogError):
        await mirror.read(Offset(0))
    await far.open()
    await far.append(events(0, 3))
    assert await mirror.reached((await far.bounds()).head, 5)
    assert mirror.head == 3
    assert ids(await mirror.read(Offset(0))) == ["0", "1", "2"]
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_log_that_was_made_anew_is_mirrored_anew(far):
    """Followers of the old one are told so, as by the log itself."""
    async with mirrored(far) as mirror:
        old = (await mirror.bounds()).epoch
        await far.append(events(5, 2))
        await mirror.reached((await far.bounds()).head, 5)
        far.recreate()
        await far.append(events(0, 3))
        await eventually(lambda: mirror.head <= 9)
        with pytest.raises(EpochChanged):
            await mirror.read(mirror.head, epoch=old)
        assert len(await read_all(mirror, EARLIEST, 10)) == 3


async def test_a_log_that_is_away_is_asked_again(far):
    """Nothing that was stored meanwhile is missing."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        far.away = len(pauses) < 4
        await asyncio.sleep(0)

    far.away = True
    async with mirrored(far, sleep) as mirror:
        begun = mirror.head
        await far.append(events(5, 2))
        assert await mirror.reached((await far.bounds()).head, 5)
        assert ids(await mirror.read(begun)) == ["5", "6"]
    assert pauses == [0.1, 0.2, 0.4, 0.8]
