"""The backends that the conformance tests run over."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import Mock

import aiohttp
import pytest

from hxp_enterprise_llm.event.log import MemoryLog, RemoteLog, SqliteLog
from hxp_enterprise_llm.event.log.model import EventLog, Limits, LogFull, LogUnavailable
from hxp_enterprise_llm.event.log.remote.blocks import events_for_ours
from hxp_enterprise_llm.event.log.remote.lines import event_lines
from hxp_enterprise_llm.event.log.sqlite.segment import SegmentWriter
from tests.unit.log.support import LogServer, ShiftedClock, sqlite_log


class Backend(Protocol):
    """A way to have a log, and to do to it what happens to logs."""

    clock: ShiftedClock
    trims: bool
    """Whether the handle itself trims; over HTTP only the owner does."""

    async def start(self, **options: Any) -> EventLog: ...

    async def second(self) -> EventLog:
        """Another appender to the same log."""
        ...

    async def reopen(self) -> EventLog: ...

    async def recreate(self) -> EventLog:
        """The same place with a new, empty log; answers a handle to it."""
        ...

    async def empty(self) -> None:
        """Trim everything, by its owner."""
        ...

    def fill(self) -> None:
        """No room for events."""
        ...

    def free(self) -> None:
        """Room again."""
        ...

    def hang(self) -> None:
        """Nothing is stored or answered; what is under way may still be stored later."""
        ...

    def release(self) -> None:
        """Work again."""
        ...

    async def cut(self) -> None:
        """Let go of the log and be there again, behind the back of those who hold a handle to it."""
        ...

    async def stop(self) -> None: ...


class MemoryBackend:
    trims = True

    def __init__(self, step: int) -> None:
        self.step, self.clock = step, ShiftedClock()
        self.log: MemoryLog

    async def start(self, **options: Any) -> EventLog:
        self.log = MemoryLog(clock=self.clock, offset_step=self.step, **options)
        await self.log.open()
        return self.log

    async def second(self) -> EventLog:
        return self.log

    async def reopen(self) -> EventLog:
        await self.log.close()
        await self.log.open()
        return self.log

    async def recreate(self) -> EventLog:
        self.log.recreate()
        return self.log

    async def empty(self) -> None:
        await self.log.trim((await self.log.bounds()).head)

    def fill(self) -> None:
        self.log.fail_next(LogFull("no room"))

    def free(self) -> None:
        """Only one append was refused."""

    def hang(self) -> None:
        self.log.fail_next(LogUnavailable("no answer", maybe_stored=True), after_store=True)

    def release(self) -> None:
        """Only one answer was lost."""

    async def cut(self) -> None:
        await self.reopen()

    async def stop(self) -> None:
        await self.log.close()


class SqliteBackend:
    trims = True

    def __init__(self, directory: Path) -> None:
        self.directory, self.clock = directory, ShiftedClock()
        self.options: dict[str, Any] = {}
        self.patch = pytest.MonkeyPatch()
        self.goes_on = threading.Event()
        self.log: SqliteLog

    async def start(self, **options: Any) -> EventLog:
        if "window_seconds" in options:
            options["window_age"] = f"{options.pop('window_seconds')}s"
        self.options = options
        return await self._open()

    async def _open(self) -> EventLog:
        self.log = sqlite_log(self.directory, clock=self.clock, **self.options)
        await self.log.open()
        return self.log

    async def second(self) -> EventLog:
        return self.log

    async def reopen(self) -> EventLog:
        await self.log.close()
        return await self._open()

    async def recreate(self) -> EventLog:
        await self.log.close()
        shutil.rmtree(self.directory)
        self.directory.with_name(self.directory.name + ".head").unlink()
        return await self._open()

    async def empty(self) -> None:
        await self.log.trim((await self.log.bounds()).head)

    def fill(self) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        self.patch.setattr(SegmentWriter, "insert", Mock(side_effect=error))

    def free(self) -> None:
        self.patch.undo()
        # The log looks for room once a second.
        self.log._store._space_checked = -1e9

    def hang(self) -> None:
        commit = self.log._store.commit

        def late(batches: Any) -> Any:
            self.goes_on.wait(10)
            return commit(batches)

        self.patch.setattr(self.log._store, "commit", late)

    def release(self) -> None:
        self.goes_on.set()
        self.patch.undo()

    async def cut(self) -> None:
        await self.log.close()
        await self.log.open()

    async def stop(self) -> None:
        self.release()
        await self.log.close()


class RemoteBackend:
    trims = False

    def __init__(self, ours: bool = False) -> None:
        # In blocks there are no holes between offsets.
        self.memory, self.ours = MemoryBackend(1 if ours else 3), ours
        self.clock = self.memory.clock
        self.server: LogServer
        self.session = aiohttp.ClientSession()
        self.logs: list[RemoteLog] = []

    async def start(self, **options: Any) -> EventLog:
        self.server = LogServer(await self.memory.start(**options), events_for_ours if self.ours else event_lines)
        await self.server.start()
        return await self.second()

    async def second(self) -> EventLog:
        log = RemoteLog(self.server.url, session=self.session, clock=self.clock, ahead_grace=0.2, ours=self.ours)
        await log.open()
        self.logs.append(log)
        return log

    async def reopen(self) -> EventLog:
        await self.server.stop()
        await self.memory.reopen()
        await self.server.start()
        return await self.second()

    async def recreate(self) -> EventLog:
        await self.memory.recreate()
        return self.logs[0]

    async def empty(self) -> None:
        await self.memory.empty()

    def fill(self) -> None:
        self.memory.fill()

    def free(self) -> None:
        self.memory.free()

    def hang(self) -> None:
        self.server.pause_seconds = 1.0

    def release(self) -> None:
        self.server.pause_seconds = 0.0

    async def cut(self) -> None:
        await self.server.stop()
        await self.memory.reopen()
        await self.server.start()

    async def stop(self) -> None:
        for log in self.logs:
            await log.close()
        await self.session.close()
        await self.server.stop()
        await self.memory.stop()


@pytest.fixture(params=["memory", "memory with holes", "sqlite", "remote", "remote, ours"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    made: Backend
    if request.param == "sqlite":
        made = SqliteBackend(tmp_path / "log")
    elif request.param.startswith("remote"):
        made = RemoteBackend(request.param == "remote, ours")
    else:
        made = MemoryBackend(1 if request.param == "memory" else 7)
    yield made
    await made.stop()


SMALL = Limits(max_batch_events=5, max_batch_bytes=4000, max_event_bytes=1500)
