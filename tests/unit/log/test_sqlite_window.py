"""The window of repeats as a log rebuilds it when it is opened again."""

from __future__ import annotations

from pathlib import Path

from tests.unit.log.support import ShiftedClock, event, events, sqlite_log


async def test_the_oldest_are_forgotten_first_after_it_was_opened_again(tmp_path: Path) -> None:
    log = sqlite_log(tmp_path / "log", window_events=3)
    await log.open()
    for number in range(3):
        await log.append(events(number, 1))
    await log.close()
    await log.open()
    await log.append([event("new")])
    assert [(await log.append([event(number)]))[0].duplicate for number in (2, 1)] == [True, True]
    await log.append([event("newer")])
    assert (await log.append([event(2)]))[0].duplicate
    assert not (await log.append([event(0)]))[0].duplicate
    await log.close()


async def test_a_wall_clock_that_was_set_back_hides_nothing(tmp_path: Path) -> None:
    """The rebuild ends at what is too old: no record may look older than those before it."""
    clock = ShiftedClock()
    log = sqlite_log(tmp_path / "log", clock=clock)
    await log.open()
    await log.append([event("a")])
    clock.shift = -3600.0
    for name in ("b", "c"):
        await log.append([event(name)])
    await log.close()
    clock.shift = 0.0
    await log.open()
    assert (await log.append([event("a")]))[0].duplicate
    await log.close()
