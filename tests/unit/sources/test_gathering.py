"""Events that arrive at about the same time: one append, and each gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from hxp_enterprise_llm.event.log.model import Appended, Limits, LogError, LogFull
from hxp_enterprise_llm.event.sources.gathering import Gathering
from hxp_enterprise_llm.event.sources.ingest import SLICE_EVENTS
from tests.unit.sources.test_ingest import Room, room


def events(*types: str) -> list[bytes]:
    return [b'{"type":"%s","data":{}}' % type.encode() for type in types]


A = events("a")[0]


class Answers:
    """What was told of each event, by its number; fails when one is told twice."""

    def __init__(self) -> None:
        self.told: dict[int, Any] = {}

    def of(self, number: int) -> Any:
        return partial(self._take, number)

    def _take(self, number: int, outcome: Sequence[Appended] | LogError | None) -> None:
        assert number not in self.told
        self.told[number] = outcome

    async def all(self, count: int) -> list[Any]:
        async with asyncio.timeout(10):
            while len(self.told) < count:
                await asyncio.sleep(0)
        return [self.told[number] for number in range(count)]


class Watched:
    """A log that notes how its appends were cut, and holds them back while it is told to."""

    def __init__(self, found: Room) -> None:
        self.sizes: list[int] = []
        self.go = asyncio.Event()
        self.go.set()
        self._append = found.log.append
        found.log.append = self.append  # type: ignore[method-assign]

    async def append(self, events: Sequence[Any], *, deadline: float = 10.0) -> list[Appended]:
        self.sizes.append(len(events))
        await self.go.wait()
        return await self._append(events, deadline=deadline)


async def gathered(bodies: Sequence[bytes], limits: Limits | None = None) -> tuple[Room, Watched, list[Any]]:
    found = await room(limits or Limits())
    watched, answers, gathering = Watched(found), Answers(), Gathering(found.ingest)
    for number, body in enumerate(bodies):
        gathering.add(body, "/t", answers.of(number))
    return found, watched, await answers.all(len(bodies))


async def test_what_arrives_in_one_turn_is_one_append() -> None:
    found, watched, told = await gathered(events("a", "b", "c"))
    assert told == [((1, False),), ((2, False),), ((3, False),)]
    assert watched.sizes == [3]
    assert found.count("citadel_events_received_total", source="http") == 3


async def test_a_repeat_in_one_turn_is_told_as_such() -> None:
    same = b'{"type":"a","id":"1","source":"/s","data":1}'
    _, _, told = await gathered([same, A, same])
    assert told == [((1, False),), ((2, False),), ((1, True),)]


@pytest.mark.parametrize(
    "bad", [b"7", b"{", b'{"type":"a b"}', b'{"type":"a","type":"a"}', b'{"type":"a"},{"type":"a"}']
)
async def test_one_that_is_faulty_holds_up_no_other(bad: bytes) -> None:
    found, _, told = await gathered([A, bad, *events("c")])
    assert told == [((1, False),), None, ((2, False),)]
    assert await found.stored() == ["a", "c"]


async def test_what_comes_while_an_append_is_under_way_waits_for_its_end() -> None:
    found = await room(Limits())
    watched, answers, gathering = Watched(found), Answers(), Gathering(found.ingest)
    watched.go.clear()
    gathering.add(A, "/t", answers.of(0))
    while not watched.sizes:
        await asyncio.sleep(0)
    for number in range(1, 6):
        gathering.add(A, "/t", answers.of(number))
        await asyncio.sleep(0)
    assert watched.sizes == [1]
    watched.go.set()
    assert len(await answers.all(6)) == 6
    assert watched.sizes == [1, 5]


async def test_a_slice_is_handed_on_at_once() -> None:
    found = await room(Limits())
    watched, answers, gathering = Watched(found), Answers(), Gathering(found.ingest)
    watched.go.clear()
    for number in range(2 * SLICE_EVENTS + 1):
        gathering.add(A, "/t", answers.of(number))
    await asyncio.sleep(0)
    assert watched.sizes == [SLICE_EVENTS, SLICE_EVENTS]
    watched.go.set()
    assert len(await answers.all(2 * SLICE_EVENTS + 1)) == 2 * SLICE_EVENTS + 1
    assert watched.sizes == [SLICE_EVENTS, SLICE_EVENTS, 1]


@pytest.mark.parametrize("limits", [Limits(max_batch_events=2), Limits(max_batch_bytes=250)])
async def test_together_they_may_be_more_than_an_append_takes(limits: Limits) -> None:
    _, _, told = await gathered(events("a", "b", "c"), limits)
    assert told == [((1, False),), ((2, False),), ((3, False),)]


async def test_each_hears_what_the_log_refused() -> None:
    found = await room(Limits())
    answers, gathering = Answers(), Gathering(found.ingest)
    found.log.fail_next(LogFull("no space"))
    for number in range(3):
        gathering.add(A, "/t", answers.of(number))
    assert [type(outcome) for outcome in await answers.all(3)] == [LogFull] * 3
    gathering.add(A, "/t", answers.of(3))
    assert (await answers.all(4))[3] == ((1, False),)


async def test_events_without_a_source_get_that_of_their_client() -> None:
    found = await room(Limits())
    answers, gathering = Answers(), Gathering(found.ingest)
    for number in range(4):
        gathering.add(A, f"/t{number % 2}", answers.of(number))
    assert len(await answers.all(4)) == 4
    batch = await found.log.read(0, 10)  # type: ignore[arg-type]
    assert sorted(event.raw.count(b'"source":"/t0"') for event in batch.events) == [0, 0, 1, 1]
