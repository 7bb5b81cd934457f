"""Times that return, in time zones that change theirs."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from hxp_enterprise_llm.config.routing import TimeIntervalConfig
from hxp_enterprise_llm.event.notifications.routing.times import TimeFault, compile_interval

BERLIN = ZoneInfo("Europe/Berlin")


def contains(parts: dict[str, object], at: datetime) -> bool:
    return compile_interval(msgspec.convert(parts, TimeIntervalConfig)).contains(at.timestamp())


NIGHT = {"times": [{"start_time": "22:00", "end_time": "24:00"}, {"start_time": "00:00", "end_time": "06:00"}]}


@pytest.mark.parametrize(
    ("hour", "minute", "inside"),
    [(21, 59, False), (22, 0, True), (23, 59, True), (0, 0, True), (5, 59, True), (6, 0, False)],
)
@pytest.mark.parametrize("day", [(2027, 1, 15), (2027, 3, 28), (2027, 7, 1), (2027, 10, 31)])
def test_a_night_in_berlin_is_a_night_in_summer_in_winter_and_when_the_clock_changes(
    day: tuple[int, int, int], hour: int, minute: int, inside: bool
) -> None:
    at = datetime(*day, hour, minute, tzinfo=BERLIN)
    assert contains(NIGHT | {"location": "Europe/Berlin"}, at) is inside


def test_the_hour_that_is_left_out_and_the_hour_that_comes_twice() -> None:
    two = {"times": [{"start_time": "02:00", "end_time": "03:00"}], "location": "Europe/Berlin"}
    interval = compile_interval(msgspec.convert(two, TimeIntervalConfig))
    spring, autumn = (datetime(*day, tzinfo=BERLIN).timestamp() for day in ((2027, 3, 28), (2027, 10, 31)))
    minutes = range(0, 25 * 60, 10)
    assert sum(interval.contains(spring + each * 60) for each in minutes if each < 23 * 60) == 0
    assert sum(interval.contains(autumn + each * 60) for each in minutes) == 12


@pytest.mark.parametrize(
    ("parts", "at", "inside"),
    [
        ({"weekdays": ["monday:friday"]}, datetime(2027, 1, 15, tzinfo=BERLIN), True),
        ({"weekdays": ["monday:friday"]}, datetime(2027, 1, 16, 12, tzinfo=BERLIN), False),
        ({"weekdays": ["sunday"]}, datetime(2027, 1, 17, 12, tzinfo=BERLIN), True),
        ({"days_of_month": ["-1"]}, datetime(2028, 2, 29, 12, tzinfo=BERLIN), True),
        ({"days_of_month": ["-1"]}, datetime(2028, 2, 28, 12, tzinfo=BERLIN), False),
        ({"days_of_month": ["1:7"]}, datetime(2027, 1, 7, 12, tzinfo=BERLIN), True),
        ({"months": ["january:march", "12"]}, datetime(2027, 12, 7, tzinfo=BERLIN), True),
        ({"months": ["january:march"]}, datetime(2027, 5, 7, tzinfo=BERLIN), False),
        ({"years": ["2026:2027"]}, datetime(2027, 6, 1, tzinfo=BERLIN), True),
        ({"years": ["2026"], "months": ["june"]}, datetime(2027, 6, 1, tzinfo=BERLIN), False),
        ({"location": "Asia/Tokyo", "weekdays": ["saturday"]}, datetime(2027, 1, 15, 16, tzinfo=ZoneInfo("UTC")), True),
        ({}, datetime(2027, 1, 1, tzinfo=BERLIN), True),
    ],
)
def test_days_months_and_years(parts: dict[str, object], at: datetime, inside: bool) -> None:
    assert contains(parts, at) is inside


@pytest.mark.parametrize(
    ("parts", "key", "message"),
    [
        ({"location": "Mars/Base"}, "location", "unknown time zone 'Mars/Base'; write one such as Europe/Berlin"),
        ({"location": "../etc"}, "location", "unknown time zone '../etc'; write one such as Europe/Berlin"),
        ({"weekdays": ["funday"]}, "weekdays[0]", "'funday' is neither a value nor a range such as monday:friday"),
        ({"weekdays": ["friday:monday"]}, "weekdays[0]", "the range 'friday:monday' is empty"),
        ({"days_of_month": ["0"]}, "days_of_month[0]", "the range '0' is empty"),
        ({"days_of_month": ["32"]}, "days_of_month[0]", "'32' is neither a value nor a range such as 1:7"),
        ({"months": ["1:2:3"]}, "months[0]", "'1:2:3' is neither a value nor a range such as january:march"),
        (
            {"times": [{"start_time": "25:00", "end_time": "26:00"}]},
            "times[0].start_time",
            "'25:00' is no time of the day such as 09:30",
        ),
        (
            {"times": [{"start_time": "22:00", "end_time": "06:00"}]},
            "times[0]",
            "22:00 is not before 06:00; for a night, give two ranges: until 24:00 and from 00:00",
        ),
    ],
)
def test_what_cannot_be_read_says_why(parts: dict[str, object], key: str, message: str) -> None:
    with pytest.raises(TimeFault) as refused:
        compile_interval(msgspec.convert(parts, TimeIntervalConfig))
    assert (refused.value.key, refused.value.message) == (key, message)
