"""Which events go next, and where those go that cannot be sent: steps of one thread, without a wait of their own.

memory ──► the service          while it answers
memory ──► spool ──► service    while it does not, and until the spool is empty again: the order is kept
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hxp_enterprise_llm.client.emitting.memory import Memory
from hxp_enterprise_llm.client.emitting.post import Later, Outcome, Stored, Unwanted
from hxp_enterprise_llm.client.emitting.spool import Spool, SpoolFull
from hxp_enterprise_llm.runtime.clock import Clock

log = logging.getLogger("hxp.client")

_FIRST_DELAY, _LONGEST_DELAY = 0.25, 5.0
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
"""Errors of a spool whose files were removed or changed: no other try will find them."""


@dataclass(slots=True)
class Counts:
    """What became of the events so far."""

    stored: int = 0
    """Events that the service has, those of earlier processes included."""
    repeats: int = 0
    """Those among them that it had already: their answer had been lost."""
    refused: int = 0
    """Events that the service will never take; each reason is logged."""
    settled: int = 0
    """Events of this process that need no further work: stored, refused or lost."""
    lost: int = 0
    """Events of this process that were on disk until somebody removed them there."""


class Courier:
    """Takes events from `memory` (held by `lock`) to the service, by way of the spools where it must."""

    def __init__(
        self,
        memory: Memory,
        lock: threading.Condition,
        spools: Sequence[Spool],
        post: Callable[[Sequence[bytes]], Outcome],
        *,
        clock: Clock,
        jitter: Callable[[], float],
        batch_events: int,
        batch_bytes: int,
    ) -> None:
        """`spools`: those of earlier processes, then our own; none: memory alone."""
        self._memory, self._lock, self._post = memory, lock, post
        self._left, self._own = list(spools[:-1]), spools[-1] if spools else None
        self._clock, self._jitter = clock, jitter
        self._batch_events, self._batch_bytes = batch_events, batch_bytes
        self._pending: list[bytes] = []
        self._spooled = 0
        self._delay, self._not_before = _FIRST_DELAY, 0.0
        self.counts = Counts()
        self.reason = ""
        """Why the service does not take events; empty while it does."""
        self.spool_full = False

    @property
    def waiting(self) -> int:
        """Events in memory that are not stored."""
        return len(self._pending) + len(self._memory)

    @property
    def spooled_bytes(self) -> int:
        return sum(spool.bytes for spool in self._spools())

    def _spools(self) -> list[Spool]:
        return [*self._left, self._own] if self._own else self._left

    def step(self) -> float | None:
        """Do one piece of work; answers the seconds until the next, None when there is nothing to do."""
        wait = self._not_before - self._clock.monotonic()
        if wait > 0:
            self.keep()
            return wait
        spool = next((spool for spool in self._spools() if not spool.empty), None)
        if spool is not None:
            return self._send_spooled(spool)
        return self._send_from_memory()

    def _send_spooled(self, spool: Spool) -> float:
        if self._memory.half_full:
            self.keep()
        try:
            lines = spool.peek(self._batch_events, self._batch_bytes)
            if not lines:
                raise OSError(errno.ESTALE, "somebody else has changed it")
            if self._deliver(lines, own=spool is self._own):
                self._spooled -= len(lines) if spool is self._own else 0
                spool.advance(lines)
        except OSError as error:
            self._unreadable(spool, error)
            return 0.0
        if spool.empty and spool in self._left:
            self._left.remove(spool)
            spool.release()
        return 0.0

    def _unreadable(self, spool: Spool, error: OSError) -> None:
        """One that was left behind is left alone: the others do not wait for it."""
        if spool in self._left:
            log.error("the spool %s is left alone: %s", spool.directory, error)
            self._left.remove(spool)
            spool.forget()
        elif error.errno in _GONE:
            self._lose(spool, error)
        else:
            self._fail(f"the spool {spool.directory} cannot be read: {error.strerror or error}", None)

    def _lose(self, spool: Spool, error: OSError) -> None:
        """Our own is gone, as after a cleaning of temporary files: what follows must not wait for it."""
        why = error.strerror or error
        log.error(
            "%d events are lost with the spool %s, the next wait in memory: %s", self._spooled, spool.directory, why
        )
        self.counts.lost += self._spooled
        self.counts.settled += self._spooled
        self._spooled, self._own, self.spool_full = 0, None, False
        spool.forget()

    def _send_from_memory(self) -> float | None:
        if not self._pending:
            with self._lock:
                self._pending = self._memory.take(self._batch_events, self._batch_bytes)
        if not self._pending:
            return None
        if self._deliver(self._pending, own=True):
            self._pending = []
        else:
            self.keep()
        return 0.0

    def keep(self) -> bool:
        """Take what is in memory to the disk; False when it has no room, or there is no spool."""
        while self._own is not None:
            if not self._pending:
                with self._lock:
                    self._pending = self._memory.take(self._batch_events, self._batch_bytes)
            if not self._pending:
                return True
            try:
                self._own.append(self._pending)
                self._spooled += len(self._pending)
            except (SpoolFull, OSError) as error:
                if not self.spool_full:
                    log.error("%s", error)
                self.spool_full = True
                return False
            self._pending, self.spool_full = [], False
        return not self.waiting

    def _deliver(self, lines: Sequence[bytes], *, own: bool) -> bool:
        """Send the lines; True once each is stored or will never be. False: all are to be sent again."""
        rest = [list(lines)]
        stored = repeats = refused = 0
        while rest:
            batch = rest.pop(0)
            outcome = self._post(batch) if batch else Stored(0)
            if isinstance(outcome, Stored):
                stored, repeats = stored + len(batch), repeats + outcome.repeats
            elif isinstance(outcome, Later):
                self._fail(outcome.reason, outcome.after)
                return False
            else:
                parts = _without(batch, outcome)
                refused += len(batch) - sum(map(len, parts))
                if sum(map(len, parts)) < len(batch):
                    log.error("event processing does not take an event: %s", outcome.reason)
                rest = [*parts, *rest]
        self._worked()
        self.counts.stored += stored
        self.counts.repeats += repeats
        self.counts.refused += refused
        self.counts.settled += len(lines) if own else 0
        return True

    def _worked(self) -> None:
        if self.reason:
            log.warning("events are taken again")
        self.reason, self._delay, self._not_before = "", _FIRST_DELAY, 0.0

    def _fail(self, reason: str, after: float | None) -> None:
        if not self.reason:
            where = "kept on disk" if self._own else "kept in memory"
            log.warning("events cannot be sent and are %s: %s", where, reason)
        self.reason = reason
        pause = self._delay * (0.5 + 0.5 * self._jitter()) if after is None else after
        self._not_before = self._clock.monotonic() + pause
        self._delay = min(2 * self._delay, _LONGEST_DELAY)

    def forget(self) -> None:
        """The process is a child of the one that owns the spools."""
        for spool in self._spools():
            spool.forget()

    def release(self) -> None:
        """Give the spools up."""
        for spool in self._spools():
            with suppress(OSError):
                spool.release()


def _without(batch: list[bytes], outcome: Unwanted) -> list[list[bytes]]:
    """What is worth another try; halves of the batch when it is not said which events are at fault."""
    if outcome.at:
        return [[line for at, line in enumerate(batch) if at not in outcome.at]]
    if len(batch) == 1:
        return []
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]]
