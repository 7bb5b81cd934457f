"""Checks that every backend makes before it sends or reads anything."""

from __future__ import annotations

from collections.abc import Sequence

from hxp_enterprise_llm.event.log.model import (
    Ahead,
    BatchTooLarge,
    Bounds,
    EpochChanged,
    EventTooLarge,
    Gone,
    Limits,
)
from hxp_enterprise_llm.event.model import EARLIEST, Encoded, EncodedColumns, Offset


def check_batch(events: Sequence[Encoded], limits: Limits) -> int:
    """Bytes of the batch, once it is known that all of it may be sent.

    Raises BatchTooLarge, EventTooLarge, or ValueError for a `raw` that breaks the contract of `Encoded`.
    """
    if len(events) > limits.max_batch_events:
        raise BatchTooLarge(limits.max_batch_events, len(events), "events")
    if isinstance(events, EncodedColumns):
        sizes = list(map(len, events.raws))
        if max(sizes, default=0) > limits.max_event_bytes:
            index = next(index for index, size in enumerate(sizes) if size > limits.max_event_bytes)
            raise EventTooLarge(limits.max_event_bytes, sizes[index], index)
        total = sum(sizes)
    else:
        total = _check_each(events, limits)
    if total > limits.max_batch_bytes:
        raise BatchTooLarge(limits.max_batch_bytes, total, "bytes")
    return total


def _check_each(events: Sequence[Encoded], limits: Limits) -> int:
    total = 0
    for index, event in enumerate(events):
        raw = event.raw
        size = len(raw)
        if size > limits.max_event_bytes:
            raise EventTooLarge(limits.max_event_bytes, size, index)
        if size < 3 or raw[0] != 0x7B or raw[-1] != 0x7D or b"\n" in raw:
            raise ValueError(f"event {index}: raw is not one JSON object with a member, on one line")
        total += size
    return total


def check_limit(limit: int) -> None:
    """Raises ValueError for a page that could not hold an event."""
    if limit < 1:
        raise ValueError(f"limit is {limit}, at least 1 event is read")


def check_cursor(after: int, epoch: str | None, bounds: Bounds) -> Offset:
    """The cursor in numbers: EARLIEST becomes the place before the first event.

    Raises EpochChanged, Ahead, Gone, or ValueError for a number that is no offset.
    """
    if epoch is not None and epoch != bounds.epoch:
        raise EpochChanged(bounds, after, epoch)
    if after == EARLIEST:
        return Offset(bounds.first - 1)
    if after < 0:
        raise ValueError(f"{after} is no offset")
    if after > bounds.head:
        raise Ahead(bounds, after)
    if after < bounds.first - 1:
        raise Gone(bounds, after)
    return Offset(after)
