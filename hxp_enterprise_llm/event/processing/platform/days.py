"""Days and hours by number, counted from the epoch in UTC, and their names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_HOUR, _DAY = 3600, 86400


def month_of(now: float) -> tuple[int, int]:
    """Numbers of the first and the last day of the calendar month, UTC."""
    moment = datetime.fromtimestamp(now, UTC)
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    return int(first.timestamp()) // _DAY, int(following.timestamp()) // _DAY - 1


def day_name(day: int) -> str:
    """A numbered day as `2026-11-29`."""
    return datetime.fromtimestamp(day * _DAY, UTC).date().isoformat()


def hour_name(hour: int) -> str:
    """A numbered hour as `2026-11-29T22:00:00Z`."""
    return datetime.fromtimestamp(hour * _HOUR, UTC).strftime("%Y-%m-%dT%H:00:00Z")
