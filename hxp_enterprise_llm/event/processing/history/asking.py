"""What a query says: moments, steps, metrics and labels; each fault names the parameter and what is taken."""

from __future__ import annotations

import re
from collections.abc import Sequence

from multidict import MultiMapping

from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.model import parse_rfc3339
from hxp_enterprise_llm.event.processing.history.ranges import WHOLE, Asked
from hxp_enterprise_llm.event.processing.metrics import Breakdown, Metric
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.telemetry.text import clean

Query = MultiMapping[str]

_NUMBER = re.compile(r"[0-9]{1,11}(\.[0-9]+)?")
_LATEST = 253_402_300_799
_USUAL_SPAN = 3600
_TAKEN = "RFC 3339 (2026-11-29T12:00:00Z), Unix seconds, `now`, or how long ago (-90m)"


def moment(query: Query, name: str, otherwise: float, now: float) -> float:
    """A moment in wall-clock seconds."""
    text = query.get(name)
    if text is None:
        return otherwise
    found = _moment(text.strip(), now)
    if found is None or not 0 <= found <= _LATEST:
        raise Problem(400, "bad_parameter", f"{name}={clean(text, 60)} is no moment", f"it takes {_TAKEN}")
    return found


def _moment(text: str, now: float) -> float | None:
    try:
        if text == "now":
            return now
        if text.startswith("-"):
            return now - seconds(text[1:])
        # A plus of a time zone that was not escaped comes as a space.
        return float(text) if _NUMBER.fullmatch(text) else parse_rfc3339(text.replace(" ", "+"))
    except (ValueError, OverflowError):
        return None


def span(query: Query, now: float) -> tuple[int, int]:
    """`from` and `to` in whole seconds; as they are usually, the last hour. Raises Problem."""
    end = moment(query, "to", now, now)
    begin = moment(query, "from", end - _USUAL_SPAN, now)
    if begin >= end:
        raise Problem(400, "bad_parameter", "`from` is not before `to`", "e.g. ?from=-6h&to=now")
    return int(begin), max(int(begin) + 1, int(end))


def step(query: Query) -> int | None:
    """`step` in seconds: a duration, or a number of seconds."""
    text = query.get("step")
    if text is None:
        return None
    try:
        length = float(text) if _NUMBER.fullmatch(text) else seconds(text)
    except ValueError:
        length = 0.0
    if length < 1 or length % 1 or length > 366 * 86_400:
        raise Problem(
            400, "bad_parameter", f"step={clean(text, 60)} is not taken", "send whole seconds or a duration: 60, 5m, 1h"
        )
    return int(length)


def metric(query: Query, metrics: Sequence[Metric]) -> Metric:
    """`metric`: one of those that are declared."""
    names = [each.name for each in metrics]
    name = query.get("metric")
    if name is None:
        raise Problem(400, "missing_parameter", "which metric?", f"?metric= one of {', '.join(names)}", allowed=names)
    for each in metrics:
        if each.name == name:
            return each
    raise Problem(
        400,
        "unknown_metric",
        f"metric {clean(name, 60)!r} is not declared",
        f"ask for one of {', '.join(names)}; others go into analytics.metrics",
        allowed=names,
    )


def breakdown(query: Query, chosen: Metric) -> Breakdown | None:
    """`by`: the labels of one of the metric's breakdowns, separated by commas."""
    text = query.get("by")
    if text is None:
        return None
    labels = {part.strip() for part in text.split(",")}
    for each in chosen.breakdowns:
        if set(each.labels) == labels:
            return each
    allowed = [",".join(each.labels) for each in chosen.breakdowns]
    hint = f"it is by {' or '.join(allowed)}" if allowed else "give it `by` in analytics.metrics"
    raise Problem(
        400, "unknown_breakdown", f"{chosen.name} is not broken down by {clean(text, 60)}", hint, allowed=allowed
    )


def range_of(query: Query, metrics: Sequence[Metric], now: float) -> Asked:
    """The whole query of a range. Raises Problem."""
    chosen = metric(query, metrics)
    begin, end = span(query, now)
    length = WHOLE if query.get("step") == "all" else step(query)
    return Asked(chosen, breakdown(query, chosen), begin, end, length, now)
