"""The way of events into the log: decode, validate, append; answered when they are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from hxp_enterprise_llm.config.processing import IngestConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.log.model import Appended, BatchTooLarge, EventLog, EventTooLarge, LogError
from hxp_enterprise_llm.event.model import Encoded, rfc3339
from hxp_enterprise_llm.event.sources.decode import Decoded, Item, Terms, decode_item
from hxp_enterprise_llm.event.sources.faults import SHOWN_FAULTS, Fault, Finding, Interrupted, Invalid, Rejected
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics

SLICE_EVENTS = 256
"""Events decoded between two turns of the event loop."""


class _Rules(NamedTuple):
    """The configuration in force, swapped as one."""

    config: IngestConfig
    catalogue: SchemaCatalogue
    max_future_seconds: float
    max_age_seconds: float


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
        self.configure(config, catalogue)

    def configure(self, config: IngestConfig, catalogue: SchemaCatalogue) -> None:
        """Use these from the next submission on. Cannot fail with a configuration that was checked."""
        self._rules = _Rules(config, catalogue, seconds(config.max_future), seconds(config.max_age))

    @property
    def max_body_bytes(self) -> int:
        """Most bytes of a request body after decompression."""
        return self._rules.config.max_body_bytes

    async def accept(
        self, items: Iterable[Item], *, source: str, partial: bool = False, way: str = "http"
    ) -> list[Appended]:
        """Store the events; answers in their order, after the commit.

        `source` is that of events without one, `way` the label of the way in. `partial`: more than one append may
        carry is stored in order in several records. Raises Rejected, Interrupted, and what the log's append raises.
        """
        terms, rest = self._terms(source), iter(items)
        stored: list[Appended] = []
        while True:
            piece = list(islice(rest, self._log.limits.max_batch_events))
            if not partial:
                self._check_is_all(piece, rest)
            events = await self._decode(piece, terms, stored)
            await self._store(events, stored, partial)
            if not partial or len(piece) < self._log.limits.max_batch_events:
                self._metrics.received.labels(way).inc(len(stored))
                return stored

    def _terms(self, source: str) -> Terms:
        now, rules = self._clock.time(), self._rules
        return Terms(now, rfc3339(now), source, self._clock.new_id, rules.max_future_seconds, rules.max_age_seconds)

    def _check_is_all(self, piece: Sequence[Item], rest: Iterator[Item]) -> None:
        more = sum(1 for _ in rest)
        if more:
            self._metrics.rejected.labels("batch_too_large").inc(len(piece) + more)
            raise BatchTooLarge(self._log.limits.max_batch_events, len(piece) + more, "events")

    async def _decode(self, items: Sequence[Item], terms: Terms, stored: Sequence[Appended]) -> list[Encoded]:
        rules, limit = self._rules, self._log.limits.max_event_bytes
        events: list[Encoded] = []
        faults: list[Fault] = []
        faulty = 0
        for index, item in enumerate(items, len(stored)):
            if index % SLICE_EVENTS == SLICE_EVENTS - 1:
                await asyncio.sleep(0)
            if len(item) > limit and isinstance(item, bytes):
                raise EventTooLarge(limit, len(item), index)
            try:
                events.append(_validated(decode_item(item, terms), rules))
            except Invalid as error:
                faulty += 1
                faults += (Fault(index, *finding) for finding in error.findings[: SHOWN_FAULTS - len(faults)])
        if faults:
            self._metrics.rejected.labels("invalid").inc(faulty)
            raise Rejected(faults, faulty, len(stored) + len(items), stored)
        return events

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
