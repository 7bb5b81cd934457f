"""The six members as one forecast, each weighed by how well it did of late, with a band that holds 9 hours in 10.

The band is conformal: as wide as 90 % of the last 168 errors were, so that it promises nothing about their shape.
"""

from __future__ import annotations

from collections import deque
from copy import deepcopy
from math import ceil
from typing import NamedTuple

from hxp_enterprise_llm.event.processing.forecast.members import WEEK, Member, members

COVER = 0.9
COLD_HOURS = 48
"""Before that the forecast is an exponentially weighted mean, and says so."""
MEMORY = 0.9
"""What an hour's error still counts in the next: about ten hours are remembered."""
_FEWEST_ERRORS = 10
_SMOOTHED = 3
"""Which member is an exponentially weighted mean."""


class Forecast(NamedTuple):
    """Tokens of an hour, and the bounds of the band; None while there are too few errors to tell them."""

    value: float
    lower: float | None
    upper: float | None


class Blend:
    """Learns one hour after the other. Some hundred floats, about a tenth of a millisecond an hour."""

    def __init__(self, memory: float = MEMORY) -> None:
        self._memory = memory
        self.hours = 0
        """Hours learnt."""
        self._members: list[Member] = members()
        self._errors: list[float | None] = [None] * len(self._members)
        self._residuals: deque[float] = deque(maxlen=WEEK)
        self._held: deque[bool] = deque(maxlen=WEEK)

    @property
    def cold(self) -> bool:
        """Whether it has seen too little yet."""
        return self.hours < COLD_HOURS

    def learn(self, value: float | None) -> None:
        """What the hour was, in tokens; None: nobody knows, the system was down."""
        blended = self._value()
        if value is None:
            # Whatever was expected keeps the hours of the day in step, and is no error of anybody.
            for member in self._members:
                member.learn(blended or 0.0)
        else:
            if blended is not None:
                if self.width is not None:
                    self._held.append(abs(value - blended) <= self.width)
                self._residuals.append(abs(value - blended))
            for number, member in enumerate(self._members):
                self._judge(number, member.forecast(), value)
                member.learn(value)
        self.hours += 1

    def _judge(self, number: int, said: float | None, value: float) -> None:
        if said is None:
            return
        error, before = (said - value) ** 2, self._errors[number]
        self._errors[number] = error if before is None else self._memory * before + (1 - self._memory) * error

    def _value(self) -> float | None:
        if self.cold:
            return self._members[_SMOOTHED].forecast()
        said = [
            (value, error)
            for member, error in zip(self._members, self._errors, strict=True)
            if error is not None and (value := member.forecast()) is not None
        ]
        # One that was never wrong must not divide by nothing.
        floor = 1e-6 * max((error for _, error in said), default=0.0) + 1e-9
        weights = [1 / (error + floor) for _, error in said]
        total = sum(weights)
        return sum(weight * value for weight, (value, _) in zip(weights, said, strict=True)) / total if total else None

    @property
    def cover(self) -> tuple[float | None, int]:
        """The share of the last hours that lay within the band they were given, and of how many."""
        count = len(self._held)
        return (sum(self._held) / count if count else None), count

    @property
    def width(self) -> float | None:
        """How far the band reaches on either side."""
        count = len(self._residuals)
        if count < _FEWEST_ERRORS:
            return None
        rank = min(count, ceil((count + 1) * COVER))
        return sorted(self._residuals)[rank - 1]

    def forecast(self) -> Forecast | None:
        """The next hour; None when nothing is known at all."""
        value = self._value()
        return None if value is None else banded(value, self.width)

    def ahead(self, hours: int) -> list[Forecast]:
        """The next so many hours, each from its own forecast of the one before."""
        twin = deepcopy(self)
        found: list[Forecast] = []
        for _ in range(hours):
            value = twin._value()
            if value is None:
                return found
            found.append(banded(value, self.width))
            twin.learn(None)
        return found


def banded(value: float, width: float | None) -> Forecast:
    """A forecast with its band; there are no fewer than no tokens."""
    value = max(0.0, value)
    return Forecast(value, None if width is None else max(0.0, value - width), None if width is None else value + width)
