"""Series as tests of rules write them, in Prometheus' notation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import NamedTuple

from hxp_enterprise_llm.event.notifications.rules.snapshots import LabelledValue, Snapshot

LOOKBACK_SECONDS = 300.0
"""So long a value is good for when none comes after it, as with Prometheus; `stale` ends it at once."""
MOST_VALUES = 100_000


class Stale:
    """The series ends here."""


STALE = Stale()
Value = float | Stale | None


class SeriesFault(ValueError):
    """A series that cannot be read."""


class Series(NamedTuple):
    """A metric over time, with a value for each step."""

    metric: str
    labels: Mapping[str, str]
    values: tuple[Value, ...]

    def at(self, seconds: float, interval: float) -> float | None:
        """Its value at a moment; None when it has none."""
        newest = min(int(seconds / interval + 1e-9), len(self.values) - 1)
        for step in range(newest, -1, -1):
            if seconds - step * interval > LOOKBACK_SECONDS:
                return None
            value = self.values[step]
            if value is not None:
                return value if isinstance(value, float) else None
        return None


_NAME = re.compile(r"\s*([A-Za-z_:][A-Za-z0-9_:]*)\s*(?:\{(.*)\})?\s*", re.DOTALL)
_LABEL = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*\"((?:[^\"\\]|\\.)*)\"\s*(?:,|$)")
_DIGITS = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_STEP = re.compile(
    rf"(?P<stale>stale)|(?:(?P<gap>_)|(?P<start>[+-]?(?:{_DIGITS}|Inf)|NaN)(?P<by>[+-]{_DIGITS})?)(?:x(?P<times>[0-9]+))?"
)


def read_series(series: str, values: str) -> Series:
    """A series of a test. Raises SeriesFault."""
    match = _NAME.fullmatch(series)
    if match is None:
        raise SeriesFault(f'{series!r} is no series such as error_rate or error_rate{{model="a"}}')
    return Series(match[1], dict(_labels(series, match[2] or "")), tuple(read_values(values)))


def _labels(series: str, text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while text[place:].strip():
        match = _LABEL.match(text, place)
        if match is None:
            raise SeriesFault(f"the labels of {series!r} cannot be read at {text[place:].strip()[:20]!r}")
        yield match[1], re.sub(r"\\(.)", r"\1", match[2])
        place = match.end()


def read_values(text: str) -> list[Value]:
    """`1 2x3 0.1+0.05x4 _ _x5 stale` as values. Raises SeriesFault."""
    found: list[Value] = []
    for word in text.split():
        match = _STEP.fullmatch(word)
        if match is None:
            raise SeriesFault(f"{word!r} is no value: write numbers, _, stale, 1x9 or 0.1+0.05x4")
        found += _values(word, match)
        if len(found) > MOST_VALUES:
            raise SeriesFault(f"more than {MOST_VALUES:,} values")
    return found


def _values(word: str, match: re.Match[str]) -> list[Value]:
    times = match["times"]
    if match["by"] and times is None:
        raise SeriesFault(f"{word!r} lacks how often: write {word}x5")
    if int(times or 0) > MOST_VALUES:
        raise SeriesFault(f"more than {MOST_VALUES:,} values")
    if match["gap"]:
        return [None] * int(times or 1)
    if match["stale"]:
        return [STALE]
    start, by = float(match["start"]), float(match["by"] or 0)
    # Added step by step, as Prometheus does it, down to the last bit.
    return list(accumulate([start, *[by] * int(times or 0)]))


def snapshot_at(series: list[Series], seconds: float, interval: float) -> Snapshot:
    """All series at one moment as a snapshot of metrics."""
    values: dict[str, object] = {}
    groups: dict[str, list[LabelledValue]] = {}
    for each in series:
        value = each.at(seconds, interval)
        if value is None:
            continue
        if each.labels:
            groups.setdefault(each.metric, []).append(LabelledValue(dict(each.labels), value))
        else:
            values[each.metric] = value
    return Snapshot(seconds, values, groups)
