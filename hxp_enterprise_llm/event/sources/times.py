"""The times of many events at once: what differs within a minute only is looked at as that minute."""

from __future__ import annotations

from collections.abc import Set
from operator import itemgetter
from typing import Any

from hxp_enterprise_llm.event.sources.decode import Terms, time_passes

FEW = 4
"""Fewer times than this are looked at one by one."""

_ZEROS = str.maketrans("123456789", "000000000")
_NINES = str.maketrans("012345678", "999999999")
_minute, _seconds, _zone = itemgetter(slice(0, 16)), itemgetter(slice(17, 19)), itemgetter(slice(-6, None))


def times_pass(times: Set[Any], terms: Terms) -> bool:
    """Whether events of all these times, one at least, would pass the check of it."""
    return (len(times) >= FEW and _minutes_pass(times, terms)) or all(time_passes(time, terms) for time in times)


def _minutes_pass(times: Set[Any], terms: Terms) -> bool:
    """Whether all are good because their minutes are, from the first to the last moment."""
    first = next(iter(times))
    if not time_passes(first, terms) or not _are_like(first, times) or max(map(_seconds, times)) > "59":
        return False
    zone = "Z" if first[-1] == "Z" else _zone(first)
    if zone != "Z" and set(map(_zone, times)) != {zone}:
        return False
    ends = f":00{zone}", f":59{first[19 : -len(zone)].translate(_NINES)}{zone}"
    return all(time_passes(minute + end, terms) for minute in set(map(_minute, times)) for end in ends)


def _are_like(first: str, times: Set[Any]) -> bool:
    """Whether all have a digit wherever the first has one, and the same in between."""
    if set(map(type, times)) != {str}:
        return False
    shape = first.translate(_ZEROS)
    return set(map(len, times)) == {len(first)} and "".join(times).translate(_ZEROS) == shape * len(times)
