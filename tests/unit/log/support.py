"""Events, clocks and a small server for the tests of the log."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.processing import LogConfig, LogLimitsConfig
from hxp_enterprise_llm.event.log import SqliteLog
from hxp_enterprise_llm.event.log.model import (
    Ahead,
    Batch,
    Bounds,
    CursorError,
    EpochChanged,
    EventLog,
    Gone,
    Limits,
    LogClosed,
    LogFull,
    LogUnavailable,
    Stored,
)
from hxp_enterprise_llm.event.log.remote.lines import event_lines
from hxp_enterprise_llm.event.log.sqlite.segment import segment_paths
from hxp_enterprise_llm.event.model import Encoded, Event, Offset, encode, identity
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.metrics import LogMetrics
from tests.faults.workload import noise


class ShiftedClock(SystemClock):
    """The machine's clock, with a wall clock that a test can set."""

    def __init__(self) -> None:
        self.shift = 0.0

    def time(self) -> float:
        return super().time() + self.shift


def event(number: int | str, *, source: str = "/test", type: str = "test.tick", size: int = 0) -> Encoded:
    """An event whose text has at least `size` bytes, of which compression saves no more than a quarter."""
    return encode(Event(id=str(number), source=source, type=type, data={"pad": noise(number, size).decode()}))


def events(start: int, count: int, **fields: Any) -> list[Encoded]:
    """Events with the ids start, start + 1, …"""
    return [event(number, **fields) for number in range(start, start + count)]


def ids(batch: Batch) -> list[str]:
    """Ids of a batch's events, from their text."""
    return [msgspec.json.decode(stored.raw)["id"] for stored in batch.events]


def sqlite_log(directory: Path, *, limits: Limits | None = None, clock: Any = None, **options: Any) -> SqliteLog:
    """A log with small files; options of LogConfig and of SqliteLog may be mixed."""
    own = {"writer", "reader", "on_fatal", "progress_seconds", "recent_bytes", "metrics"}
    config = {"reserve_bytes": 65536} | {key: value for key, value in options.items() if key not in own}
    if limits is not None:
        config["limits"] = LogLimitsConfig(**limits._asdict())
    arguments = {"metrics": LogMetrics(CollectorRegistry())} | {k: v for k, v in options.items() if k in own}
    return SqliteLog(directory, config=LogConfig(**config), clock=clock or ShiftedClock(), **arguments)


async def read_all(log: EventLog, after: Offset, page: int) -> list[Any]:
    """All events beyond a cursor, page by page."""
    found: list[Any] = []
    while True:
        batch = await log.read(after, page)
        assert len(batch.events) <= page
        found.extend(batch.events)
        if batch.next == batch.head:
            return found
        assert batch.next > after
        after = batch.next


