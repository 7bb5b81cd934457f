"""`Emitter.emit(event)` for any thread or task: at once, without an exception; a thread of its own does the sending."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import random
import socket
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.client.emitting.courier import Courier
from hxp_enterprise_llm.client.emitting.memory import Memory
from hxp_enterprise_llm.client.emitting.post import Later, Outcome, Poster
from hxp_enterprise_llm.client.emitting.spool import Spool
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.runtime.clock import Clock, SystemClock

log = logging.getLogger("hxp.client")

_MAX_LINE = 1024 * 1024
_SHOWN = 200
_REASONS_TOLD = 100


class Stats(NamedTuple):
    """An emitter now. `reason`: why events are not taken; empty while they are."""

    emitted: int
    stored: int
    repeats: int
    refused: int
    dropped: int
    """Events for which neither memory nor disk had room, that cannot be written as JSON, or were removed on disk."""
    waiting: int
    spooled_bytes: int
    reason: str


class Emitter:
    """Sends events to event processing at `base_url` in the background, in batches and in order.

    What cannot be sent waits in memory and, with `spool` (a directory), on disk: it survives the process and is sent by
    the next one with the same ids. What neither takes is dropped, counted and logged.
    """

    def __init__(
        self,
        base_url: str,
        *,
        source: str = "",
        headers: Mapping[str, str] | None = None,
        spool: str | Path | None = None,
        spool_bytes: int = 64 * 1024 * 1024,
        memory_events: int = 10_000,
        memory_bytes: int = 16 * 1024 * 1024,
        batch_events: int = 500,
        batch_bytes: int = 512 * 1024,
        linger: float = 0.1,
        timeout: float = 10.0,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`source` of events that name none; `linger`: seconds in which events are joined; `timeout` of one request in
        seconds; `headers` go with each request, such as an API key. Raises Unreachable when `base_url` is no address,
        and BadHeader.
        """
        self._source = source or f"/client/{socket.gethostname()}"
        self._peer = (base_url, headers or {}, timeout)
        self._post = Poster(*self._peer)
        self._spool, self._spool_bytes = Path(spool) if spool else None, spool_bytes
        self._room = (memory_events, memory_bytes)
        self._batch, self._linger = (batch_events, batch_bytes), linger
        self._clock, self._jitter = clock or SystemClock(), jitter
        self._encode = msgspec.json.Encoder(enc_hook=_as_text).encode
        self._begin()
        me = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _forked(me))
        atexit.register(_at_exit, me)

    def _begin(self) -> None:
        """Everything that belongs to one process."""
        self._memory, self._changed = Memory(*self._room), threading.Condition()
        self._courier: Courier | None = None
        self._emitted = self._dropped = 0
        self._told: set[str] = set()
        self._closing = False
        self._end: float | None = None
        self._thread: threading.Thread | None = None

    def emit(self, event: Mapping[str, Any]) -> bool:
        """Send `{type, data?, subject?, source?, time?, id?}`; False when it was dropped. Never waits, never raises."""
        try:
            line = self._line(event)
        except Exception as error:  # whatever is in the event: the program that reports it goes on
            return self._drop(f"an event that cannot be written as JSON: {error}")
        refused = self._put(line)
        return self._drop(refused) if refused else True

    def _put(self, line: bytes) -> str:
        """Take the event; answers why not, else nothing."""
        with self._changed:
            if self._closing:
                return "an event that came after close()"
            was_half_full = self._memory.half_full
            if not self._memory.put(line):
                return "an event for which there is no room"
            self._emitted += 1
            if self._thread is None:
                self._start()
            elif len(self._memory) == 1 or self._memory.half_full is not was_half_full:
                self._changed.notify_all()
        return ""

    def _line(self, event: Mapping[str, Any]) -> bytes:
        base = {"specversion": "1.0", "id": self._clock.new_id(), "source": self._source}
        whole = {**base, "time": rfc3339(self._clock.time()), **event}
        try:
            line = self._encode(whole)
        except UnicodeEncodeError:
            line = self._encode(_without_halves(whole))
        if len(line) > _MAX_LINE:
            raise ValueError(f"it has {len(line):,} bytes, {_MAX_LINE:,} are taken")
        return line

    def _drop(self, what: str) -> bool:
        """Each reason is logged once: a program that goes wrong does so for each of its events."""
        what = what[:_SHOWN]
        with self._changed:
            self._dropped += 1
            is_new = what not in self._told and len(self._told) < _REASONS_TOLD
            if is_new:
                self._told.add(what)
        if is_new:  # without the lock: a handler of the log may emit, too
            log.error("dropped: %s", what)
        return False

    def start(self) -> Emitter:
        """Begin to send what an earlier process has left behind; else that begins with the first event."""
        with self._changed:
            if self._thread is None and not self._closing:
                self._start()
        return self

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="hxp-emitter", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        courier = self._courier = self._make_courier()
        try:
            while not self._done(courier):
                wait = courier.step()
                if wait != 0.0:
                    self._rest(wait)
        finally:
            self._leave(courier)

    def _make_courier(self) -> Courier:
        spools: Sequence[Spool] = ()
        if self._spool is not None:
            try:
                spools = Spool.claim(self._spool, self._spool_bytes, self._clock.new_id)
            except OSError as error:
                log.error("no spool, events wait in memory alone: %s", error)
        events, size = self._batch
        return Courier(
            self._memory,
            self._changed,
            spools,
            self._send,
            clock=self._clock,
            jitter=self._jitter,
            batch_events=events,
            batch_bytes=size,
        )

    def _send(self, lines: Sequence[bytes]) -> Outcome:
        try:
            return self._post(lines)
        except Exception as error:  # whatever it is: without this thread nothing would ever be sent again
            log.exception("events cannot be posted")
            return Later(f"{type(error).__name__}: {error}")
        finally:
            with self._changed:
                self._changed.notify_all()

    def _rest(self, wait: float | None) -> None:
        """Wait for events, and then for more of them; or until the next try, looking after memory meanwhile."""
        with self._changed:
            if wait is not None:
                self._changed.wait(min(wait, max(self._linger, 0.05)))
                return
            self._changed.notify_all()
            if not len(self._memory) and not self._closing:
                self._changed.wait()
            if not self._closing and not self._memory.half_full:
                self._changed.wait(self._linger)

    def _done(self, courier: Courier) -> bool:
        if not self._closing:
            return False
        finished = not courier.waiting and not courier.spooled_bytes
        return finished or (self._end is not None and self._clock.monotonic() >= self._end)

    def _leave(self, courier: Courier) -> None:
        courier.keep()
        with self._changed:
            waiting = courier.waiting
            self._dropped += waiting
            self._changed.notify_all()
        if waiting:
            log.error("dropped: %d events that could not be sent before the end", waiting)
        courier.release()
        self._post.close()

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until every event emitted so far is stored or refused; False when that takes longer (seconds)."""
        with self._changed:
            wanted = self._emitted
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._settled >= wanted, timeout) if wanted else True

    @property
    def _settled(self) -> int:
        return self._courier.counts.settled if self._courier else 0

    def close(self, timeout: float = 5.0) -> bool:
        """Send what there is within `timeout` seconds, then keep the rest on disk. True: nothing was lost.

        Idempotent; events emitted afterwards are dropped.
        """
        with self._changed:
            if not self._closing:
                self._closing, self._end = True, self._clock.monotonic() + timeout
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout + 15.0)
        return self.stats.dropped == 0

    async def flush_async(self, timeout: float = 10.0) -> bool:
        """`flush` for a program with an event loop, which goes on meanwhile."""
        return await asyncio.to_thread(self.flush, timeout)

    async def close_async(self, timeout: float = 5.0) -> bool:
        """`close` for a program with an event loop, which goes on meanwhile."""
        return await asyncio.to_thread(self.close, timeout)

    @property
    def stats(self) -> Stats:
        """What became of the events so far."""
        courier = self._courier
        if courier is None:
            return Stats(self._emitted, 0, 0, 0, self._dropped, len(self._memory), 0, "")
        counts = courier.counts
        return Stats(
            self._emitted,
            counts.stored,
            counts.repeats,
            counts.refused,
            self._dropped + counts.lost,
            courier.waiting,
            courier.spooled_bytes,
            courier.reason,
        )

    def __enter__(self) -> Emitter:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Emitter:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close_async()

    def _after_fork(self) -> None:
        """The child begins with nothing: what its parent has taken, its parent sends."""
        if self._courier is not None:
            self._courier.forget()
        self._post = Poster(*self._peer)
        self._begin()


def _as_text(value: Any) -> str:
    text: str = _without_halves(str(value)[:_SHOWN])
    return text


def _without_halves(value: Any) -> Any:
    """The value with U+FFFD for each half of a surrogate pair, as cut text has them: there is no JSON for it."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_without_halves(key): _without_halves(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_without_halves(each) for each in value]
    return value


def _forked(emitter: weakref.ref[Emitter]) -> None:
    found = emitter()
    if found is not None:
        found._after_fork()


def _at_exit(emitter: weakref.ref[Emitter]) -> None:
    found = emitter()
    if found is not None:
        found.close(2.0)
