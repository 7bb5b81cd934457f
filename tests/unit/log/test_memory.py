"""What MemoryLog has for tests: faults on demand, a new epoch, holes between offsets."""

from __future__ import annotations

import pytest

from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.log.model import LogFull, LogUnavailable
from hxp_enterprise_llm.event.model import BEGINNING
from tests.unit.log.support import event, events, ids


async def test_an_answer_lost_after_the_store() -> None:
    """The same events again are answered as repeats: sending again is safe."""
    log = MemoryLog()
    await log.open()
    log.fail_next(LogUnavailable("the answer was lost", maybe_stored=True), after_store=True)
    with pytest.raises(LogUnavailable) as caught:
        await log.append(events(0, 3))
    assert caught.value.maybe_stored
    assert all(appended.duplicate for appended in await log.append(events(0, 3)))
    assert ids(await log.read(BEGINNING)) == ["0", "1", "2"]


async def test_faults_meet_the_appends_in_their_order() -> None:
    log = MemoryLog()
    await log.open()
    log.fail_next(LogFull("no room"))
    log.fail_next(LogUnavailable("election", maybe_stored=False))
    with pytest.raises(LogFull, match="the log is full: no room"):
        await log.append([event(1)])
    with pytest.raises(LogUnavailable, match="election"):
        await log.append([event(1)])
    assert not (await log.append([event(1)]))[0].duplicate


async def test_holes_between_offsets() -> None:
    log = MemoryLog(offset_step=10)
    await log.open()
    assert [appended.offset for appended in await log.append(events(0, 3))] == [10, 20, 30]


async def test_it_says_that_it_is_not_durable() -> None:
    log = MemoryLog()
    assert (await log.health()).status == "down"
    await log.open()
    health = await log.health()
    assert not health.durable
    assert health.reason == "in memory: nothing outlives the process"
