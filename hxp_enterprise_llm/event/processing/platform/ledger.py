"""Accounts of tokens and money in whole numbers: all that came, and by hour and day.

A row is a list of integers, one for each of FIELDS; rows are added and nothing else, so that the order of events does
not matter. Days and hours are those of the events' own times, UTC, numbered from the epoch; old ones are dropped, the
total keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import add
from typing import Any, Self

import msgspec

FIELDS = (
    "requests",
    "failed_requests",
    "input_tokens",
    "output_tokens",
    "unsplit_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "request_nano_usd",
    "unpriced_requests",
    "unpriced_tokens",
    "tool_calls",
    "failed_tool_calls",
    "tool_nano_usd",
    "recorded_nano_usd",
    "recorded_inference_nano_usd",
)
"""What a row counts. `unsplit_tokens`: of requests that say their total alone. Costs in nano-USD; those of requests,
of tool calls, of `cost.recorded` events for requests to models (`inference`) and for anything else."""
(
    REQUESTS,
    FAILED,
    INPUT,
    OUTPUT,
    UNSPLIT,
    CACHED,
    WRITTEN,
    REASONING,
    REQUEST_COST,
    UNPRICED,
    UNPRICED_TOKENS,
    TOOL_CALLS,
    FAILED_TOOL_CALLS,
    TOOL_COST,
    RECORDED,
    RECORDED_INFERENCE,
) = range(len(FIELDS))
_WIDTH = len(FIELDS)

Row = list[int]
HOURS_KEPT, DAYS_KEPT = 48, 62
"""How many hours and days are kept apart: two days of hours, two months of days."""


def empty() -> Row:
    """A row of nothing."""
    return [0] * _WIDTH


def added(rows: Sequence[Sequence[int]]) -> Row:
    """The sum of rows."""
    total = empty()
    for row in rows:
        total[:] = map(add, total, row)
    return total


def tokens(row: Sequence[int]) -> int:
    """All tokens of a row. Input includes what was cached, output the reasoning."""
    return row[INPUT] + row[OUTPUT] + row[UNSPLIT]


class Money:
    """Which of the costs of a row count, so that none counts twice."""

    def __init__(self, recorded: bool) -> None:
        """`recorded`: requests cost what `cost.recorded` events of the category inference say."""
        self._inference = RECORDED_INFERENCE if recorded else REQUEST_COST

    def nano(self, row: Sequence[int]) -> int:
        """Nano-USD of a row, as far as prices are known."""
        return row[self._inference] + row[TOOL_COST] + row[RECORDED]

    def usd(self, row: Sequence[int]) -> float | None:
        """USD of a row; None when there are requests and none of them has a known price."""
        nano = self.nano(row)
        unknown = self._inference == REQUEST_COST and row[UNPRICED] and row[UNPRICED] == row[REQUESTS]
        return None if unknown and not nano else nano / 1e9


class Account(msgspec.Struct):
    """What one name has used."""

    total: Row = msgspec.field(default_factory=empty)
    days: dict[int, Row] = {}
    hours: dict[int, Row] = {}
    last: float = 0.0
    """Time of its newest event, in wall-clock seconds."""

    @property
    def weight(self) -> int:
        """How much there is to it."""
        total = self.total
        return total[REQUESTS] + total[FAILED] + total[TOOL_CALLS] + (1 if total[RECORDED] else 0)

    def add(self, hour: int, row: Sequence[int], *, hourly: bool = False) -> None:
        """Take a row of one hour in."""
        self.total[:] = map(add, self.total, row)
        _add(self.days, hour // 24, row)
        if hourly:
            _add(self.hours, hour, row)

    def absorb(self, other: Self) -> None:
        """Add what another account has."""
        self.total[:] = map(add, self.total, other.total)
        for day, row in other.days.items():
            _add(self.days, day, row)
        for hour, row in other.hours.items():
            _add(self.hours, hour, row)
        self.last = max(self.last, other.last)

    def forget(self, hour: int) -> None:
        """Drop hours and days that are too old at this hour."""
        drop_before(self.hours, hour - HOURS_KEPT)
        drop_before(self.days, hour // 24 - DAYS_KEPT)

    def day(self, day: int) -> Row:
        """What was used on a day."""
        return self.days.get(day) or empty()

    def between(self, first: int, last: int) -> Row:
        """What was used on these days, both included."""
        return added([row for day, row in self.days.items() if first <= day <= last])


def _add(rows: dict[int, Row], slot: int, row: Sequence[int]) -> None:
    found = rows.get(slot)
    if found is None:
        rows[slot] = list(row)
    else:
        found[:] = map(add, found, row)


def drop_before(slots: dict[int, Any], oldest: int) -> None:
    """Forget the slots before one."""
    for slot in [slot for slot in slots if slot < oldest]:
        del slots[slot]


def shown(row: Sequence[int], money: Money) -> dict[str, Any]:
    """A row as it is answered: every field, all tokens, and the cost in nano-USD and USD."""
    answer: dict[str, Any] = dict(zip(FIELDS, row, strict=True))
    return answer | {"tokens": tokens(row), "cost_nano_usd": money.nano(row), "cost_usd": money.usd(row)}


def brief(row: Sequence[int], money: Money) -> Mapping[str, Any]:
    """The same in short, for lists."""
    return {
        "requests": row[REQUESTS],
        "failed_requests": row[FAILED],
        "input_tokens": row[INPUT],
        "output_tokens": row[OUTPUT],
        "tokens": tokens(row),
        "unpriced_requests": row[UNPRICED],
        "tool_calls": row[TOOL_CALLS],
        "cost_nano_usd": money.nano(row),
        "cost_usd": money.usd(row),
    }
