"""Spans into the log, one round after the other: whoever arrives while a round is stored is in the next one.

The rounds keep the ledger and the log in step: what the ledger decided on is stored before it decides again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from hxp_enterprise_llm.event.log.model import EventLog, LogError, LogUnavailable
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.sources.faults import IngestError, Interrupted
from hxp_enterprise_llm.event.sources.genai.ledger import Entry, Ledger
from hxp_enterprise_llm.event.sources.genai.model import Reading, Span
from hxp_enterprise_llm.event.sources.genai.reading import read_span
from hxp_enterprise_llm.event.sources.genai.recall import TYPES, event_id, recalled
from hxp_enterprise_llm.event.sources.ingest import Ingest
from hxp_enterprise_llm.event.sources.otlp.bounds import TURN
from hxp_enterprise_llm.event.sources.otlp.mark import Mark, read_mark, write_mark
from hxp_enterprise_llm.event.sources.otlp.storing import Made, Stored, make, store
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.outage import Outage
from hxp_enterprise_llm.telemetry.otlp_metrics import OtlpMetrics

log = structlog.get_logger("otlp")

REMEMBERED = 200_000
"""Offsets before the head that are read again after a restart, at least."""
MOST_READINGS = 1024
"""Spans in a round after which the next one begins."""
READY_SECONDS = 5.0
"""How long a request waits for that."""
SETTLE_SECONDS = 1.0


class Taken(NamedTuple):
    """What became of spans: how many were refused, and why the first was."""

    refused: int = 0
    reason: str = ""


class _Round:
    """Spans of several requests that are stored together."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.stored: Stored | None = None
        self.refused: set[tuple[bytes, bytes]] = set()
        self.error: Exception | None = None

    @property
    def over(self) -> bool:
        return self.stored is not None or self.error is not None


class Traces:
    """Takes spans in, and decides on held tokens once a trace is quiet."""

    def __init__(
        self,
        ledger: Callable[[], Ledger],
        ingest: Ingest,
        event_log: EventLog,
        *,
        mark: Path,
        clock: Clock,
        metrics: OtlpMetrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`ledger` makes an empty one; `mark` is the file that says where to read on after a restart."""
        self._make, self._ingest, self._log = ledger, ingest, event_log
        self._path, self._clock, self._metrics, self._sleep = mark, clock, metrics, sleep
        self._ledger = ledger()
        self._ready = asyncio.Event()
        self._turn = asyncio.Lock()
        self._next = _Round()
        self._marked: Mark | None = None
        self._marking, self._settling = Outage(log, "otlp.mark"), Outage(log, "otlp.settle")

    async def take(self, spans: Sequence[Span]) -> Taken:
        """Store spans; answers after the commit. Raises what the log's append raises, and Interrupted."""
        readings = await _read(spans)
        await self._until_ready()
        if len(self._next.readings) >= MOST_READINGS:
            self._next = _Round()
        round = self._next
        round.readings += readings
        async with self._turn:
            if not round.over:
                if self._next is round:
                    self._next = _Round()
                await self._store(round)
        if round.error is not None:
            raise round.error
        refused = sum((span.trace, span.span) in round.refused for span in spans) if round.refused else 0
        return Taken(refused, round.stored.reason if refused and round.stored else "")

    async def run(self) -> None:
        """Read the log for what is not decided on, then decide each second, for ever."""
        while True:
            if not self._ready.is_set():
                await self._recall()
            await self._sleep(SETTLE_SECONDS)
            if self._ready.is_set():
                await self._settle()

    async def _until_ready(self) -> None:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            raise LogUnavailable("spans of earlier requests are being read", maybe_stored=False) from None

    async def _store(self, round: _Round) -> None:
        entries = self._ledger.take(round.readings, self._clock.monotonic())
        services = {reading.span.trace: reading.span.origin.service for reading in round.readings}
        try:
            round.stored = await self._append(entries, services)
        except (LogError, IngestError) as error:
            round.error = error
        except BaseException as error:
            round.error = LogUnavailable(type(error).__name__, maybe_stored=True)
            raise
        else:
            pairs = zip(entries, round.stored.offsets, strict=True)
            round.refused = {(entry.trace, entry.span) for entry, offset in pairs if offset is None}

    async def _append(self, entries: Sequence[Entry], services: Mapping[bytes, str]) -> Stored:
        try:
            found = await store(self._ingest, self._made(entries, services))
        except BaseException as error:
            self._ledger.rollback()
            if _may_be_stored(error):
                self._ready.clear()
            raise
        kept = [(entry, offset) for entry, offset in zip(entries, found.offsets, strict=True) if offset is not None]
        self._ledger.stored([entry for entry, _ in kept], [offset for _, offset in kept])
        return found

    def _made(self, entries: Sequence[Entry], services: Mapping[bytes, str]) -> list[Made]:
        now = int(self._clock.time() * 1e9)
        return [
            make(
                entry.draft,
                entry.draft.data.get("service") or services.get(entry.trace, ""),
                event_id(entry.trace, entry.span, entry.draft.suffix),
                now,
            )
            for entry in entries
        ]

    async def _settle(self) -> None:
        async with self._turn:
            try:
                await self._append(self._ledger.settle(self._clock.monotonic()), {})
                self._settling.worked()
            except (LogError, IngestError) as error:
                self._settling.failed(error)
                return
        await self._note()

    async def _note(self) -> None:
        """Write down from where the log has to be read again, when that has moved."""
        self._metrics.follow(self._ledger)
        try:
            bounds = await self._log.bounds()
            oldest = self._ledger.oldest_held
            mark = Mark(bounds.epoch, bounds.head if oldest is None else oldest - 1)
            before = self._marked
            if before is None or (mark != before and (oldest or mark.offset - before.offset >= REMEMBERED // 2)):
                await asyncio.to_thread(write_mark, self._path, mark)
                self._marked = mark
            self._marking.worked()
        except (LogError, OSError) as error:
            self._marking.failed(error)

    async def _recall(self) -> None:
        async with self._turn:
            try:
                ledger = self._make()
                await self._read_into(ledger)
                self._ledger = ledger
                await self._append(ledger.outstanding(), {})
            except (LogError, IngestError, OSError) as error:
                self._settling.failed(error)
                return
            self._settling.worked()
            self._ready.set()

    async def _read_into(self, ledger: Ledger) -> None:
        bounds = await self._log.bounds()
        mark = await asyncio.to_thread(read_mark, self._path)
        after = bounds.head - REMEMBERED
        if mark is not None and mark.epoch == bounds.epoch:
            after = min(after, mark.offset)
        cursor = Offset(max(bounds.first - 1, after))
        while cursor < bounds.head:
            batch = await self._log.read(cursor, types=TYPES, epoch=bounds.epoch)
            for event in batch.events:
                if (found := recalled(event.raw)) is not None:
                    ledger.recall(found, event.offset, self._clock.monotonic())
            if batch.next == cursor:
                return
            cursor = batch.next
            # A read that is answered from memory does not pause.
            await asyncio.sleep(0)


async def _read(spans: Sequence[Span]) -> list[Reading]:
    readings: list[Reading] = []
    for at in range(0, len(spans), TURN):
        readings += map(read_span, spans[at : at + TURN])
        await asyncio.sleep(0)
    return readings


def _may_be_stored(error: BaseException) -> bool:
    """Whether the log may hold what the ledger has been told to forget."""
    return isinstance(error, Interrupted | asyncio.CancelledError) or (
        isinstance(error, LogUnavailable) and error.maybe_stored
    )
