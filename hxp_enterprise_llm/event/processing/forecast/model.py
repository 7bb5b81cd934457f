"""What the forecast answers, and the events it puts into the log."""

from __future__ import annotations

import msgspec

from hxp_enterprise_llm.event.model import Encoded, Event, encode, rfc3339
from hxp_enterprise_llm.event.processing.forecast.anomaly import Change
from hxp_enterprise_llm.event.processing.forecast.blend import COVER, Blend, Forecast

SOURCE = "/processing/forecast"


class Band(msgspec.Struct, frozen=True):
    """Tokens with the band that holds them 9 times in 10; null while too little is known for one."""

    tokens: float
    lower: float | None
    upper: float | None


class Span(Band, frozen=True):
    """Tokens of an hour."""

    begin: str = msgspec.field(name="from")


class Cover(msgspec.Struct, frozen=True):
    """What the band promises, and how often it kept it of late."""

    promised: float
    measured: float | None
    hours: int


class Budget(msgspec.Struct, frozen=True):
    """When tokens are used up; null: not as far as is looked ahead."""

    tokens: int
    used: int
    remaining: int
    expected_at: str | None
    earliest_at: str | None
    """By the upper bounds of the band."""


class Anomaly(msgspec.Struct, frozen=True):
    """Whether the rate of tokens is out of the ordinary."""

    active: bool
    since: str | None
    value: float | None
    """Tokens of the last whole interval."""
    usual: float | None
    deviations: float | None
    interval_s: int


class TokensForecast(msgspec.Struct, frozen=True, kw_only=True):
    """The forecast of tokens at a moment."""

    ready: bool
    """Whether the history reaches the present; while it is being filled nothing is said."""
    at: str
    next_hour: Band | None
    """The 60 minutes from then on."""
    this_hour: Span | None
    so_far: int
    """Tokens of the hour that has begun."""
    ahead: list[Span]
    """The whole hours after it."""
    cold: bool
    """Fewer than 48 hours are known: the forecast is a weighted mean of them."""
    hours_known: int
    cover: Cover
    budget: Budget | None
    anomaly: Anomaly


def not_ready(now: float, blend: Blend, anomaly: Anomaly) -> TokensForecast:
    """What is said while the history is being filled."""
    return TokensForecast(
        ready=False,
        at=rfc3339(now),
        next_hour=None,
        this_hour=None,
        so_far=0,
        ahead=[],
        cold=True,
        hours_known=blend.hours,
        cover=cover_of(blend),
        budget=None,
        anomaly=anomaly,
    )


def band(found: Forecast | None) -> Band | None:
    """A forecast as it is answered."""
    return None if found is None else Band(round(found.value, 1), _rounded(found.lower), _rounded(found.upper))


def spans(found: list[Forecast], begin: float) -> list[Span]:
    """Hours from one on."""
    return [
        Span(
            tokens=round(each.value, 1),
            lower=_rounded(each.lower),
            upper=_rounded(each.upper),
            begin=rfc3339(begin + 3600 * number),
        )
        for number, each in enumerate(found)
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def cover_of(blend: Blend) -> Cover:
    """How true the band was."""
    measured, hours = blend.cover
    return Cover(COVER, None if measured is None else round(measured, 4), hours)


class _Hourly(msgspec.Struct, frozen=True, kw_only=True):
    hour: str
    tokens: float
    lower: float | None
    upper: float | None
    cover: float
    cold: bool
    hours_known: int
    last_hour_tokens: float | None


def hourly_event(blend: Blend, said: Forecast, hour: int, last: float | None, now: float) -> Encoded:
    """What is expected of an hour (by number). One hour, one id: a repeat is recognised."""
    begin = rfc3339(hour * 3600)
    data = _Hourly(
        hour=begin,
        tokens=round(said.value, 1),
        lower=_rounded(said.lower),
        upper=_rounded(said.upper),
        cover=COVER,
        cold=blend.cold,
        hours_known=blend.hours,
        last_hour_tokens=last,
    )
    return encode(Event(id=f"tokens/{begin}", source=SOURCE, type="forecast.tokens", time=rfc3339(now), data=data))


class _Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    series: str
    at: str
    interval_s: int
    value: float
    usual: float
    deviations: float


def anomaly_event(change: Change, value: float, at: float, interval: int, now: float) -> Encoded:
    """An anomaly that began or ended with the interval at `at`."""
    type = "anomaly.started" if change.started else "anomaly.ended"
    data = _Anomaly(
        series="tokens",
        at=rfc3339(at),
        interval_s=interval,
        value=value,
        usual=round(change.judged.usual, 1),
        deviations=round(change.judged.score, 2),
    )
    return encode(Event(id=f"{type}/tokens/{rfc3339(at)}", source=SOURCE, type=type, time=rfc3339(now), data=data))
