"""What the forecast reads out of the history. Blocking, in the history's reading thread."""

from __future__ import annotations

from typing import Any, NamedTuple

from hxp_enterprise_llm.event.processing.history.model import HOURS, MINUTES, SECONDS, TOKENS, WATCHED, Tier
from hxp_enterprise_llm.event.processing.history.reading import Reader

_LOOK_BACK = 600
_WATCHED_SHARE = 0.5
"""An hour or interval of which less was watched is not known."""


class Seen(NamedTuple):
    """What a look found. Times in wall-clock seconds; amounts are tokens, None where the system was down."""

    until: float
    """Up to when the history has been told."""
    hours: list[float | None]
    """From the hour that was asked for to the last whole one."""
    so_far: float
    """Of the hour that has begun."""
    today: float
    """Since midnight, UTC."""
    intervals: list[float | None]
    """From the interval that was asked for to the last whole one."""


def look(reader: Reader, now: float, hour: int, interval: int, interval_seconds: int) -> Seen | None:
    """Read on from an hour and an interval, by number; None while the history does not reach near `now`."""
    until = _until(reader, int(now))
    if until is None:
        return None
    begun = until // 3600
    hours = _amounts(reader, HOURS, hour, begun - 1)
    found = reader.read([TOKENS], HOURS, begun - begun % 24, begun)[TOKENS]
    today = sum(_total(memory) for memory in found.values())
    minutes = interval_seconds // 60
    last = until // interval_seconds
    by_minute = _amounts(reader, MINUTES, interval * minutes, last * minutes - 1)
    intervals = [_sum(by_minute[at : at + minutes]) for at in range(0, len(by_minute), minutes)]
    return Seen(float(until), hours, _total(found.get(begun)), today, intervals)


def oldest(reader: Reader, tier: Tier, now: float, most: float) -> int:
    """The first slot of a tier that has tokens, at most so many seconds back."""
    since = reader.since(TOKENS)
    first = max(since if since is not None else now, now - most, reader.floors()[tier.number])
    return int(first // tier.seconds)


def _until(reader: Reader, now: int) -> int | None:
    watched = reader.read([WATCHED], SECONDS, now - _LOOK_BACK, now)[WATCHED]
    return max(watched) if watched else None


def _amounts(reader: Reader, tier: Tier, first: int, last: int) -> list[float | None]:
    if last < first:
        return []
    found = reader.read([TOKENS, WATCHED], tier, first, last)
    least = _WATCHED_SHARE * tier.seconds
    return [
        _total(found[TOKENS].get(slot)) if slot in found[TOKENS] or _total(found[WATCHED].get(slot)) >= least else None
        for slot in range(first, last + 1)
    ]


def _total(memory: Any) -> float:
    return float(memory.total) if memory is not None else 0.0


def _sum(amounts: list[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) >= _WATCHED_SHARE * len(amounts) else None
