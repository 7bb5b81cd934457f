"""The contract of the event log: what every backend honours (SQLite, memory, remote; later JetStream, Redis).

Errors:

    LogError
    ├── BatchTooLarge, EventTooLarge     nothing was sent, nothing stored
    ├── LogFull                          nothing of the batch is stored; room must be made first
    ├── LogUnavailable                   `maybe_stored`: send the same ids again
    ├── LogClosed                        nothing stored; the process re-opens the log
    ├── LogCorrupt                       a record failed its checksum, or the files contradict each other
    ├── LogLocked                        another process owns the log
    └── CursorError                      (of read and follow)
        ├── Gone                         the cursor is older than what the log still has
        ├── Ahead                        the cursor is beyond the head
        └── EpochChanged                 the log was recreated: offsets of the old epoch mean nothing now
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import AsyncIterator, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import msgspec

from hxp_enterprise_llm.event.model import Encoded, Offset, TypePatterns


class Stored(NamedTuple):
    """An event in the log. `raw` is what was appended, byte for byte."""

    offset: Offset
    type: str
    raw: bytes


class Appended(NamedTuple):
    """Answer for one appended event: its offset, or the first offset when it is a repeat."""

    offset: Offset
    duplicate: bool


class Batch(NamedTuple):
    """A stretch of the log. `next` is where the scan ended, which may lie beyond the last event chosen."""

    events: Sequence[Stored]
    next: Offset
    head: Offset


class Bounds(NamedTuple):
    """What the log holds: `first` is head + 1 when it is empty. A cursor is readable iff first-1 <= after <= head."""

    epoch: str
    first: Offset
    head: Offset


class Limits(NamedTuple):
    """What one append may carry."""

    max_batch_events: int = 4096
    max_batch_bytes: int = 32 * 1024 * 1024
    max_event_bytes: int = 1024 * 1024


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """State of a log in words that an operator reads."""

    status: Literal["ok", "read_only", "down"]
    durable: bool
    head: int
    first: int
    epoch: str
    bytes: int
    append_p99_ms: float | None = None
    reason: str = ""
    findings: tuple[str, ...] = ()
    """What is wrong although the log works: damaged records, a new epoch because files were not what they had been."""


class EventLog(Protocol):
    """An ordered, durable record of events. All cursors are pulled: a reader that stops costs nothing."""

    @property
    def limits(self) -> Limits: ...

    async def open(self) -> Bounds:
        """Open or create the log, rebuild the window of identities. Raises LogLocked, LogCorrupt, LogUnavailable."""
        ...

    async def append(self, events: Sequence[Encoded], *, deadline: float = 10.0) -> list[Appended]:
        """Store all events or none, durably, and answer in their order.

        A repeat, recognised by (source, id) within the window and inside the batch, is answered with its first
        offset. `deadline` is in seconds. Raises BatchTooLarge, EventTooLarge, LogFull, LogUnavailable, LogClosed.
        """
        ...

    async def read(
        self, after: Offset, limit: int = 1000, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> Batch:
        """Events beyond `after`, ascending, at most `limit` and about 1 MiB scanned, at least one when there is one.

        `next == after` means: at the head. EARLIEST stands for whatever is still there.
        Raises Gone, Ahead, EpochChanged, LogUnavailable, LogClosed.
        """
        ...

    def follow(
        self, after: Offset, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> AsyncIterator[Batch]:
        """Read on for ever; at the head, wait. An empty batch comes at least each 10 s as a sign of life."""
        ...

    async def bounds(self) -> Bounds:
        """Epoch, first and head."""
        ...

    async def trim(self, up_to: Offset) -> Offset:
        """Drop whole records or segments at or below `up_to`; answers the new first. May keep more, never less."""
        ...

    async def health(self) -> Health:
        """How the log is; never raises."""
        ...

    async def close(self, within: float = 5.0) -> None:
        """Finish what is under way within so many seconds and let go. Idempotent."""
        ...


@runtime_checkable
class BeginsAppends(Protocol):
    """What a log of this process may offer beside EventLog."""

    def begin_append(self, events: Sequence[Encoded], *, deadline: float = 10.0) -> Future[Sequence[Appended]]:
        """`append` that takes no task: what it would raise is the future's exception."""
        ...

    def bounds_nowait(self) -> Bounds:
        """`bounds`, which this process knows. Raises LogClosed."""
        ...


@runtime_checkable
class ReadsNow(Protocol):
    """What a log that keeps its newest events in memory may offer beside EventLog."""

    def read_nowait(
        self, after: Offset, limit: int = 1000, *, types: TypePatterns | None = None, epoch: str | None = None
    ) -> Batch | None:
        """`read` without a pause; None when it takes more than memory."""
        ...

    def head_nowait(self) -> Offset:
        """The head as far as this process knows it; BEGINNING while the log is not open."""
        ...


class LogError(Exception):
    """Base of what a log raises."""


class BatchTooLarge(LogError):
    def __init__(self, limit: int, found: int, unit: Literal["events", "bytes"]) -> None:
        super().__init__(limit, found, unit)
        self.limit, self.found, self.unit = limit, found, unit

    def __str__(self) -> str:
        return f"the batch has {self.found:,} {self.unit}, at most {self.limit:,} go into one append"


class EventTooLarge(LogError):
    def __init__(self, limit: int, found: int, index: int) -> None:
        super().__init__(limit, found, index)
        self.limit, self.found, self.index = limit, found, index

    def __str__(self) -> str:
        return f"event {self.index} has {self.found:,} bytes, at most {self.limit:,} are taken"


class LogFull(LogError):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the log is full: {self.reason}"


class LogUnavailable(LogError):
    def __init__(self, reason: str, *, maybe_stored: bool) -> None:
        super().__init__(reason)
        self.reason, self.maybe_stored = reason, maybe_stored

    def __str__(self) -> str:
        hint = "; it may have been stored: send the same ids again" if self.maybe_stored else ""
        return f"the log is not available: {self.reason}{hint}"


class LogClosed(LogError):
    def __str__(self) -> str:
        return "the log is closed"


class LogCorrupt(LogError):
    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where, self.reason = where, reason

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class LogLocked(LogError):
    def __init__(self, path: str, owner: str) -> None:
        super().__init__(path, owner)
        self.path, self.owner = path, owner

    def __str__(self) -> str:
        return f"{self.path} is in use by {self.owner}; one process owns a log"


class CursorError(LogError):
    """A cursor that the log cannot serve; carries what the log has."""

    def __init__(self, bounds: Bounds, after: int) -> None:
        super().__init__(bounds, after)
        self.bounds, self.after = bounds, after


class Gone(CursorError):
    def __str__(self) -> str:
        return f"offset {self.after} is no longer in the log, which begins at {self.bounds.first}"


class Ahead(CursorError):
    def __str__(self) -> str:
        return f"offset {self.after} is beyond the head of the log, {self.bounds.head}"


class EpochChanged(CursorError):
    def __init__(self, bounds: Bounds, after: int, asked: str) -> None:
        super().__init__(bounds, after)
        self.args = (bounds, after, asked)
        self.asked = asked

    def __str__(self) -> str:
        return f"the log has epoch {self.bounds.epoch}, not {self.asked}: it was recreated"
