"""Times that return: hours, weekdays, days of the month, months and years in a time zone. Pure."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hxp_enterprise_llm.config.routing import TimeIntervalConfig, TimeRangeConfig

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = tuple(name.lower() for name in calendar.month_name)
_CLOCK = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")

Range = tuple[int, int]
"""First and last, both included."""


class TimeFault(ValueError):
    """A key of a time interval that cannot be read; `key` is relative to the interval."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(key, message)
        self.key, self.message = key, message


class TimeInterval(NamedTuple):
    """A time that returns; empty parts always match."""

    times: tuple[Range, ...]
    """Minutes of the day; the last is not included."""
    weekdays: tuple[Range, ...]
    days: tuple[Range, ...]
    months: tuple[Range, ...]
    years: tuple[Range, ...]
    zone: ZoneInfo

    def contains(self, wall: float) -> bool:
        """Whether wall-clock seconds since 1970 lie in it."""
        at = datetime.fromtimestamp(wall, self.zone)
        minute = at.hour * 60 + at.minute
        return (
            (not self.times or any(first <= minute < end for first, end in self.times))
            and _within(self.weekdays, at.isoweekday() % 7)
            and self._on_day(at)
            and _within(self.months, at.month)
            and _within(self.years, at.year)
        )

    def _on_day(self, at: datetime) -> bool:
        last = calendar.monthrange(at.year, at.month)[1]
        days = [tuple(day if day > 0 else last + 1 + day for day in each) for each in self.days]
        return not days or any(first <= at.day <= end for first, end in days)


def _within(ranges: Sequence[Range], value: int) -> bool:
    return not ranges or any(first <= value <= last for first, last in ranges)


def compile_interval(config: TimeIntervalConfig) -> TimeInterval:
    """The interval of a configuration. Raises TimeFault."""
    try:
        zone = ZoneInfo(config.location)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise TimeFault("location", f"unknown time zone {config.location!r}; write one such as Europe/Berlin") from None
    return TimeInterval(
        tuple(_clock_range(f"times[{index}]", each) for index, each in enumerate(config.times)),
        _ranges("weekdays", config.weekdays, _WEEKDAYS, 0, 6),
        _ranges("days_of_month", config.days_of_month, (), -31, 31),
        _ranges("months", config.months, _MONTHS, 1, 12),
        _ranges("years", config.years, (), 1970, 9999),
        zone,
    )


def _clock_range(key: str, config: TimeRangeConfig) -> Range:
    first, end = _minute(f"{key}.start_time", config.start_time), _minute(f"{key}.end_time", config.end_time)
    if first >= end:
        hint = "for a night, give two ranges: until 24:00 and from 00:00"
        raise TimeFault(key, f"{config.start_time} is not before {config.end_time}; {hint}")
    return first, end


def _minute(key: str, text: str) -> int:
    match = _CLOCK.fullmatch(text)
    minute = int(match[1]) * 60 + int(match[2]) if match else -1
    if not 0 <= minute <= 24 * 60:
        raise TimeFault(key, f"{text!r} is no time of the day such as 09:30")
    return minute


def _ranges(key: str, texts: Sequence[str], names: Sequence[str], least: int, most: int) -> tuple[Range, ...]:
    found = []
    for index, text in enumerate(texts):
        parts = [_number(part.strip().lower(), names) for part in text.split(":")]
        first, last = parts[0], parts[-1]
        if len(parts) > 2 or first is None or last is None or not least <= first <= most or not least <= last <= most:
            raise TimeFault(f"{key}[{index}]", f"{text!r} is neither a value nor a range such as {_example(key)}")
        if (first > last and (first > 0) == (last > 0)) or (0 in (first, last) and key != "weekdays"):
            raise TimeFault(f"{key}[{index}]", f"the range {text!r} is empty")
        found.append((first, last))
    return tuple(found)


def _number(text: str, names: Sequence[str]) -> int | None:
    if text and text in names:
        return names.index(text)
    return int(text) if re.fullmatch(r"-?[0-9]{1,4}", text) else None


def _example(key: str) -> str:
    examples = {"weekdays": "monday:friday", "days_of_month": "1:7", "months": "january:march", "years": "2026:2028"}
    return examples[key]
