"""The history follows a log: what fails is tried again, what is damaged is begun anew, and nothing counts twice."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from hxp_enterprise_llm.config.history import HistoryConfig
from hxp_enterprise_llm.config.processing import MetricConfig, default_metrics
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.model import Encoded
from hxp_enterprise_llm.event.processing.history.history import History, HistoryAway
from hxp_enterprise_llm.event.processing.history.model import DAYS, TOKENS
from hxp_enterprise_llm.telemetry.history_metrics import HistoryMetrics

from ..events import NOW, event
from ..virtual import VirtualClock, opened
from .support import metrics


class Room:
    """A history that runs on a log in memory; its pauses take no time."""

    def __init__(self, directory: Path, log: MemoryLog, clock: VirtualClock) -> None:
        self.path, self.log, self.registry = directory / "history.db", log, CollectorRegistry()
        self.clock = clock
        self.history = self._made()

    def _made(self) -> History:
        async def sleep(seconds: float) -> None:
            self.clock._elapsed += seconds
            await asyncio.sleep(0.001)

        return History(
            HistoryConfig(),
            metrics(),
            self.log,
            self.path,
            clock=self.clock,
            telemetry=HistoryMetrics(self.registry),
            sleep=sleep,
        )

    async def tokens(self) -> int:
        """All tokens that the history knows."""
        day = int(NOW // 86_400)

        def work(reader: Any) -> int:
            found = reader.read([TOKENS], DAYS, day - 40, day + 1)
            return sum(memory.total for memory in found[TOKENS].values())

        return await self.history.ask(work)

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(HistoryAway):
                    found = condition()
                    if await found if asyncio.iscoroutine(found) else found:
                        return
                # At the head the history waits for the next event, as it would for the next tick.
                await self.log.append([event(random.getrandbits(60), "tick", NOW)])
                await asyncio.sleep(0.005)

    async def until_tokens(self, wanted: int) -> None:
        async def same() -> bool:
            return await self.tokens() == wanted

        await self.until(same)


@asynccontextmanager
async def room(directory: Path, log: MemoryLog | None = None, clock: VirtualClock | None = None) -> AsyncIterator[Room]:
    clock = clock or VirtualClock()
    made = Room(directory, log or await opened(clock), clock)
    task = asyncio.create_task(made.history.run())
    try:
        yield made
        if task.done():
            task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await made.history.close()


def used(first: int, count: int, at: float = NOW - 100) -> list[Encoded]:
    """Requests of ten tokens each."""
    return [
        event(n, "llm.request.completed", at + n % 60, model="m", input_tokens=7, output_tokens=3)
        for n in range(first, first + count)
    ]


async def test_the_first_start_fills_it_from_the_log_and_the_next_goes_on(tmp_path: Path) -> None:
    clock = VirtualClock()
    log = await opened(clock)
    await log.append(used(1, 3000, NOW - 30 * 86_400))
    async with room(tmp_path, log, clock) as first:
        await first.until_tokens(30_000)
        assert first.history.health().status == "ok"
    await log.append(used(5001, 500))
    async with room(tmp_path, log, clock) as second:
        await second.until_tokens(35_000)
        await second.until(lambda: second.registry.get_sample_value("citadel_history_size_bytes") > 0)


async def test_a_write_that_fails_is_written_later_and_once(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with room(tmp_path) as here:
            await here.log.append(used(1, 100))
            await here.until_tokens(1000)
            here.history._store._database.connection.execute("PRAGMA busy_timeout = 0")
            blocker = sqlite3.connect(here.path, isolation_level=None)
            blocker.execute("BEGIN IMMEDIATE")
            await here.log.append(used(1001, 100))
            await here.until(lambda: here.history.health().status == "degraded")
            assert here.history.health().reason == "the history cannot be written: database is locked"
            assert await here.tokens() == 1000
            await here.log.append(used(2001, 100))
            blocker.execute("ROLLBACK")
            blocker.close()
            await here.until_tokens(3000)
            await here.until(lambda: here.history.health().status == "ok")
            assert here.registry.get_sample_value("citadel_history_errors_total", {"kind": "other"}) >= 1
    named = [line["event"] for line in lines if line["event"].startswith("history.writing")]
    assert named == ["history.writing.failing", "history.writing.recovered"]


async def test_a_damaged_file_is_put_aside_and_filled_again(tmp_path: Path) -> None:
    clock = VirtualClock()
    log = await opened(clock)
    async with room(tmp_path, log, clock) as here:
        await log.append(used(1, 100))
        await here.until_tokens(1000)
    here.path.write_bytes(b"this is no database " * 1000)
    with capture_logs() as lines:
        async with room(tmp_path, log, clock) as again:
            await again.until_tokens(1000)
            assert again.registry.get_sample_value("citadel_history_errors_total", {"kind": "damaged"}) == 1
    assert (tmp_path / "history.db.damaged").read_bytes().startswith(b"this is no database")
    assert "history.damaged" in [line["event"] for line in lines]


async def test_a_file_of_another_format_is_put_aside(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "history.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    async with room(tmp_path) as here:
        await here.log.append(used(1, 10))
        await here.until_tokens(100)
    assert (tmp_path / "history.db.damaged").exists()


async def test_what_the_log_no_longer_has_is_a_gap_not_an_end(tmp_path: Path) -> None:
    clock = VirtualClock()
    log = await opened(clock)
    async with room(tmp_path, log, clock) as here:
        await log.append(used(1, 100))
        await here.until_tokens(1000)
    await log.append(used(1001, 100))
    await log.trim((await log.bounds()).head)
    await log.append(used(2001, 100))
    with capture_logs() as lines:
        async with room(tmp_path, log, clock) as again:
            await again.until(lambda: _at_least(again, 1000))
            (lost,) = [line for line in lines if line["event"] == "history.cursor_lost"]
            assert lost["missed"] > 0
            assert await again.tokens() in (2000, 3000)


async def _at_least(here: Room, more_than: int) -> bool:
    return await here.tokens() > more_than


async def test_a_log_made_anew_is_followed_on(tmp_path: Path) -> None:
    async with room(tmp_path) as here:
        await here.log.append(used(1, 100))
        await here.until_tokens(1000)
        here.log.recreate()
        epoch = (await here.log.bounds()).epoch
        async with asyncio.timeout(20):
            while here.history._cursor.epoch != epoch:
                await asyncio.sleep(0.001)
        await here.log.append(used(1001, 100))
        await here.until_tokens(2000)


async def test_another_list_of_metrics_begins_to_be_kept(tmp_path: Path) -> None:
    async with room(tmp_path) as here:
        await here.log.append(used(1, 10))
        await here.until_tokens(100)
        more = [*default_metrics(), MetricConfig(name="input", types=["llm.*"], kind="sum", field="data.input_tokens")]
        here.history.prepare(HistoryConfig(detail="1d"), metrics(more))()
        source = here.history.metrics[-1].source
        await here.until(lambda: not here.history._changed)
        await here.log.append(used(1001, 10))
        day = int(NOW // 86_400)

        async def kept() -> bool:
            found = await here.history.ask(lambda reader: reader.read([source], DAYS, day - 1, day + 1))
            return sum(memory.total for memory in found[source].values()) == 70

        await here.until(kept)


async def test_a_directory_that_cannot_be_made_does_not_end_the_service(tmp_path: Path) -> None:
    """It is said, and tried again until it can."""
    blocked = tmp_path / "history"
    blocked.write_text("a file where the directory should be")
    async with room(blocked) as here:
        await here.until(lambda: here.history.health().status == "degraded")
        blocked.unlink()
        await here.log.append(used(1, 10))
        await here.until_tokens(100)
        shutil.rmtree(blocked)


async def test_it_rests_between_stretches_while_it_is_behind(tmp_path: Path) -> None:
    clock = VirtualClock()
    log = await opened(clock)
    for start in (0, 1000, 2000):
        await log.append([event(start + n, "bench.tick", NOW) for n in range(1000)])
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    registry = CollectorRegistry()
    history = History(
        HistoryConfig(),
        metrics(),
        log,
        tmp_path / "history.db",
        clock=clock,
        telemetry=HistoryMetrics(registry),
        sleep=sleep,
    )
    # While it rests it reads nothing: what it has not read lags as well.
    assert registry.get_sample_value("citadel_history_lag_events") == log.head_nowait()
    running = asyncio.create_task(history.run())
    async with asyncio.timeout(10):
        while 0.25 not in pauses:
            await asyncio.sleep(0.001)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await history.close()
    # Work takes no virtual time: a rest of four times as long is one of none.
    assert pauses[: pauses.index(0.25)] == [0.0, 0.0]
