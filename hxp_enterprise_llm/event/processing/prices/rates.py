"""Prices of a model in whole nano-USD, and the price of one request. No floating point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from math import gcd
from typing import Any, NamedTuple

import msgspec

NANO = 10**9
"""nano-USD of one USD."""
_MILLION = 10**6
_DAY = 86400

Tiers = tuple[tuple[int, int], ...]
"""`(more than so many input tokens, nano-USD per million tokens)`, ascending; the first begins at -1."""


class Rate(msgspec.Struct, frozen=True):
    """Prices in force at one time, in nano-USD per million tokens. None: tokens of this kind cost as the plain ones."""

    input: Tiers = ()
    output: Tiers = ()
    cache_read: Tiers | None = None
    cache_write: Tiers | None = None
    reasoning: Tiers | None = None
    request: int = 0
    """nano-USD for each request besides its tokens."""
    flat: tuple[int, int, int, int, int] | None = None
    """The five prices where there are no tiers, of `per` tokens: the short way for what is usual."""
    per: int = _MILLION
    """Most prices are whole nano-USD a token: figures stay small, and the division is one by 1."""

    def cost(self, input: int, output: int, cached: int = 0, written: int = 0, reasoning: int = 0) -> int:
        """Nano-USD of one request, half a nano up. `input` includes what was cached, `output` the reasoning.

        A tier holds for all tokens of a request that is larger than where it begins.
        """
        in_, out, read, write, think = self.flat or self.of_size(input)
        if not (cached or written or reasoning):
            total = input * in_ + output * out
        else:
            plain, spoken = input - cached - written, output - reasoning
            total = (plain * in_ if plain > 0 else 0) + cached * read + written * write
            total += (spoken * out if spoken > 0 else 0) + reasoning * think
        return (total + self.per // 2) // self.per + self.request

    def of_size(self, input: int) -> tuple[int, int, int, int, int]:
        """The five prices for a request of so many input tokens."""
        in_, out = _at(self.input, input), _at(self.output, input)
        read, write = _or(self.cache_read, input, in_), _or(self.cache_write, input, in_)
        return in_, out, read, write, _or(self.reasoning, input, out)


def _at(tiers: Tiers, input: int) -> int:
    price = 0
    for start, found in tiers:
        if input <= start:
            break
        price = found
    return price


def _or(tiers: Tiers | None, input: int, otherwise: int) -> int:
    return otherwise if tiers is None else _at(tiers, input)


class Period(NamedTuple):
    """When a rate holds: from a day on, or within hours of each day (UTC, seconds of the day)."""

    rate: Rate
    since: float | None = None
    between: tuple[int, int] | None = None

    def holds(self, at: float) -> bool:
        """Whether it holds at a moment in wall-clock seconds."""
        if self.since is not None:
            return at >= self.since
        if self.between is None:
            return True
        start, end = self.between
        moment = at % _DAY
        return start <= moment < end if start <= end else moment >= start or moment < end


class ModelPrices(msgspec.Struct, frozen=True):
    """The prices of a model by time; the last period that holds counts, the first when none does."""

    periods: tuple[Period, ...]
    only: Rate | None = None
    """The rate where there is but one: the short way for what is usual."""

    def at(self, seconds: float) -> Rate:
        """The rate at a moment in wall-clock seconds."""
        if self.only is not None:
            return self.only
        held = (period.rate for period in reversed(self.periods) if period.holds(seconds))
        return next(held, self.periods[0].rate)


def make_rate(
    input: Tiers,
    output: Tiers,
    read: Tiers | None = None,
    write: Tiers | None = None,
    reasoning: Tiers | None = None,
    request: int = 0,
) -> Rate:
    """A rate that knows whether it is flat, in lowest terms then."""
    rate = Rate(input, output, read, write, reasoning, request)
    if any(len(tiers) > 1 for tiers in (input, output, read or (), write or (), reasoning or ())):
        return rate
    prices = rate.of_size(1)
    shared = gcd(_MILLION, *prices)
    in_, out, cached, written, thought = (price // shared for price in prices)
    return msgspec.structs.replace(rate, flat=(in_, out, cached, written, thought), per=_MILLION // shared)


def make_prices(periods: Sequence[Period]) -> ModelPrices:
    """Prices that know whether they are always the same."""
    return ModelPrices(tuple(periods), periods[0].rate if len(periods) == 1 else None)


def read_periods(entries: list[dict[str, Any]]) -> ModelPrices:
    """The prices of a model as the snapshot has them."""
    return make_prices([Period(_rate(entry), _since(entry), _between(entry)) for entry in entries])


def _rate(entry: Mapping[str, Any]) -> Rate:
    read, write, reasoning = (_tiers(entry[key]) if key in entry else None for key in ("read", "write", "reason"))
    return make_rate(
        _tiers(entry.get("in", 0)), _tiers(entry.get("out", 0)), read, write, reasoning, entry.get("request", 0)
    )


def _tiers(price: int | list[list[int]]) -> Tiers:
    return ((-1, price),) if isinstance(price, int) else tuple((start, each) for start, each in price)


def _since(entry: Mapping[str, Any]) -> float | None:
    if "from" not in entry:
        return None
    return datetime.combine(date.fromisoformat(entry["from"]), time(), UTC).timestamp()


def _between(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    if "between" not in entry:
        return None
    start, end = (_second_of_day(text) for text in entry["between"])
    return start, end


def _second_of_day(text: str) -> int:
    moment = time.fromisoformat(text)
    offset = moment.utcoffset()
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
    return seconds if offset is None else int(seconds - offset.total_seconds()) % _DAY
