"""Dry runs: the right part of the log, and what the rules would have told over it."""

from __future__ import annotations

import pytest

from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.model import Event, encode, rfc3339
from hxp_enterprise_llm.event.notifications.rules.compiled import compile_rules
from hxp_enterprise_llm.event.notifications.rules.recorded import recorded
from hxp_enterprise_llm.event.notifications.rules.rehearsal import Rehearsal
from hxp_enterprise_llm.event.notifications.rules.snapshots import Snapshot
from tests.unit.notifications.support import NAMES, NOW, ManualClock, config, rule, snapshot


async def log_of(seconds: range, *, offset_step: int = 1, noise: int = 3) -> MemoryLog:
    """A snapshot a second, other events and one that is none in between."""
    log = MemoryLog(clock=ManualClock(), offset_step=offset_step)
    await log.open()
    for second in seconds:
        for number in range(noise):
            await log.append([encode(Event(id=f"{second}-{number}", source="s", type="x", time=rfc3339(NOW)))])
        await log.append([snapshot(NOW + second, error_rate=0.3 if 50 <= second < 70 else 0.0)])
        if second % 10 == 0:
            await log.append([encode(Event(id=f"bad-{second}", source="s", type="analytics.snapshot", data=[1]))])
    return log


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize("since", [-5, 0, 1, 37, 98, 99, 100])
async def test_the_snapshots_since_a_moment_are_found(since: int, step: int) -> None:
    log = await log_of(range(100), offset_step=step)
    found = [round(each.at - NOW) async for each in recorded(log, NOW + since)]
    assert found == list(range(max(since, 0), 100))


async def test_a_log_without_snapshots_has_none() -> None:
    log = MemoryLog(clock=ManualClock())
    await log.open()
    assert [each async for each in recorded(log, 0)] == []
    await log.append([encode(Event(id="1", source="s", type="x"))])
    assert [each async for each in recorded(log, 0)] == []


async def test_what_would_have_been_told() -> None:
    rehearsal = Rehearsal(compile_rules(config(rule(for_="5s")), NAMES))
    log = await log_of(range(100))
    told = [(round(one.at - NOW), one.kind) async for each in recorded(log, NOW) for one in rehearsal.see(each)]
    assert told == [(50, "pending"), (55, "firing"), (70, "resolved")]
    assert (rehearsal.snapshots, rehearsal.first, rehearsal.last) == (100, NOW, NOW + 99)


def test_a_gap_in_the_log_is_not_counted() -> None:
    rehearsal = Rehearsal(compile_rules(config(rule(for_="2m")), NAMES))
    told = [
        (at, one.kind) for at in (0, 3600, 3630, 3660) for one in rehearsal.see(Snapshot(NOW + at, {"error_rate": 0.5}))
    ]
    assert told == [(0, "pending"), (3660, "firing")]
