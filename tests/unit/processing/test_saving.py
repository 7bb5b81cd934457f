"""When a state is saved: after a while, after many events, and never so often that it costs more than its share."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from hxp_enterprise_llm.event.processing.keeping import Form, StateFile
from hxp_enterprise_llm.event.processing.saving import MOST_EVENTS, Content, Saver

from .virtual import VirtualClock, until

INTERVAL = 15.0


class Slow(StateFile[int]):
    """A file that takes `cost` seconds to write."""

    def __init__(self, path: Path, clock: VirtualClock) -> None:
        super().__init__(path, Form(b"TEST0001", int))
        self.clock, self.cost = clock, 0.0
        self.written: list[int] = []

    def write(self, content: bytes) -> None:
        super().write(content)
        self.clock._elapsed += self.cost
        self.written.append(self.form.decoded(self.path, content))


class Bench:
    def __init__(self, path: Path) -> None:
        self.clock = VirtualClock()
        self.file = Slow(path / "state", self.clock)
        self.position = 0
        self.told: list[tuple[float, int]] = []
        self.saver = Saver(
            self.file,
            "test",
            clock=self.clock,
            sleep=self.clock.sleep,
            content=lambda: Content(self.position, self.file.form.encoded(self.position)),
            told=lambda seconds, size: self.told.append((seconds, size)),
        )

    def take(self, events: int) -> None:
        self.position += events
        self.saver.took(events)

    @asynccontextmanager
    async def running(self):  # type: ignore[no-untyped-def]
        task = asyncio.create_task(self.saver.run(lambda: INTERVAL))
        await until(lambda: self.clock.awaited)
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_it_is_saved_after_a_while(bench: Bench) -> None:
    async with bench.running():
        bench.take(1)
        await bench.clock.advance(INTERVAL - 0.1)
        assert bench.file.written == []
        await bench.clock.advance(0.1)
        await until(lambda: bench.file.written == [1])


async def test_it_is_saved_after_many_events(bench: Bench) -> None:
    async with bench.running():
        bench.take(MOST_EVENTS - 1)
        await bench.clock.advance(0)
        assert bench.file.written == []
        bench.take(1)
        await until(lambda: bench.file.written == [MOST_EVENTS])
        await until(lambda: len(bench.told) == 1)
    assert bench.told == [(0.0, bench.file.path.stat().st_size)]


async def test_a_save_that_is_costly_is_seldom(bench: Bench) -> None:
    bench.file.cost = 0.2
    async with bench.running():
        bench.take(MOST_EVENTS)
        await until(lambda: len(bench.told) == 1)
        bench.take(2 * MOST_EVENTS)
        await bench.clock.advance(4.9)
        assert bench.file.written == [MOST_EVENTS], "0.2 s of 5 s are its share"
        await bench.clock.advance(0.2)
        await until(lambda: bench.file.written == [MOST_EVENTS, 3 * MOST_EVENTS])


async def test_nothing_new_is_not_saved(bench: Bench) -> None:
    bench.saver.begin(7)
    bench.position = 7
    async with bench.running():
        await bench.clock.advance(3 * INTERVAL)
        await bench.saver.close()
    assert bench.file.written == []


async def test_what_the_disk_refuses_is_said_and_tried_again(bench: Bench) -> None:
    bench.file.path.mkdir()
    bench.take(1)
    await bench.saver.save()
    assert bench.saver.outage.failures == 1
    bench.file.path.rmdir()
    await bench.saver.close()
    assert (bench.saver.outage.reason, bench.file.written) == ("", [1])
