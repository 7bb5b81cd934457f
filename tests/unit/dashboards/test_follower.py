"""The state follows the log: from its tail, live, over a trimmed, a recreated and an absent log."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hxp_enterprise_llm.event.dashboards import follower as follower_module
from hxp_enterprise_llm.event.dashboards.follower import Follower
from hxp_enterprise_llm.event.dashboards.state import DashboardState
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import Bounds, LogClosed, LogError, LogUnavailable, Stored
from hxp_enterprise_llm.event.log.remote.answers import RemoteRefused
from hxp_enterprise_llm.event.model import Offset
from tests.unit.dashboards.support import START, HandClock, alert, event, seconds_of, snapshot


class Watch:
    """Lets a test wait until the state is as it should be."""

    def __init__(self) -> None:
        self._moved = asyncio.Event()

    def moved(self) -> None:
        self._moved.set()

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self._moved.clear()
                await self._moved.wait()


@asynccontextmanager
async def following(log: MemoryLog, **more: Any) -> AsyncIterator[tuple[Follower, Watch]]:
    follower, watch = Follower(log, clock=HandClock(), retry_seconds=0.01, **more), Watch()
    task = asyncio.create_task(follower.run(watch.moved))
    try:
        yield follower, watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def opened(**more: Any) -> MemoryLog:
    log = MemoryLog(**more)
    await log.open()
    return log


async def test_a_rebuilt_state_is_the_one_that_was_followed() -> None:
    log = await opened(offset_step=3)
    async with following(log) as (live, watch):
        for number, each in enumerate(seconds_of(30)):
            await log.append([each, event("llm.request.completed", data={"n": number})])
        await log.append([alert("firing", "slow", START + 20)])
        await watch.until(lambda: live.state.alerts.changes == 1)
        async with following(log) as (again, _):
            await again.ready.wait()
            assert again.state.position == live.state.position
            assert again.state.spine(START + 31) == live.state.spine(START + 31)
            assert again.state.alerts.firing() == live.state.alerts.firing()
            assert again.state.counts.total(["llm.request.completed"], START + 30, 60) == 30


async def test_only_the_tail_is_read() -> None:
    log = await opened()
    for number in range(50):
        await log.append([event("llm.a", data={"n": number})])
    async with following(log, tail=10) as (follower, _):
        await follower.ready.wait()
        assert follower.state.counts.total(["llm.a"], START, 60) == 10


async def test_who_knows_the_alerts_is_asked_after_the_tail() -> None:
    log = await opened()
    await log.append([alert("firing", "gone", START)])

    async def firing() -> list[dict[str, Any]]:
        return [{"rule": "old", "episode": "old-1", "priority": "critical", "summary": "since yesterday"}]

    async with following(log, firing=firing) as (follower, _):
        await follower.ready.wait()
        assert [each["rule"] for each in follower.state.alerts.firing()] == ["old"]


async def test_a_recreated_log_is_read_anew() -> None:
    log = await opened()
    await log.append(seconds_of(3))
    async with following(log) as (follower, watch):
        await follower.ready.wait()
        before = follower.state.epoch
        log.recreate()
        await log.append([snapshot(START + 99)])
        await watch.until(lambda: follower.state.epoch != before and follower.state.figures is not None)
        assert follower.state.figures_at == START + 99


@pytest.mark.parametrize(
    "error",
    [
        LogUnavailable("no connection", maybe_stored=False),
        RemoteRefused("http://far/events/bounds", 404, "unknown", ""),
    ],
)
async def test_a_log_that_is_away_or_refuses_is_waited_for(error: LogError) -> None:
    log = await opened()
    await log.append(seconds_of(3))
    answer, fails = log.bounds, [1, 2, 3]

    async def away() -> Bounds:
        if fails:
            fails.pop()
            raise error
        return await answer()

    log.bounds = away  # type: ignore[method-assign]
    async with following(log) as (follower, watch):
        await watch.until(lambda: follower.state.figures is not None)
        assert not fails


async def test_a_closed_log_ends_it() -> None:
    log = await opened()
    await log.close()
    with pytest.raises(LogClosed):
        await Follower(log, clock=HandClock()).run(lambda: None)


async def test_for_nobody_single_events_are_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "UNWATCHED_SECONDS", 0.2)
    log, batches = await opened(), list[int]()
    take = DashboardState.take

    def counted(state: DashboardState, events: Sequence[Stored], upto: Offset) -> None:
        batches.extend([len(events)] if events else [])
        take(state, events, upto)

    monkeypatch.setattr(DashboardState, "take", counted)
    async with following(log, watched=lambda: False) as (follower, watch):
        await follower.ready.wait()
        await log.append([event("llm.a", data={"n": 0})])
        await watch.until(lambda: batches == [1])
        for number in range(1, 6):
            await log.append([event("llm.a", data={"n": number})])
        await watch.until(lambda: batches == [1, 5])


async def test_for_nobody_many_events_are_taken_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "UNWATCHED_SECONDS", 1000)
    log = await opened()
    async with following(log, watched=lambda: False) as (follower, watch):
        await follower.ready.wait()
        for end in (64, 128):
            await log.append([event("llm.a", data={"n": number}) for number in range(64)])
            await watch.until(lambda end=end: follower.state.position == end)
