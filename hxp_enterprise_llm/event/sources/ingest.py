"""The way of events into the log: decode, validate, append; answered when they are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.config.processing import OWN_TYPES, IngestConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.log.model import (
    Appended,
    BatchTooLarge,
    BeginsAppends,
    EventLog,
    EventTooLarge,
    LogError,
)
from hxp_enterprise_llm.event.model import Encoded, EncodedColumns, rfc3339
from hxp_enterprise_llm.event.sources.batch import decode_array, decode_texts
from hxp_enterprise_llm.event.sources.decode import Decoded, Item, Terms, decode_item
from hxp_enterprise_llm.event.sources.faults import (
    SHOWN_FAULTS,
    Fault,
    Finding,
    Interrupted,
    Invalid,
    OwnTypes,
    Rejected,
)
from hxp_enterprise_llm.event.sources.forms import Elements
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.event.sources.typed import TypedReader
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics

SLICE_EVENTS = 256
SLICE_BYTES = 128 * 1024
"""Events, and bytes of them, decoded between two turns of the event loop; a larger event has a turn of its own."""
_OWN = tuple(pattern.removesuffix("*") for pattern in (*OWN_TYPES, "stream.*"))
"""How the types begin that the services make themselves: whoever could publish them could ring, or hush, an alarm."""


class _Rules(NamedTuple):
    """The configuration in force, swapped as one."""

    config: IngestConfig
    catalogue: SchemaCatalogue
    reader: TypedReader
    max_future_seconds: float
    max_age_seconds: float

    def accepts(self, types: Sequence[str], datas: Sequence[Any]) -> bool:
        """Whether each of the data may be stored with the type beside it."""
        if self.config.unknown_types == "refuse" and not self.catalogue.knows(types):
            return False
        return self.catalogue.accepts(types, datas)

    def read_array(self, body: bytes, most: int, terms: Terms) -> EncodedColumns | None:
        """The events of a JSON array, at most so many; None: they are to be looked at singly."""
        return self.reader.read_array(body, most, terms) or decode_array(body, most, terms, self.accepts)

    def read_texts(self, texts: Sequence[bytes], terms: Terms) -> EncodedColumns | None:
        """The events of JSON texts of one each; None: they are to be looked at singly."""
        return self.reader.read_texts(texts, terms) or decode_texts(texts, terms, self.accepts)


def _rules(config: IngestConfig, catalogue: SchemaCatalogue, reader: TypedReader) -> _Rules:
    return _Rules(config, catalogue, reader, seconds(config.max_future), seconds(config.max_age))


class Ingest:
    """Takes submissions of events, each all or nothing, or in order piece by piece when asked for."""

    def __init__(
        self,
        log: EventLog,
        catalogue: SchemaCatalogue,
        config: IngestConfig,
        clock: Clock,
        metrics: ProcessingMetrics,
        *,
        deadline: float = 10.0,
    ) -> None:
        """`deadline`: seconds after which an append gives up."""
        self._log, self._clock, self._metrics, self._deadline = log, clock, metrics, deadline
        self._beginner = log if isinstance(log, BeginsAppends) else None
        self._newest: Terms | None = None
        self._rules = _rules(config, catalogue, TypedReader(catalogue.all))

    def configure(self, config: IngestConfig, catalogue: SchemaCatalogue) -> None:
        """Use these from the next submission on. Cannot fail with a configuration that was checked."""
        self._rules = _rules(config, catalogue, self._reader_of(catalogue))
        self._newest = None

    def _reader_of(self, catalogue: SchemaCatalogue) -> TypedReader:
        """The reader in force where the schemas are as they were: its types are classes, which go late if ever."""
        if self._rules.catalogue.all == catalogue.all:
            return self._rules.reader
        return TypedReader(catalogue.all)

    @property
    def max_body_bytes(self) -> int:
        """Most bytes of a request body after decompression."""
        return self._rules.config.max_body_bytes

    async def accept(
        self, items: Iterable[Item], *, source: str, partial: bool = False, way: str = "http", own: bool = False
    ) -> list[Appended]:
        """Store the events; answers in their order, after the commit.

        `source` is that of events without one, `way` the label of the way in. `partial`: more than one append may
        carry is stored in order in several records. `own`: they may be of the types that the services make themselves.
        Raises Rejected, OwnTypes, Interrupted, and what the log's append raises.
        """
        terms, stored = self._terms(source), list[Appended]()
        if isinstance(items, Elements) and (events := self._at_once(items.body, terms, own)) is not None:
            await self._store(events, stored, partial)
            self._metrics.received.labels(way).inc(len(stored))
            return stored
        rest = iter(items)
        while True:
            piece = list(islice(rest, self._log.limits.max_batch_events))
            if not partial:
                self._check_is_all(piece, rest)
            decoded = await self._decode(piece, terms, stored)
            if not own:
                self._check_types(decoded, stored)
            await self._store(decoded, stored, partial)
            if not partial or len(piece) < self._log.limits.max_batch_events:
                self._metrics.received.labels(way).inc(len(stored))
                return stored

    async def accept_made(
        self, events: Sequence[Encoded], datas: Sequence[Any], *, source: str, way: str
    ) -> list[Appended]:
        """`accept`, piece by piece, of events that this process has made and encoded, each with its data.

        Their form is ours, so that only the schemas are asked, which may be an operator's. Times are the caller's
        business. One without a fault is not read again; whatever has one is given to `accept`, which says what it is.
        """
        limits, stored = self._log.limits, list[Appended]()
        for start in range(0, len(events), SLICE_EVENTS):
            piece = slice(start, start + SLICE_EVENTS)
            if not self._passes(events[piece], datas[piece]):
                return await self.accept([event.raw for event in events], source=source, partial=True, way=way)
            await asyncio.sleep(0)
        for start in range(0, len(events), limits.max_batch_events):
            await self._store(events[start : start + limits.max_batch_events], stored, partial=True)
        self._metrics.received.labels(way).inc(len(stored))
        return stored

    def _passes(self, events: Sequence[Encoded], datas: Sequence[Any]) -> bool:
        largest = max(len(event.raw) for event in events)
        return largest <= self._log.limits.max_event_bytes and self._rules.accepts([e.type for e in events], datas)

    def begin(
        self, body: bytes, *, source: str, way: str = "http", own: bool = False
    ) -> asyncio.Future[Sequence[Appended]] | None:
        """`accept` for a small body of JSON, one event or an array of them, that takes no task.

        None: it is to be given to `accept`, which says what is wrong with it if anything is; nothing was stored. The
        future raises what the log's append raises.
        """
        terms = self._terms(source)
        events = self._at_once(body, terms, own) if body[:1] == b"[" else self._single(body, terms, own)
        if events is None:
            return None
        return self._begin_append(events, way)

    def begin_texts(
        self, texts: Sequence[bytes], *, source: str, way: str = "http", own: bool = False
    ) -> asyncio.Future[Sequence[Appended]] | None:
        """`begin` for several events, each a JSON text of its own."""
        limits = self._log.limits
        if len(texts) > limits.max_batch_events or max(map(len, texts)) > limits.max_event_bytes:
            return None
        events = self._rules.read_texts(texts, self._terms(source))
        # What was missing has been filled in: they may be more now than one append takes.
        if events is None or sum(map(len, events.raws)) > limits.max_batch_bytes or not (own or _foreign(events.types)):
            return None
        return self._begin_append(events, way)

    def _single(self, body: bytes, terms: Terms, own: bool) -> Sequence[Encoded] | None:
        if len(body) > min(SLICE_BYTES, self._log.limits.max_event_bytes):
            return None
        try:
            read = self._rules.reader.read_one(body, terms) or _validated(decode_item(body, terms), self._rules)
        except Invalid:
            return None
        return (read,) if own or _foreign((read.type,)) else None

    def _at_once(self, body: bytes, terms: Terms, own: bool) -> EncodedColumns | None:
        """The events of a small array without a fault; None for any other."""
        limits = self._log.limits
        if len(body) > min(SLICE_BYTES, limits.max_event_bytes):
            return None
        events = self._rules.read_array(body, limits.max_batch_events, terms)
        return None if events is None or not (own or _foreign(events.types)) else events

    def _begin_append(self, events: Sequence[Encoded], way: str) -> asyncio.Future[Sequence[Appended]]:
        if self._beginner is not None:
            appending = self._beginner.begin_append(events, deadline=self._deadline)
        else:
            appending = asyncio.ensure_future(self._log.append(events, deadline=self._deadline))
        appending.add_done_callback(partial(self._count, events, way))
        return appending

    def _count(self, events: Sequence[Encoded], way: str, done: asyncio.Future[Sequence[Appended]]) -> None:
        error = None if done.cancelled() else done.exception()
        if isinstance(error, LogError):
            self._metrics.rejected.labels(type(error).__name__).inc(len(events))
        elif error is None and not done.cancelled():
            self._metrics.received.labels(way).inc(len(events))

    def _terms(self, source: str) -> Terms:
        now, rules, newest = self._clock.time(), self._rules, self._newest
        # Times are told in milliseconds: within one, what holds for a submission holds for the next as well.
        if newest is not None and newest.source == source and 0 <= now - newest.now < 0.001:
            return newest
        self._newest = Terms(
            now, rfc3339(now), source, self._clock.new_id, rules.max_future_seconds, rules.max_age_seconds
        )
        return self._newest

    def _check_is_all(self, piece: Sequence[Item], rest: Iterator[Item]) -> None:
        more = sum(1 for _ in rest)
        if more:
            self._metrics.rejected.labels("batch_too_large").inc(len(piece) + more)
            raise BatchTooLarge(self._log.limits.max_batch_events, len(piece) + more, "events")

    def _check_types(self, events: Sequence[Encoded], stored: Sequence[Appended]) -> None:
        found = [(at, event.type) for at, event in enumerate(events, len(stored)) if not _foreign((event.type,))]
        if found:
            self._metrics.rejected.labels("own_type").inc(len(found))
            raise OwnTypes(found, len(stored) + len(events), stored)

    async def _decode(self, items: Sequence[Item], terms: Terms, stored: Sequence[Appended]) -> list[Encoded]:
        events: list[Encoded] = []
        faults: list[Fault] = []
        faulty = start = 0
        for part in _slices(items):
            found, wrong = self._decode_slice(part, start + len(stored), terms)
            events += found
            faulty += len(wrong)
            faults += (Fault(at, *finding) for at, findings in wrong for finding in findings)
            del faults[SHOWN_FAULTS:]
            start += len(part)
            if len(part) < len(items):
                await asyncio.sleep(0)
        if faults:
            self._metrics.rejected.labels("invalid").inc(faulty)
            raise Rejected(faults, faulty, len(stored) + len(items), stored)
        return events

    def _decode_slice(
        self, items: Sequence[Item], first: int, terms: Terms
    ) -> tuple[Sequence[Encoded], list[tuple[int, tuple[Finding, ...]]]]:
        """The events, and what is wrong with others: their index and findings. Raises EventTooLarge."""
        rules, texts = self._rules, [item for item in items if isinstance(item, bytes)]
        limit = self._log.limits.max_event_bytes
        if max(map(len, texts), default=0) > limit:
            at = next(at for at, item in enumerate(items) if isinstance(item, bytes) and len(item) > limit)
            raise EventTooLarge(limit, len(items[at]), first + at)
        if 1 < len(texts) == len(items) and (columns := rules.read_texts(texts, terms)) is not None:
            return columns, []
        events: list[Encoded] = []
        wrong: list[tuple[int, tuple[Finding, ...]]] = []
        for at, item in enumerate(items, first):
            try:
                events.append(_validated(decode_item(item, terms), rules))
            except Invalid as error:
                wrong.append((at, error.findings))
        return events, wrong

    async def _store(self, events: Sequence[Encoded], stored: list[Appended], partial: bool) -> None:
        """Append to the log and to `stored`."""
        try:
            for record in _records(events, self._log.limits.max_batch_bytes) if partial else [events]:
                if record:
                    stored += await self._log.append(record, deadline=self._deadline)
        except LogError as error:
            self._metrics.rejected.labels(type(error).__name__).inc(len(events))
            if stored:
                raise Interrupted(error, stored) from error
            raise


def _foreign(types: Iterable[str]) -> bool:
    """Whether none of these types is made by the services themselves."""
    return not any(type.startswith(_OWN) for type in set(types))


def _slices(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The items in order, cut so that one slice does not hold up the event loop."""
    start = size = 0
    for at, item in enumerate(items):
        length = len(item) if isinstance(item, bytes) else 0
        if at > start and (at - start == SLICE_EVENTS or size + length > SLICE_BYTES):
            yield items[start:at]
            start, size = at, 0
        size += length
    if items:
        yield items[start:]