async def eventually(condition: Callable[[], bool], within: float = 30.0) -> None:
    """Wait until something holds; it fails when it does not in time."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)


class LogServer:
    """The HTTP API of a log, as small as it can be, with faults to switch on."""

    def __init__(self, log: EventLog, form: Callable[[Sequence[Stored]], bytes] = event_lines) -> None:
        """`form`: how events are written."""
        self.log, self.form = log, form
        self.answer_lost = 0
        """So many next appends are stored, and the connection is cut before the answer."""
        self.answers: list[web.Response] = []
        """Given instead of the next answers, whatever is asked."""
        self.pause_seconds = 0.0
        self.posts = 0
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/events", self._append)
        app.router.add_get("/events/stream", self._stream)
        app.router.add_get("/events/bounds", self._bounds)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _append(self, request: web.Request) -> web.StreamResponse:
        self.posts += 1
        body = await request.read()
        if self.pause_seconds:
            await asyncio.sleep(self.pause_seconds)
        if self.answers:
            return self.answers.pop(0)
        raws = msgspec.json.decode(body, type=list[msgspec.Raw])
        batch = []
        for raw in raws:
            fields = msgspec.json.decode(raw)
            batch.append(Encoded(fields["source"], fields["id"], fields["type"], bytes(raw)))
        try:
            answer = await self.log.append(batch)
        except LogFull as error:
            return refusal(503, "log_full", str(error))
        except (LogUnavailable, LogClosed) as error:
            return refusal(503, "log_unavailable", str(error))
        if self.answer_lost:
            self.answer_lost -= 1
            assert request.transport is not None
            request.transport.abort()
        epoch = (await self.log.bounds()).epoch
        content = {"events": [appended._asdict() for appended in answer], "epoch": epoch}
        return web.Response(status=202, body=msgspec.json.encode(content))

    async def _bounds(self, request: web.Request) -> web.StreamResponse:
        if self.answers:
            return self.answers.pop(0)
        health = await self.log.health()
        content = msgspec.structs.asdict(health) | {"limits": self.log.limits._asdict()}
        return web.Response(body=msgspec.json.encode(content))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self.answers:
            return self.answers.pop(0)
        query = request.query
        after, epoch = Offset(int(query["after"])), query.get("epoch")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        try:
            bounds = await self.log.bounds()
            await self.log.read(after, 1, epoch=epoch)
            await response.prepare(request)
            await response.write(_progress(bounds, after))
            batches = self._page(after, int(query["limit"])) if query["wait"] == "0" else self.log.follow(after)
            async for batch in batches:
                events = self.form(batch.events) if batch.events else b""
                await response.write(events + _progress(await self.log.bounds(), batch.next))
        except CursorError as error:
            if not response.prepared:
                return _cursor_refusal(error)
            body = msgspec.json.encode(_details(error.bounds))
            await response.write(f"! {_code(error)} ".encode() + body + b"\n")
        except LogClosed as error:
            if not response.prepared:
                return refusal(503, "log_unavailable", str(error))
        return response

    async def _page(self, after: Offset, limit: int) -> AsyncIterator[Batch]:
        while limit > 0:
            batch = await self.log.read(after, limit)
            yield batch
            after, limit = batch.next, limit - len(batch.events)
            if batch.next == batch.head:
                return


def refusal(status: int, code: str, message: str = "", **details: Any) -> web.Response:
    """A refusal in the form of the API."""
    headers = {"Retry-After": str(details.pop("retry_after"))} if "retry_after" in details else {}
    content = {"error": {"code": code, "message": message} | details}
    return web.Response(status=status, body=msgspec.json.encode(content), headers=headers)


def _progress(bounds: Bounds, next: int) -> bytes:
    return f"# {bounds.epoch} {bounds.first} {bounds.head} {next}\n".encode()


def _code(error: CursorError) -> str:
    return {Gone: "gone", Ahead: "ahead", EpochChanged: "epoch_changed"}[type(error)]


def _details(bounds: Bounds) -> dict[str, Any]:
    return bounds._asdict()


def _cursor_refusal(error: CursorError) -> web.Response:
    return refusal(410 if isinstance(error, Gone) else 409, _code(error), str(error), **_details(error.bounds))


def identity_of(event: Encoded) -> bytes:
    return identity(event.source, event.id)


@contextlib.contextmanager
def no_task_left() -> Iterator[None]:
    """The tasks after a block are those from before it; those of a test's own server do not count."""
    before = asyncio.all_tasks()
    yield
    left = [task for task in asyncio.all_tasks() - before if "RequestHandler" not in repr(task.get_coro())]
    assert not left


async def exhaust(batches: AsyncIterator[Batch]) -> None:
    """Read until it ends or raises."""
    async for _ in batches:
        pass


BATCH = 10


def batch_of(number: int) -> list[Encoded]:
    """The events of a numbered batch, of about 20 kB, so that segments roll soon."""
    return events(number * BATCH, BATCH, size=2000)


class StalledExecutor(Executor):
    """Runs what it is given only when told to, in the caller's thread."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.stalled = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, partial(fn, *args, **kwargs)))
        if not self.stalled:
            self.release()
        return future

    def release(self) -> None:
        """Run what waits."""
        while self.waiting:
            future, work = self.waiting.pop(0)
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except Exception as error:  # an executor hands on whatever its work raises
                future.set_exception(error)


def bytes_in(directory: Path) -> float:
    """Of the segments; infinite while one is dropped in the moment in which they are counted."""
    try:
        return sum(path.stat().st_size for path in segment_paths(directory))
    except FileNotFoundError:
        return math.inf
