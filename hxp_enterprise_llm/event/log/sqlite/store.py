"""The log on disk without a loop: synchronous calls that an executor runs, writes one at a time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, TypeVar

import structlog

from hxp_enterprise_llm.event.log.chunks import Chunk, chunk_of, scan
from hxp_enterprise_llm.event.log.model import Appended, Batch, Bounds, LogError, LogFull, LogUnavailable
from hxp_enterprise_llm.event.log.numbering import Numbered, number
from hxp_enterprise_llm.event.log.packing import Damaged, identities_of, pack, split
from hxp_enterprise_llm.event.log.sqlite.errors import explain, is_fatal
from hxp_enterprise_llm.event.log.sqlite.examine import Damage
from hxp_enterprise_llm.event.log.sqlite.files import DirectoryLock, HeadWitness, Reserve, prepare_directory
from hxp_enterprise_llm.event.log.sqlite.segment import damage
from hxp_enterprise_llm.event.log.sqlite.segments import Segments
from hxp_enterprise_llm.event.log.window import IdentityWindow
from hxp_enterprise_llm.event.model import Encoded, Offset, TypePatterns
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.files import listed

log = structlog.get_logger("log")

_CHECKPOINT_BYTES = 8 * 1024 * 1024
"""In use; then the write-ahead log is moved into its segment and written from its beginning again."""
_WAL_SHARE = 8
"""Of a small segment, the write-ahead log has this part from the beginning."""
_SPACE_CHECK_SECONDS = 1.0
_LEAST_SEGMENT_BYTES = 256 * 1024

T = TypeVar("T")


class Sizes(NamedTuple):
    """Bytes on disk: of one segment, of the log, and what is held back for a full disk."""

    segment: int
    budget: int
    reserve: int


class View(NamedTuple):
    """The state of the log after a call, for those who do not run in its thread."""

    bounds: Bounds
    bytes: int
    full: str
    """Why nothing can be stored now; empty when it can."""
    doubt: str = ""
    """Why the log was opened under a new epoch; empty when it was not."""
    unreadable: Sequence[Damage] = ()
    """Whole segments that cannot be read; told once, when the log is opened."""


class Committed(NamedTuple):
    """What a commit did."""

    answers: list[Sequence[Appended]]
    chunks: list[Chunk]
    view: View
    seconds: float


class Store:
    """Segments, window, lock, note of the head and reserve of one log directory.

    Writing calls raise LogError only. After a fatal one (`fatal` is set) everything but reading is refused.
    """

    def __init__(self, directory: Path, sizes: Sizes, window: IdentityWindow, clock: Clock) -> None:
        self.directory, self.sizes = directory, sizes
        self.fatal: LogError | None = None
        self._window, self._clock = window, clock
        self._lock = DirectoryLock(directory / "lock")
        self._witness = HeadWitness(directory)
        self._reserve = Reserve(directory / "reserve", sizes.reserve)
        self._segments = Segments(directory, min(_CHECKPOINT_BYTES, self._segment_bytes // _WAL_SHARE))
        # An injected executor may have several threads.
        self._writing = threading.Lock()
        self._full = ""
        self._doubt = ""
        self._space_checked = 0.0
        self._last_at = 0.0

    def open(self) -> View:
        """Open or create the log. Raises LogLocked, LogCorrupt, LogFull, LogUnavailable."""
        prepare_directory(self.directory)
        self._lock.acquire()
        try:
            self._open_files()
        except (sqlite3.Error, OSError, LogError) as error:
            self.close()
            raise self._why_not_opened(error) from error
        return self.view()._replace(unreadable=self._segments.unreadable)

    def _why_not_opened(self, error: sqlite3.Error | OSError | LogError) -> LogError:
        failure = error if isinstance(error, LogError) else explain(error, self.directory / "reserve")
        if isinstance(failure, LogFull):
            # SQLite needs some room even to open a file: the next try finds it.
            self._reserve.release()
        if isinstance(failure, LogUnavailable):
            return LogUnavailable(failure.reason, maybe_stored=False)
        return failure

    def _open_files(self) -> None:
        witnessed = self._witness.open()
        if witnessed is None and not listed(self.directory, ".db"):
            self._witness.note("-", 0)
        doubt = self._segments.open(witnessed, self._clock.new_id)
        self._doubt = doubt
        if doubt:
            log.error("log.epoch_changed", directory=str(self.directory), reason=doubt, epoch=self._segments.epoch)
        self._note_head()
        self._witness.sync(new=True)
        self._fill_window()
        if not self._reserve.hold():
            self._set_full(LogFull(f"{self.directory}: no room for the reserve of {self.sizes.reserve:,} bytes"))

    def _fill_window(self) -> None:
        oldest = self._clock.time() - self._window.max_seconds
        entries: list[tuple[list[bytes], range, float]] = []
        found = 0
        for path, record in self._segments.records_newest_first():
            self._last_at = max(self._last_at, record.at)
            # The newest record is always looked at: the head is what it says.
            if entries and record.at <= oldest:
                break
            try:
                entries.append((*identities_of(record), record.at))
            except Damaged as error:
                raise damage(path, record, error) from error
            found += record.n
            if found >= self._window.max_events:
                break
        for keys, offsets, at in reversed(entries):
            self._window.add(keys, [Offset(offset) for offset in offsets], at)

    def view(self) -> View:
        """The state now."""
        return View(self._segments.bounds, self._segments.size, self._full, self._doubt)

    def commit(self, batches: Sequence[Sequence[Encoded]]) -> Committed:
        """Store batches in one transaction. Raises LogFull, LogUnavailable, LogCorrupt; nobody's batch is in then."""
        with self._writing:
            self._require_writable()
            begun = self._clock.monotonic()
            # Never back, so that the window can be rebuilt from the tail after the wall clock was set.
            at = self._last_at = max(self._last_at, self._clock.time())
            self._window.expire(at)
            numbered = number(batches, self._window, self._segments.head)
            chunks = self._guarded(lambda: self._write(numbered, at)) if numbered.fresh else []
            return Committed(numbered.answers, chunks, self.view(), self._clock.monotonic() - begun)

    def _write(self, numbered: Numbered, at: float) -> list[Chunk]:
        fresh, identities = numbered.fresh, numbered.identities
        ranges = list(split(fresh.raws))
        records = [pack(fresh[start:end], identities[start:end], at) for start, end in ranges]
        self._segments.insert(records)
        self._note_commit()
        chunks = []
        for start, end in ranges:
            events = fresh[start:end]
            self._window.add(identities[start:end], events.offsets, at)
            chunks.append(chunk_of(events))
        return chunks

    def _note_commit(self) -> None:
        try:
            self._note_head()
        except OSError as error:
            failure = explain(error, self._witness.path)
            if not isinstance(failure, LogFull):
                raise
            # The events are in the log whatever becomes of the note; refused, they would be stored a second time.
            # Nothing more is stored until there is room, and then the note is made first.
            self._set_full(failure)

    def _note_head(self) -> None:
        self._witness.note(self._segments.epoch, self._segments.head)

    @property
    def maintenance_due(self) -> bool:
        """Whether `maintain` has something to do."""
        return self._roll_due or self._drop_due or self._segments.wal_bytes >= _CHECKPOINT_BYTES

    @property
    def _roll_due(self) -> bool:
        return self._segments.active_size >= self._segment_bytes

    @property
    def _segment_bytes(self) -> int:
        # The budget is kept by dropping whole segments, so several must fit into it.
        return max(min(self.sizes.segment, self.sizes.budget // 4), _LEAST_SEGMENT_BYTES)

    @property
    def _drop_due(self) -> bool:
        return self._segments.has_sealed and self._segments.size > self.sizes.budget

    def maintain(self) -> View:
        """Do the next piece of upkeep, small enough that an append can wait for it. Raises LogFull, LogUnavailable."""
        with self._writing:
            self._require_writable()
            if not (self._roll_due or self._drop_due) and self._segments.wal_bytes:
                self._guarded(self._checkpoint)
            # Both at once: where every commit fills a segment, the oldest would else never be dropped.
            if self._drop_due:
                self._guarded(lambda: self._drop_oldest(self._segments.head))
            if self._roll_due:
                self._guarded(self._roll)
            return self.view()

    def _checkpoint(self) -> None:
        self._segments.checkpoint()
        self._witness.sync()

    def _roll(self) -> None:
        self._segments.roll(self._segments.epoch, Offset(self._segments.head + 1))
        self._witness.sync()
        log.info("segment.opened", path=str(self._segments.active_path), first=self._segments.head + 1)

    def _drop_oldest(self, up_to: Offset) -> bool:
        dropped = self._segments.drop_oldest(up_to)
        if dropped:
            log.info("segment.dropped", path=str(dropped.path), first=dropped.first, last=dropped.last)
        return dropped is not None

    def trim(self, up_to: Offset) -> tuple[bool, View]:
        """Drop one segment that ends at or below an offset; False when there was none left. Raises LogUnavailable."""
        with self._writing:
            if up_to >= self._segments.head and not self._segments.active_is_empty:
                self._require_writable()
                self._guarded(self._roll)
            return self._guarded(lambda: self._drop_oldest(up_to)), self.view()

    def read(self, after: Offset, limit: int, types: TypePatterns | None, head: Offset) -> Batch:
        """Events beyond `after` up to `head` from disk. Raises Gone, LogCorrupt, LogUnavailable."""
        with self._segments.reading():
            try:
                with closing(self._segments.chunks(after, head)) as chunks:
                    return scan(chunks, after, head, limit, types)
            except sqlite3.Error as error:
                raise explain(error, self.directory) from error

    def scrub(self, after: Offset, max_bytes: int) -> tuple[Offset, int, list[Damage]]:
        """Look for damage beyond a cursor; see Segments. Raises LogClosed."""
        with self._segments.reading():
            return self._segments.scrub(after, max_bytes)

    def require_in_place(self) -> tuple[None, View]:
        """Raises LogUnavailable, which is fatal, when the file that is written was moved away."""
        with self._writing:
            if self.fatal is None:
                self._guarded(self._segments.require_in_place)
            return None, self.view()

    def recover_space(self) -> tuple[bool, View]:
        """After the disk was full: look whether there is room again. Raises LogUnavailable."""
        with self._writing:
            self._look_for_space()
            return not self._full, self.view()

    def _require_writable(self) -> None:
        if self.fatal is not None:
            raise LogUnavailable(f"it has failed and must be opened again: {self.fatal}", maybe_stored=False)
        if self._full:
            self._look_for_space()
        if self._full:
            raise LogFull(self._full)

    def _look_for_space(self) -> None:
        now = self._clock.monotonic()
        if not self._full or self.fatal or now - self._space_checked < _SPACE_CHECK_SECONDS:
            return
        self._space_checked = now
        # A budget that was lowered makes room. Appends are refused meanwhile: nobody waits for it.
        while self._drop_due and self._guarded(lambda: self._drop_oldest(self._segments.head)):
            pass
        if self._guarded(self._reserve.hold):
            self._guarded(self._note_head)
            self._full = ""
            log.info("disk.recovered", directory=str(self.directory))

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (sqlite3.Error, OSError) as error:
            failure = explain(error, self._segments.active_path)
            if isinstance(failure, LogFull):
                self._set_full(failure)
            elif is_fatal(failure):
                self.fatal = failure
                log.critical("log.failed", error=str(failure))
            else:
                log.warning("log.put_off", error=str(failure))
            raise failure from error

    def _set_full(self, failure: LogFull) -> None:
        self._full = failure.reason
        self._space_checked = self._clock.monotonic()
        self._reserve.release()
        log.error("disk.full", directory=str(self.directory), reason=failure.reason)

    def close(self) -> None:
        """Let go of everything. Raises nothing of what a failed disk says at the end: it was said before."""
        with self._writing:
            try:
                self._segments.close()
            except sqlite3.Error as error:
                log.warning("log.close_failed", directory=str(self.directory), error=str(error))
            self._witness.close()
            self._lock.release()
