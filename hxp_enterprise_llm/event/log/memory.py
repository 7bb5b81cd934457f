"""A log in memory: for tests, ours and users'. It keeps the whole contract except that it ends with the process."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import NamedTuple

from hxp_enterprise_llm.event.log.checks import check_batch, check_cursor, check_limit
from hxp_enterprise_llm.event.log.chunks import Chunks, chunk_of, scan
from hxp_enterprise_llm.event.log.following import PROGRESS_SECONDS, Bell, follow
from hxp_enterprise_llm.event.log.model import (
    Appended,
    Batch,
    Bounds,
    Health,
    Limits,
    LogClosed,
    LogError,
)
from hxp_enterprise_llm.event.log.numbering import number
from hxp_enterprise_llm.event.log.window import IdentityWindow
from hxp_enterprise_llm.event.model import BEGINNING, Encoded, Offset, TypePatterns
from hxp_enterprise_llm.runtime.clock import Clock, SystemClock


class _Fault(NamedTuple):
    error: LogError
    after_store: bool


class MemoryLog:
    """A log in memory.

    `offset_step` above 1 leaves holes between offsets, as other backends do: code that counts on neighbours fails.
    `progress_seconds` is how often an idle `follow` gives a sign of life.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        limits: Limits | None = None,
        window_events: int = 1_000_000,
        window_seconds: float = 600.0,
        offset_step: int = 1,
        progress_seconds: float = PROGRESS_SECONDS,
    ) -> None:
        self._clock = clock or SystemClock()
        self._limits = limits or Limits()
        self._window = IdentityWindow(window_events, window_seconds)
        self._step, self._progress = offset_step, progress_seconds
        self._chunks = Chunks(BEGINNING)
        self._head = BEGINNING
        self._epoch = self._clock.new_id()
        self._is_open = False
        self._faults: deque[_Fault] = deque()
        self._bell = Bell()

    @property
    def limits(self) -> Limits:
        """What one append may carry."""
        return self._limits

    def fail_next(self, error: LogError, *, after_store: bool = False) -> None:
        """Let the next append raise; `after_store`: it is stored all the same, as when an answer gets lost.

        Called several times, the errors meet the appends in that order.
        """
        self._faults.append(_Fault(error, after_store))

    def recreate(self) -> None:
        """Begin an empty log under a new epoch, as when its files were deleted."""
        self._chunks.clear(BEGINNING)
        self._window.clear()
        self._head = BEGINNING
        self._epoch = self._clock.new_id()
        self._bell.ring()

    async def open(self) -> Bounds:
        """Open, or open again: what was stored is still there."""
        self._is_open = True
        return self._bounds()

    async def append(self, events: Sequence[Encoded], *, deadline: float = 10.0) -> list[Appended]:
        """Store all events or none; see EventLog."""
        check_batch(events, self._limits)
        self._require_open()
        fault = self._faults.popleft() if self._faults else None
        if fault and not fault.after_store:
            raise fault.error
        answer = self._store(events)
        if fault:
            raise fault.error
        return answer

    def _store(self, events: Sequence[Encoded]) -> list[Appended]:
        now = self._clock.time()
        self._window.expire(now)
        numbered = number([events], self._window, self._head, step=self._step)
        if numbered.fresh:
            self._window.add(numbered.identities, numbered.fresh.offsets, now)
            self._chunks.append(chunk_of(numbered.fresh))
            self._head = numbered.fresh.offsets[-1]
            self._bell.ring()
        return list(numbered.answers[0])

    async def read(
        self, after: Offset, limit: int = 1000, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> Batch:
        """Events beyond `after`; see EventLog."""
        return self.read_nowait(after, limit, types=types, epoch=epoch)

    def read_nowait(
        self, after: Offset, limit: int = 1000, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> Batch:
        """As `read`, which never waits here."""
        self._require_open()
        check_limit(limit)
        after = check_cursor(after, epoch, self._bounds())
        return scan(self._chunks.after(after), after, self._head, limit, types)

    def follow(
        self, after: Offset, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> AsyncIterator[Batch]:
        """Read on for ever; see EventLog."""
        read = partial(self.read, types=types, epoch=epoch or self._epoch)
        return follow(read, self._bell, after, progress=self._progress)

    def head_nowait(self) -> Offset:
        """The head."""
        return self._head

    async def bounds(self) -> Bounds:
        """Epoch, first and head."""
        self._require_open()
        return self._bounds()

    async def trim(self, up_to: Offset) -> Offset:
        """Drop whole batches at or below `up_to`; answers the new first."""
        self._require_open()
        self._chunks.drop(up_to)
        return self._bounds().first

    async def health(self) -> Health:
        """How the log is."""
        bounds = self._bounds()
        return Health(
            status="ok" if self._is_open else "down",
            durable=False,
            head=bounds.head,
            first=bounds.first,
            epoch=bounds.epoch,
            bytes=self._chunks.bytes,
            append_p99_ms=0.0,
            reason="in memory: nothing outlives the process" if self._is_open else "closed",
        )

    async def close(self, within: float = 5.0) -> None:
        """Let go of followers; what was stored stays for the next `open`."""
        self._is_open = False
        self._bell.ring()

    def _bounds(self) -> Bounds:
        return Bounds(self._epoch, Offset(self._chunks.floor + 1), self._head)

    def _require_open(self) -> None:
        if not self._is_open:
            raise LogClosed
