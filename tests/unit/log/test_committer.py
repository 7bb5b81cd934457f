"""The line in front of the disk, with a store that commits when it is let."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hxp_enterprise_llm.event.log.model import Appended, Bounds, Limits, LogError, LogFull, LogUnavailable
from hxp_enterprise_llm.event.log.sqlite.committer import Committer
from hxp_enterprise_llm.event.log.sqlite.queue import AppendQueue, Waiting
from hxp_enterprise_llm.event.log.sqlite.store import Committed, View
from hxp_enterprise_llm.event.model import Encoded, Offset
from tests.unit.log.support import events

WITHIN = 30.0


class Disk:
    """A store whose commits each wait for a `let`, and end as they are told to."""

    fatal = None
    maintenance_due = False

    def __init__(self) -> None:
        self.begun, self._let = threading.Semaphore(0), threading.Semaphore(0)
        self.done = threading.Semaphore(0)
        self.groups: list[list[int]] = []
        self.failures: dict[int, LogError] = {}
        self.maintained = 0

    def let(self, times: int = 1) -> None:
        self._let.release(times)

    def commit(self, batches: Sequence[Sequence[Encoded]]) -> Committed:
        self.begun.release()
        assert self._let.acquire(timeout=WITHIN)
        number = len(self.groups)
        self.groups.append(list(map(len, batches)))
        try:
            if number in self.failures:
                raise self.failures[number]
            answers: list[Sequence[Appended]] = [[Appended(Offset(number), False)] * len(batch) for batch in batches]
            return Committed(answers, [], self._view(number), 0.0)
        finally:
            self.done.release()

    def maintain(self) -> View:
        self.maintained += 1
        self.maintenance_due = False
        return self._view(0)

    def close(self) -> None: ...

    def _view(self, head: int) -> View:
        return View(Bounds("epoch", Offset(1), Offset(head)), 0, "")


class Heard:
    """What the listener was told, in its order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def committed(self, committed: Committed) -> None:
        self.told.append(f"committed {committed.view.bounds.head}")

    def changed(self, view: View) -> None:
        self.told.append("changed")

    def failed(self, error: LogError) -> None:
        self.told.append(f"failed {type(error).__name__}")


class Line:
    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.disk, self.heard = Disk(), Heard()
        self.committer = Committer(self.disk, executor, AppendQueue(Limits()), self.heard)  # type: ignore[arg-type]

    def begin(self, count: int, within: float = WITHIN) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self.committer.begin(Waiting(events(0, count), 10 * count, answer, within, loop.time() + within))
        return answer


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    with ThreadPoolExecutor(1) as executor:
        made = Line(executor)
        yield made
        made.disk.let(1000)
        await made.committer.close(WITHIN)


async def test_the_disk_does_not_wait_for_the_loop(line: Line) -> None:
    first = line.begin(1)
    assert line.disk.begun.acquire(timeout=WITHIN)
    second = [line.begin(2), line.begin(3)]
    line.disk.let(2)
    # The loop stands still here: the thread goes on by itself.
    for _ in range(2):
        assert line.disk.done.acquire(timeout=WITHIN)
    assert line.disk.groups == [[1], [2, 3]]
    assert not first.done()
    assert [len(answer) for answer in await asyncio.gather(first, *second)] == [1, 2, 3]
    assert line.heard.told == ["committed 0", "committed 1"]


async def test_a_stream_of_appends_does_not_hold_off_others_for_ever(line: Line) -> None:
    """Each commit finds the next append waiting; one who stands in the line comes all the same."""
    answers = [line.begin(1)]
    turn = asyncio.ensure_future(line.committer.run(lambda: (None, line.disk._view(0))))
    await asyncio.sleep(0)
    async with asyncio.timeout(WITHIN):
        while not turn.done():
            if line.disk.begun.acquire(blocking=False):
                answers.append(line.begin(1))
                line.disk.let()
            await asyncio.sleep(0)
    assert len(answers) < 100
    line.disk.let(100)
    await asyncio.gather(*answers)


async def test_what_was_stored_before_a_failure_is_answered(line: Line) -> None:
    line.disk.failures[1] = LogFull("no room")
    first = line.begin(1)
    assert line.disk.begun.acquire(timeout=WITHIN)
    second, third = line.begin(1), line.begin(1)
    line.disk.let(2)
    assert len(await first) == 1
    for answer in (second, third):
        with pytest.raises(LogFull):
            await answer
    assert line.heard.told == ["committed 0", "failed LogFull"]
    line.disk.let()
    assert len(await line.begin(4)) == 4


async def test_upkeep_that_is_due_ends_the_row(line: Line) -> None:
    first = line.begin(1)
    assert line.disk.begun.acquire(timeout=WITHIN)
    second = line.begin(1)
    line.disk.maintenance_due = True
    line.disk.let(2)
    await asyncio.gather(first, second)
    assert line.heard.told == ["committed 0", "changed", "committed 1"]


async def test_a_deadline_tells_whether_the_commit_has_begun(line: Line) -> None:
    first = line.begin(1)
    assert line.disk.begun.acquire(timeout=WITHIN)
    taken = line.begin(1, within=0.05)
    line.disk.let()
    # The thread has taken it, of which the loop knows nothing yet.
    assert line.disk.begun.acquire(timeout=WITHIN)
    waiting = line.begin(1, within=0.05)
    assert len(await first) == 1
    for answer, stored in ((taken, True), (waiting, False)):
        with pytest.raises(LogUnavailable) as caught:
            await answer
        assert caught.value.maybe_stored is stored


async def test_what_ran_before_commits_is_told_before_them(line: Line) -> None:
    """Told after them, its state would take the head back: those who follow would get events again."""
    go = threading.Event()

    def look() -> tuple[None, View]:
        assert go.wait(WITHIN)
        return None, line.disk._view(0)

    turn = asyncio.ensure_future(line.committer.run(look))
    await asyncio.sleep(0)
    answers = [line.begin(1), line.begin(2)]
    go.set()
    line.disk.let(2)
    # The loop stands still here: all three have ended when it hears of the first.
    for _ in range(2):
        assert line.disk.done.acquire(timeout=WITHIN)
    await asyncio.gather(turn, *answers)
    assert line.heard.told == ["changed", "committed 0", "committed 1"]
