"""How long a peer wants to be left in peace: its header Retry-After. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 3600.0
"""Whatever a peer says, it is asked again after that: a day, by mistake or not, would be a day without a word."""
_SHORTEST_SECONDS = 1.0


def asked_for(headers: Mapping[str, str]) -> float | None:
    """Seconds; None where it names none, none that is usable, or a moment that is past: our own schedule holds then.

    A date is compared with that of the answer, so that neither clock need be right.
    """
    value, sent = _header(headers, "retry-after"), _header(headers, "date")
    seconds = _number(value)
    if seconds is None:
        until, now = _moment(value), _moment(sent)
        seconds = None if until is None or now is None else (until - now).total_seconds()
    if seconds is None or not math.isfinite(seconds) or seconds <= 0:
        return None
    return min(max(seconds, _SHORTEST_SECONDS), LONGEST_SECONDS)


def _header(headers: Mapping[str, str], wanted: str) -> str:
    # Names are compared without case: some libraries hand over plain maps.
    return next((text for name, text in headers.items() if name.lower() == wanted), "")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None
