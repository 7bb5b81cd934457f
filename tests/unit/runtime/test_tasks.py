"""Named tasks: a death is told by name, an ordinary end is not, a stop takes all."""

from __future__ import annotations

import asyncio

import pytest

from hxp_enterprise_llm.runtime.tasks import Supervisor, TaskDied, cancel


class Morgue:
    """Collects deaths."""

    def __init__(self) -> None:
        self.deaths: list[TaskDied] = []
        self.told = asyncio.Event()

    def __call__(self, death: TaskDied) -> None:
        self.deaths.append(death)
        self.told.set()


async def fails() -> None:
    raise ValueError("broken")


async def returns() -> None:
    return


async def lasts() -> None:
    await asyncio.Event().wait()


@pytest.fixture
def morgue():
    return Morgue()


async def test_a_death_by_exception_is_told_by_name(morgue):
    """The name and the cause."""
    Supervisor(morgue).spawn("reader", fails())
    await morgue.told.wait()
    assert str(morgue.deaths[0]) == "task reader died: ValueError('broken')"
    assert isinstance(morgue.deaths[0].cause, ValueError)


async def test_an_end_counts_as_a_death_unless_it_was_announced(morgue):
    """A task that should run for ever and returns is dead; one that may end is not."""
    supervisor = Supervisor(morgue)
    await supervisor.spawn("short", returns(), ends=True)
    await supervisor.spawn("long", returns())
    await morgue.told.wait()
    assert [str(death) for death in morgue.deaths] == ["task long ended by itself"]


async def test_a_death_is_never_accepted_even_of_a_task_that_may_end(morgue):
    """`ends` forgives a return, not an exception."""
    Supervisor(morgue).spawn("short", fails(), ends=True)
    await morgue.told.wait()
    assert morgue.deaths[0].name == "short"


async def test_stop_cancels_all_and_tells_nobody(morgue):
    """After a stop no task is left, and none counts as dead."""
    supervisor = Supervisor(morgue)
    tasks = [supervisor.spawn(name, lasts()) for name in ("b", "a")]
    assert supervisor.names == ["a", "b"]
    await supervisor.stop()
    assert all(task.cancelled() for task in tasks)
    assert supervisor.names == []
    assert morgue.deaths == []


async def test_cancel_waits_for_the_end(morgue):
    """One task can be ended alone; that is no death."""
    task = Supervisor(morgue).spawn("one", lasts())
    await cancel(task)
    assert task.cancelled()
    assert morgue.deaths == []
