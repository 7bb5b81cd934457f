"""The next 60 minutes, from the whole hours that are known and the part of this one that has passed; and the budget.

The figure moves with every look: what this hour has brought so far says how much the rest of it will bring.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

from hxp_enterprise_llm.event.processing.forecast.blend import Blend, Forecast, banded

HOUR = 3600
_PRIOR_HOURS = 0.25
"""The forecast counts as much as so many hours of what was seen."""
_PACES = (0.2, 5.0)
MOST_HOURS = 168
"""As far as is looked ahead."""


class Outlook(NamedTuple):
    """What is expected at a moment of an hour."""

    next_hour: Forecast | None
    """Of the 60 minutes from now on."""
    this_hour: Forecast | None
    """Of the whole hour that has begun."""
    rest: float
    """What is still to come of it."""
    ahead: list[Forecast]
    """Of the whole hours after it."""


def outlook(blend: Blend, so_far: float, passed: float, hours: int) -> Outlook:
    """`so_far`: tokens of the hour that has begun, of which `passed` (0 to 1) is over; `hours`: to look ahead."""
    said = blend.forecast()
    if said is None:
        return _without_forecast(so_far, passed)
    rest = (1 - passed) * said.value * _pace(so_far, passed, said.value)
    whole = so_far + rest
    twin = deepcopy(blend)
    twin.learn(whole)
    ahead = twin.ahead(max(1, hours))
    width = blend.width
    coming = rest + passed * ahead[0].value
    # What has passed of an hour is certain: the band of the whole is that of its rest.
    this = Forecast(whole, *_bounds(whole, None if width is None else (1 - passed) * width, so_far))
    return Outlook(banded(coming, width), this, rest, [banded(each.value, width) for each in ahead])


def _without_forecast(so_far: float, passed: float) -> Outlook:
    """No whole hour is known: the rate of this one goes on."""
    if passed < 1 / 60:
        return Outlook(None, None, 0.0, [])
    rate = so_far / passed
    return Outlook(Forecast(rate, None, None), Forecast(rate, None, None), rate - so_far, [])


def _pace(so_far: float, passed: float, said: float) -> float:
    """How much faster than said this hour goes, from 0.2 to 5 times."""
    if said <= 0:
        return 1.0
    pace = (so_far + _PRIOR_HOURS * said) / ((passed + _PRIOR_HOURS) * said)
    return min(max(pace, _PACES[0]), _PACES[1])


def _bounds(value: float, width: float | None, least: float) -> tuple[float | None, float | None]:
    return (None, None) if width is None else (max(least, value - width), value + width)


class Exhaustion(NamedTuple):
    """In how many seconds so many tokens are used up; None: not as far as is looked ahead."""

    expected: float | None
    earliest: float | None
    """By the upper bounds of the band."""


def exhaustion(found: Outlook, passed: float, tokens: float) -> Exhaustion:
    """When `tokens` more are used up, within the hours of the outlook."""
    left = (1 - passed) * HOUR
    upper = found.this_hour.upper if found.this_hour else None
    early = found.rest if upper is None or found.this_hour is None else upper - (found.this_hour.value - found.rest)
    spans = [left, *[HOUR] * len(found.ahead)]
    values = [found.rest, *(each.value for each in found.ahead)]
    uppers = [early, *(each.value if each.upper is None else each.upper for each in found.ahead)]
    return Exhaustion(_crossing(spans, values, tokens), _crossing(spans, uppers, tokens))


def _crossing(spans: Sequence[float], amounts: Sequence[float], tokens: float) -> float | None:
    passed = 0.0
    for span, amount in zip(spans, amounts, strict=True):
        if tokens <= amount:
            return passed + (span * max(0.0, tokens) / amount if amount > 0 else 0.0)
        tokens -= amount
        passed += span
    return None
