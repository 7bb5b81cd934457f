"""RemoteLog: the log of another process, over its HTTP API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from typing import NamedTuple

import aiohttp
import structlog

from hxp_enterprise_llm.event.log.checks import check_batch, check_limit
from hxp_enterprise_llm.event.log.chunks import SCAN_BYTES
from hxp_enterprise_llm.event.log.model import (
    Ahead,
    Appended,
    Batch,
    Bounds,
    Gone,
    Health,
    Limits,
    LogClosed,
    LogError,
    LogFull,
    LogUnavailable,
    Stored,
)
from hxp_enterprise_llm.event.log.remote.answers import (
    NotOwner,
    RemoteBounds,
    RemoteRefused,
    Retry,
    append_error,
    read_appended,
    read_bounds,
    read_refusal,
)
from hxp_enterprise_llm.event.log.remote.blocks import BlockDecoder
from hxp_enterprise_llm.event.log.remote.calls import FAILURES, Calls, backoff, protocol_errors
from hxp_enterprise_llm.event.log.remote.lines import ProtocolError, StreamDecoder, asked_types, cursor_error
from hxp_enterprise_llm.event.model import BEGINNING, EARLIEST, Encoded, Offset, TypePatterns
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.telemetry.metrics import LogMetrics

log = structlog.get_logger("log")

_ANSWER_SECONDS = 10.0
_MAX_ANSWER_BYTES = 4 * 1024 * 1024
_HEADERS = {"Content-Type": "application/cloudevents-batch+json"}


class _Cursor(NamedTuple):
    after: Offset
    epoch: str | None


class RemoteLog:
    """The log that answers under `base_url`, e.g. `http://127.0.0.1:9100`.

    A cursor beyond the head is refused only when that still holds after `ahead_grace` seconds: behind one address there
    may be several members, and one that lags knows an older head. `silence` is how long a stream may say nothing
    (seconds) until it is taken for dead. The session stays the caller's. `ours`: it is a process of ours that answers,
    and it may send blocks.
    """

    def __init__(
        self,
        base_url: str,
        *,
        session: aiohttp.ClientSession,
        clock: Clock,
        metrics: LogMetrics | None = None,
        ahead_grace: float = 10.0,
        silence: float = 30.0,
        ours: bool = False,
    ) -> None:
        self._url = base_url.rstrip("/") + "/events"
        self._session, self._clock, self._metrics = session, clock, metrics
        self._ahead_grace = ahead_grace
        self._decoding = BlockDecoder if ours else StreamDecoder
        # No total: a stream lasts for ever.
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=silence)
        self._limits = Limits()
        self._bounds = Bounds("", Offset(1), BEGINNING)
        self._calls: Calls | None = None

    @property
    def limits(self) -> Limits:
        """What one append may carry; the far side's own once the log is open."""
        return self._limits

    async def open(self) -> Bounds:
        """Ask the far side for bounds and limits. Raises LogUnavailable, RemoteRefused.

        The log is open all the same: it answers as soon as the far side does.
        """
        self._calls = Calls()
        return await self.bounds()

    async def append(self, events: Sequence[Encoded], *, deadline: float = 10.0) -> list[Appended]:
        """Store all events or none; see EventLog. Raises also RemoteRefused."""
        try:
            check_batch(events, self._limits)
            calls = self._open_calls()
            return await self._append(calls, events, deadline) if events else []
        except LogError as error:
            if self._metrics:
                self._metrics.append_errors.labels(type(error).__name__).inc()
            raise

    async def _append(self, calls: Calls, events: Sequence[Encoded], deadline: float) -> list[Appended]:
        end = self._clock.monotonic() + deadline
        body = b"[" + b",".join([event.raw for event in events]) + b"]"
        maybe_stored = False
        for pause in backoff():
            try:
                return self._count(await self._post(calls, body, len(events), end))
            except Retry as error:
                maybe_stored |= error.maybe_stored
                reason, pause = error.reason, max(pause, error.after)
            except (LogFull, LogClosed) as error:
                if maybe_stored:  # by an earlier try, whose answer was lost
                    raise LogUnavailable(str(error), maybe_stored=True) from error
                raise
            if calls.closed or self._clock.monotonic() + pause >= end:
                raise LogUnavailable(reason, maybe_stored=maybe_stored)
            with suppress(LogClosed):  # the next try says so, with what is known of those before
                await self._pause(calls, pause)
        raise AssertionError("backoff has no end")

    async def _post(self, calls: Calls, body: bytes, count: int, end: float) -> list[Appended]:
        within = max(0.0, end - self._clock.monotonic())
        async with (
            calls.waiting(within),
            self._session.post(self._url, data=body, headers=_HEADERS, timeout=self._timeout) as response,
        ):
            answer = await _body_of(response)
            if response.status == 202:
                return read_appended(answer, count)
        raise append_error(self._url, read_refusal(response.status, answer), response.headers, len(body))

    def _count(self, answer: list[Appended]) -> list[Appended]:
        if self._metrics:
            repeats = sum(appended.duplicate for appended in answer)
            self._metrics.duplicates.inc(repeats)
            self._metrics.appended.inc(len(answer) - repeats)
        return answer

    async def read(
        self, after: Offset, limit: int = 1000, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> Batch:
        """Events beyond `after`; see EventLog. Raises also RemoteRefused."""
        check_limit(limit)
        calls = self._open_calls()
        since = self._clock.monotonic()
        for pause in backoff():
            try:
                cursor = await self._resolve(calls, _Cursor(after, epoch))
                return await self._read(calls, cursor, limit, types)
            except (Ahead, Gone) as error:
                if not self._may_pass(error, after, since):
                    raise
            except Retry as error:
                raise LogUnavailable(error.reason, maybe_stored=False) from error
            await self._pause(calls, pause)
        raise AssertionError("backoff has no end")

    def _may_pass(self, error: Ahead | Gone, after: Offset, since: float) -> bool:
        """Whether another try may do better: a member that lags catches up; EARLIEST was overtaken by a trim."""
        if isinstance(error, Gone):
            return after == EARLIEST
        return self._clock.monotonic() - since < self._ahead_grace

    async def _resolve(self, calls: Calls, cursor: _Cursor) -> _Cursor:
        if cursor.after != EARLIEST:
            return cursor
        bounds = (await self._ask_bounds(calls)).bounds()
        return cursor._replace(after=Offset(bounds.first - 1))

    async def _read(self, calls: Calls, cursor: _Cursor, limit: int, types: TypePatterns | None) -> Batch:
        decoder = self._decoder(cursor)
        events: list[Stored] = []
        scanned = 0
        async with aclosing(self._chunks(calls, cursor, wait=False, limit=limit)) as chunks:
            async for data in chunks:
                with protocol_errors():
                    batch = decoder.feed(data, types)
                events.extend(batch.events if batch else ())
                scanned += len(data)
                if scanned >= SCAN_BYTES and decoder.next > cursor.after:
                    break
        bounds = decoder.bounds
        if bounds is None or not (decoder.progressed or decoder.next > cursor.after):
            raise Retry(f"{self._url}/stream ended before it said anything", maybe_stored=False)
        self._learn(bounds)
        return Batch(tuple(events), decoder.next, max(bounds.head, decoder.next))

    async def follow(
        self, after: Offset, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> AsyncIterator[Batch]:
        """Read on for ever, over as many connections as it takes; see EventLog. Raises also RemoteRefused."""
        calls = self._open_calls()
        cursor = _Cursor(after, epoch)
        pauses, since = backoff(), self._clock.monotonic()
        while True:
            reason = "the far side ended the stream"
            try:
                async with aclosing(self._stream(calls, cursor, types)) as stream:
                    async for batch, reached in stream:
                        cursor, pauses = reached, backoff()
                        yield batch
                        since = self._clock.monotonic()
            except Retry as error:
                reason = error.reason
            except (Ahead, Gone) as error:
                if not self._may_pass(error, cursor.after, since):
                    raise
                reason = str(error)
            pause = next(pauses)
            log.warning("follow.lost", url=self._url, reason=reason, after=cursor.after, retry_seconds=pause)
            await self._pause(calls, pause)

    async def _stream(
        self, calls: Calls, cursor: _Cursor, types: TypePatterns | None
    ) -> AsyncGenerator[tuple[Batch, _Cursor], None]:
        """Batches of one connection, each with the cursor after it."""
        cursor = await self._resolve(calls, cursor)
        decoder = self._decoder(cursor)
        async with aclosing(self._chunks(calls, cursor, wait=True, types=types)) as chunks:
            async for data in chunks:
                with protocol_errors():
                    batch = decoder.feed(data, types)
                if batch is not None and decoder.bounds is not None:
                    self._learn(decoder.bounds._replace(head=batch.head))
                    yield batch, _Cursor(decoder.next, decoder.epoch)

    def _decoder(self, cursor: _Cursor) -> StreamDecoder:
        return self._decoding(cursor.after, cursor.epoch, self._limits.max_event_bytes)

    async def _chunks(
        self,
        calls: Calls,
        cursor: _Cursor,
        *,
        wait: bool,
        limit: int | None = None,
        types: TypePatterns | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of one stream. One that is not read holds the far side back, at no cost to it.

        What is not of `types` is not sent at all when they can be asked for.
        """
        query = {"after": str(cursor.after), "wait": "1" if wait else "0"}
        if asked := asked_types(types):
            query["type"] = asked
        if cursor.epoch is not None:
            query["epoch"] = cursor.epoch
        if limit is not None:
            query["limit"] = str(limit)
        async with calls.waiting(_ANSWER_SECONDS):
            response = await self._session.get(f"{self._url}/stream", params=query, timeout=self._timeout)
        try:
            if response.status != 200:
                await self._refused(calls, response, cursor)
            with calls.streaming(response.close):
                while data := await _piece(calls, response):
                    yield data
        finally:
            response.close()

    async def _refused(self, calls: Calls, response: aiohttp.ClientResponse, cursor: _Cursor) -> None:
        async with calls.waiting(_ANSWER_SECONDS):
            body = await _body_of(response)
            status, code, message, _ = read_refusal(response.status, body)
            if error := cursor_error(code, body, cursor.after, cursor.epoch):
                raise error
        if status == 429 or status >= 500:
            raise Retry(f"{self._url} answered {status} {code}: {message}", maybe_stored=False)
        raise RemoteRefused(str(response.url), status, code, message)

    async def bounds(self) -> Bounds:
        """Epoch, first and head, as the far side has them now. Raises LogUnavailable, RemoteRefused."""
        try:
            answer = await self._ask_bounds(self._open_calls())
        except Retry as error:
            raise LogUnavailable(error.reason, maybe_stored=False) from error
        self._limits = answer.as_limits()
        return self._learn(answer.bounds())

    async def _ask_bounds(self, calls: Calls) -> RemoteBounds:
        url = f"{self._url}/bounds"
        async with (
            calls.waiting(_ANSWER_SECONDS),
            self._session.get(url, timeout=self._timeout) as response,
        ):
            body = await _body_of(response)
            if response.status == 200:
                return read_bounds(body)
        status, code, message, _ = read_refusal(response.status, body)
        if status >= 500:
            raise Retry(f"{url} answered {status} {code}: {message}", maybe_stored=False)
        raise RemoteRefused(url, status, code, message)

    async def trim(self, up_to: Offset) -> Offset:
        """Raises NotOwner: old events are dropped where they lie."""
        raise NotOwner("trim", self._url)

    async def health(self) -> Health:
        """How the far side says it is; `down` with the reason when it says nothing. Never raises."""
        try:
            return (await self._ask_bounds(self._open_calls())).health()
        except (LogError, Retry) as error:
            reason = str(error)
        epoch, first, head = self._bounds
        return Health(status="down", durable=False, head=head, first=first, epoch=epoch, bytes=0, reason=reason)

    async def close(self, within: float = 5.0) -> None:
        """End followers, let appends finish within so many seconds. Idempotent; the session stays open."""
        if self._calls is not None:
            await self._calls.close(within)

    def _open_calls(self) -> Calls:
        if self._calls is None or self._calls.closed:
            raise LogClosed
        return self._calls

    def _learn(self, bounds: Bounds) -> Bounds:
        self._bounds = bounds
        if self._metrics:
            self._metrics.head.set(bounds.head)
            self._metrics.first.set(bounds.first)
        return bounds

    async def _pause(self, calls: Calls, seconds: float) -> None:
        with suppress(Retry):
            async with calls.waiting(None):
                await asyncio.sleep(seconds)


async def _piece(calls: Calls, response: aiohttp.ClientResponse) -> bytes:
    """What has come of a stream; empty at its end. Each event may come alone: a timeout for each would cost more."""
    if calls.closed:
        raise LogClosed
    try:
        return await response.content.readany()
    except FAILURES as error:
        raise calls.failure(error) from error


async def _body_of(response: aiohttp.ClientResponse) -> bytes:
    """The body of an answer. Raises ProtocolError when it is longer than any answer of a log."""
    body = b""
    async for data in response.content.iter_any():
        body += data
        if len(body) > _MAX_ANSWER_BYTES:
            raise ProtocolError(f"an answer of more than {_MAX_ANSWER_BYTES:,} bytes")
    return body
