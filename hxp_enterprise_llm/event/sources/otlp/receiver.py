"""What an OTLP request holds, piece by piece into the log. Success means that all of it is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from hxp_enterprise_llm.event.sources.genai.metrics import point_id, read_point, read_record, record_id
from hxp_enterprise_llm.event.sources.genai.model import Point, Record, Span
from hxp_enterprise_llm.event.sources.ingest import Ingest
from hxp_enterprise_llm.event.sources.otlp import json, protobuf
from hxp_enterprise_llm.event.sources.otlp.answers import JSON, Signal
from hxp_enterprise_llm.event.sources.otlp.bounds import PIECE, TURN, Refused
from hxp_enterprise_llm.event.sources.otlp.checks import Times, checked_time, times
from hxp_enterprise_llm.event.sources.otlp.storing import Made, make, store
from hxp_enterprise_llm.event.sources.otlp.traces import Taken, Traces
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.telemetry.otlp_metrics import OtlpMetrics

Limits = Callable[[], tuple[float, float]]
"""Seconds that a time may lie in the past and in the future."""


class Received(NamedTuple):
    """How many spans, points or records were refused, and why the first was."""

    refused: int
    reason: str


class Receiver:
    """Takes whole requests."""

    def __init__(self, traces: Traces, ingest: Ingest, clock: Clock, metrics: OtlpMetrics, limits: Limits) -> None:
        self._traces, self._ingest, self._clock, self._metrics, self._limits = traces, ingest, clock, metrics, limits
        self._takers: dict[Signal, Callable[[list[Any]], Awaitable[Taken]]] = {
            "traces": traces.take,
            "metrics": self._take_points,
            "logs": self._take_records,
        }

    async def receive(self, signal: Signal, body: bytes, media: str) -> Received:
        """Store what a request holds. Raises Undecodable, and what the log's append raises."""
        wire = json if media == JSON else protobuf
        found: Iterator[Any] = getattr(wire, signal)(body)
        refused, reason = 0, ""
        bounds = times(self._clock.time(), *self._limits())
        while piece := await _piece(found):
            good, why = sifted(piece, bounds)
            taken = await self._takers[signal](good) if good else Taken()
            refused += len(why) + taken.refused
            reason = reason or (why[0] if why else taken.reason)
        if refused:
            self._metrics.refused.labels(signal).inc(refused)
        return Received(refused, reason)

    async def _take_points(self, points: list[Point]) -> Taken:
        return await self._keep(make(read_point(point), point.origin, point_id(point), 0) for point in points)

    async def _take_records(self, records: list[Record]) -> Taken:
        return await self._keep(make(read_record(each), each.origin, record_id(each), 0) for each in records)

    async def _keep(self, events: Iterable[Made]) -> Taken:
        stored = await store(self._ingest, list(events))
        return Taken(stored.offsets.count(None), stored.reason)


async def _piece(found: Iterator[Any]) -> list[Any]:
    piece: list[Any] = []
    while len(piece) < PIECE and (part := list(islice(found, TURN))):
        piece += part
        await asyncio.sleep(0)
    return piece


def sifted(piece: list[Span | Point | Record | Refused], bounds: Times) -> tuple[list[Any], list[str]]:
    """Those that can be taken, and what is wrong with the others."""
    good: list[Span | Point | Record] = []
    why: list[str] = []
    for each in piece:
        try:
            if isinstance(each, Refused):
                raise each
            checked_time(each.end_ns if isinstance(each, Span) else each.ns, bounds)
            if isinstance(each, Span) and not bounds.oldest <= each.start_ns <= each.end_ns:
                each.start_ns = each.end_ns
            good.append(each)
        except Refused as refused:
            why.append(str(refused))
    return good, why
