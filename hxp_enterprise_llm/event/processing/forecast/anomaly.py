"""What is out of the ordinary: an exponentially weighted mean and deviation, and how far a value is from them.

A value counts towards the usual only as far as it is not itself unusual (it is winsorised), so that an anomaly does not
make itself the rule. One value that stands out is chance; an anomaly is `least` of the last `of`.
"""

from __future__ import annotations

from collections import deque
from math import sqrt
from typing import NamedTuple

_CLIPPED_AT = 4.0
"""Deviations beyond which a value counts no further towards the usual."""
_WARM_UP = 36
"""Values before anything is judged."""
_LEAST_SHARE = 0.05
"""A deviation is never taken to be less than this share of the mean: a flat line is no reason for an alarm."""


class Judged(NamedTuple):
    """What is said of a value: by how many deviations it is off, what is usual, and whether it stands out."""

    score: float
    usual: float
    stands_out: bool


class Change(NamedTuple):
    """An anomaly that began or ended with a value."""

    started: bool
    judged: Judged


class Detector:
    """Learns one value after the other."""

    def __init__(self, threshold: float, least: int, of: int, alpha: float = 0.005) -> None:
        """`least` of the last `of` values must be `threshold` deviations off for an anomaly to begin; none to end."""
        self._threshold, self._least, self._alpha = threshold, least, alpha
        self._recent: deque[bool] = deque(maxlen=of)
        self._mean = self._variance = 0.0
        self._seen = 0
        self.active = False

    def learn(self, value: float) -> tuple[Judged, Change | None]:
        """Judge a value, then take it in."""
        judged = self._judge(value)
        self._take(value)
        self._recent.append(judged.stands_out)
        return judged, self._change(judged)

    def _deviation(self) -> float:
        return max(sqrt(self._variance), _LEAST_SHARE * abs(self._mean), 1.0)

    def _judge(self, value: float) -> Judged:
        score = (value - self._mean) / self._deviation() if self._seen >= _WARM_UP else 0.0
        return Judged(score, self._mean, abs(score) > self._threshold)

    def _take(self, value: float) -> None:
        # At first the mean is that of all; then what is new weighs alpha.
        self._seen += 1
        alpha = max(self._alpha, 1 / self._seen)
        if self._seen > _WARM_UP:
            most = _CLIPPED_AT * self._deviation()
            value = min(max(value, self._mean - most), self._mean + most)
        off = value - self._mean
        self._mean += alpha * off
        self._variance = (1 - alpha) * (self._variance + alpha * off * off)

    def _change(self, judged: Judged) -> Change | None:
        standing_out = sum(self._recent)
        if not self.active and standing_out >= self._least:
            self.active = True
            return Change(True, judged)
        if self.active and not standing_out:
            self.active = False
            return Change(False, judged)
        return None