def _validated(decoded: Decoded, rules: _Rules) -> Encoded:
    """The event, once its data agrees with the schema of its type. Raises Invalid."""
    type, catalogue = decoded.event.type, rules.catalogue
    if decoded.data is msgspec.UNSET:
        findings: tuple[Finding, ...] = (Finding("data", "is missing"),) if catalogue.check(type, None) else ()
    else:
        findings = catalogue.check(type, decoded.data)
    if rules.config.unknown_types == "refuse" and catalogue.schema(type) is None:
        findings = (_unknown(type, rules),)
    if findings:
        raise Invalid(findings)
    return decoded.event


def _unknown(type: str, rules: _Rules) -> Finding:
    near = rules.catalogue.nearest(type)
    meant = f" (did you mean {near!r}?)" if near else ""
    place = f"{rules.config.schemas_directory}/{type}.json"
    return Finding("type", f"{type!r} has no schema{meant}; put one at {place} or set ingest.unknown_types to accept")


def _records(events: Sequence[Encoded], max_bytes: int) -> Iterator[Sequence[Encoded]]:
    """The events in order, cut so that each record is within the log's bytes."""
    start = size = 0
    for at, event in enumerate(events):
        if at > start and size + len(event.raw) > max_bytes:
            yield events[start:at]
            start, size = at, 0
        size += len(event.raw)
    yield events[start:]
