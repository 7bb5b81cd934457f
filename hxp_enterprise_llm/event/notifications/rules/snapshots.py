"""Metrics snapshots out of the log: which of a batch are looked at, and the values that conditions see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from hxp_enterprise_llm.event.log.model import Batch, Bounds
from hxp_enterprise_llm.event.model import Offset, TypePatterns, parse_rfc3339

SNAPSHOT_TYPE = "analytics.snapshot"
SNAPSHOT_TYPES = TypePatterns([SNAPSHOT_TYPE])
MAX_AGE_SECONDS = 60.0
TAIL = 100_000
"""Offsets before the head in which the newest snapshots are found; further back nothing is worth a look."""


class Place(NamedTuple):
    """Where a reader of the log is."""

    epoch: str
    offset: Offset


class Snapshot(NamedTuple):
    """The metrics at one time (wall-clock seconds): `error_rate`, and `error_rate_5m` over a window."""

    at: float
    values: Mapping[str, object]
    groups: Mapping[str, Sequence[LabelledValue]] = {}
    """The metrics that are broken down by label set, each over its own window."""


class LabelledValue(msgspec.Struct, frozen=True):
    """The value of a metric for one label set."""

    labels: dict[str, str]
    value: float


class _Data(msgspec.Struct):
    metrics: dict[str, object]
    windows: dict[str, dict[str, object]] = {}
    groups: dict[str, list[LabelledValue]] = {}


class _Event(msgspec.Struct):
    data: _Data
    time: str | None = None


_decoder = msgspec.json.Decoder(_Event)


class BadSnapshot(ValueError):
    """An `analytics.snapshot` that is none."""


def read_snapshot(raw: bytes, now: float) -> Snapshot:
    """A snapshot out of its event; one without a time is of now. Raises BadSnapshot."""
    try:
        event = _decoder.decode(raw)
        at = parse_rfc3339(event.time) if event.time else now
    except ValueError as error:
        raise BadSnapshot(str(error)) from error
    windows = event.data.windows.items()
    values = {f"{name}_{window}": value for window, metrics in windows for name, value in metrics.items()}
    return Snapshot(at, values | event.data.metrics, event.data.groups)


def worth_evaluating(batch: Batch, snapshots: Sequence[Snapshot], now: float) -> list[Snapshot]:
    """Without those that a late reader no longer needs; the newest of the log is always among them."""
    at_head = batch.next >= batch.head
    last = len(snapshots) - 1
    return [
        snapshot
        for index, snapshot in enumerate(snapshots)
        if now - snapshot.at <= MAX_AGE_SECONDS or (at_head and index == last)
    ]


def starting_place(stored: Place | None, bounds: Bounds) -> Place:
    """Where to read on: from the stored place, if the log is the same one and has it, and not far behind the head."""
    earliest = max(bounds.first - 1, bounds.head - TAIL, 0)
    if stored is None or stored.epoch != bounds.epoch:
        return Place(bounds.epoch, Offset(earliest))
    return Place(bounds.epoch, Offset(min(max(stored.offset, earliest), bounds.head)))
