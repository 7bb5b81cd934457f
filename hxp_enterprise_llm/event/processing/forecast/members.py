"""Six simple ways to say what the next hour brings, each a core of a few floats that learns one hour after the other.

A member forecasts from what it has learnt; None while that is too little. `ahead` hours: 1 is the next one.
"""

from __future__ import annotations

from typing import Protocol

DAY, WEEK = 24, 168


class Member(Protocol):
    """One way of forecasting."""

    def forecast(self) -> float | None:
        """The next hour."""
        ...

    def learn(self, value: float) -> None:
        """What that hour was."""
        ...


class Last:
    """As this hour."""

    def __init__(self) -> None:
        self._last: float | None = None

    def forecast(self) -> float | None:
        return self._last

    def learn(self, value: float) -> None:
        self._last = value


class Seasonal:
    """As the same hour of the last period: yesterday, or a week ago."""

    def __init__(self, period: int) -> None:
        self._period = period
        self._values: list[float] = []

    def forecast(self) -> float | None:
        return self._values[0] if len(self._values) == self._period else None

    def learn(self, value: float) -> None:
        self._values = [*self._values[-self._period + 1 :], value]


class Smoothed:
    """An exponentially weighted mean."""

    def __init__(self, alpha: float) -> None:
        self._alpha = alpha
        self._level: float | None = None

    def forecast(self) -> float | None:
        return self._level

    def learn(self, value: float) -> None:
        self._level = value if self._level is None else self._level + self._alpha * (value - self._level)


class HoltWinters:
    """Level, damped trend and the hours of the day, added (Holt and Winters; Gardner's damping)."""

    def __init__(self, alpha: float = 0.3, beta: float = 0.02, gamma: float = 0.2, damping: float = 0.9) -> None:
        self._alpha, self._beta, self._gamma, self._damping = alpha, beta, gamma, damping
        self._first: list[float] = []
        self._season: list[float] = []
        self._level = self._trend = 0.0
        self._hour = 0

    def forecast(self) -> float | None:
        if not self._season:
            return None
        return max(0.0, self._level + self._damping * self._trend + self._season[self._hour])

    def learn(self, value: float) -> None:
        if not self._season:
            self._begin(value)
            return
        season, level = self._season[self._hour], self._level
        flat = level + self._damping * self._trend
        self._level = flat + self._alpha * (value - season - flat)
        self._trend = self._damping * self._trend + self._beta * (self._level - level - self._damping * self._trend)
        self._season[self._hour] = season + self._gamma * (value - self._level - season)
        self._hour = (self._hour + 1) % DAY

    def _begin(self, value: float) -> None:
        """The first day tells the level, and by how much each hour is above it."""
        self._first.append(value)
        if len(self._first) == DAY:
            self._level = sum(self._first) / DAY
            self._season = [each - self._level for each in self._first]


class Profile:
    """The level of late times the usual share of the hour of the day."""

    def __init__(self, alpha: float = 0.4, gamma: float = 0.15) -> None:
        self._alpha, self._gamma = alpha, gamma
        self._shares: list[float] = [1.0] * DAY
        self._seen = 0
        self._mean = 0.0
        self._level = 0.0

    def forecast(self) -> float | None:
        return self._level * self._shares[self._seen % DAY] if self._seen >= DAY else None

    def learn(self, value: float) -> None:
        hour = self._seen % DAY
        share = self._shares[hour]
        self._mean = value if not self._seen else self._mean + (value - self._mean) / min(self._seen + 1, WEEK)
        level = value / share if share > 0.05 else value
        self._level = level if not self._seen else self._level + self._alpha * (level - self._level)
        if self._mean > 0:
            self._shares[hour] = share + (1.0 if self._seen < DAY else self._gamma) * (value / self._mean - share)
        self._seen += 1


def members() -> list[Member]:
    """All six."""
    return [Last(), Seasonal(DAY), Seasonal(WEEK), Smoothed(0.3), HoltWinters(), Profile()]
