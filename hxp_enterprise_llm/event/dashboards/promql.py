"""Panels that Prometheus answers: its answers understood, and what a panel shows of one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hxp_enterprise_llm.event.dashboards.history import Grid
from hxp_enterprise_llm.event.dashboards.model import Panel, PanelData
from hxp_enterprise_llm.telemetry.text import clean

MOST_SERIES = 50
"""A panel with more is no panel."""
_MOST_TEXT = 300
_SAID = re.compile(r'"error":"((?:\\.|[^"\\])*)')


class Answer(msgspec.Struct, frozen=True):
    """What Prometheus answered to a query: values of each series at the places of a grid, or why there are none."""

    series: Mapping[str, Sequence[float | None]] = {}
    places: Grid = Grid(0, 1, 1)
    fault: str = ""


class Unusable(ValueError):
    """An answer that says nothing for a panel; the text says why."""


class _Series(msgspec.Struct):
    metric: dict[str, str] = {}
    value: tuple[float, str] | None = None
    values: list[tuple[float, str]] = []


class _Data(msgspec.Struct):
    resultType: str  # the name that Prometheus gives it
    result: msgspec.Raw


class _Body(msgspec.Struct):
    status: str
    data: _Data | None = None
    error: str = ""


def understood(body: bytes, places: Grid) -> Answer:
    """The answer to an instant query (a grid of one place) or a range query. Raises Unusable."""
    try:
        return _understood(msgspec.json.decode(body, type=_Body), places)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, ArithmeticError) as error:
        if isinstance(error, Unusable):
            raise
        raise Unusable(f"its answer is not one of Prometheus: {clean(str(error))[:_MOST_TEXT]}") from None


def refused(reason: str) -> str:
    """Why a query was refused: in Prometheus' own words where the reason quotes them."""
    said = _SAID.search(reason)
    return clean(said[1].replace('\\"', '"'))[:_MOST_TEXT] if said else reason


def _understood(body: _Body, places: Grid) -> Answer:
    if body.status != "success" or body.data is None:
        raise Unusable(clean(body.error)[:_MOST_TEXT] or "Prometheus answers neither data nor a reason")
    kind, result = body.data.resultType, body.data.result
    if kind == "scalar":
        at, text = msgspec.json.decode(result, type=tuple[float, str])
        return Answer({"value": [_number(text)]}, Grid(int(at), 1, 1))
    if kind not in ("vector", "matrix"):
        raise Unusable(f"it answers a {clean(kind)[:_MOST_TEXT]}; panels show numbers")
    found = msgspec.json.decode(result, type=list[_Series])
    if len(found) > MOST_SERIES:
        raise Unusable(f"it has {len(found):,} series, a panel shows {MOST_SERIES} at most: sum or choose among them")
    names = _names([each.metric for each in found])
    return Answer({name: _placed(each, places) for name, each in zip(names, found, strict=True)}, places)


def _placed(series: _Series, places: Grid) -> list[float | None]:
    if series.value is not None:
        return [_number(series.value[1])]
    values: list[float | None] = [None] * places.points
    for at, text in series.values:
        # A value at the end of a step is the step's.
        place = round((at - places.start) / places.step) - 1
        if 0 <= place < places.points:
            values[place] = _number(text)
    return values


def _number(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None  # NaN and the infinities are no JSON


def _names(labels: Sequence[Mapping[str, str]]) -> list[str]:
    """Each series by the labels in which they differ; all of them where that says nothing, and each name once."""
    keys = sorted({key for each in labels for key in each})
    telling = [key for key in keys if len({each.get(key) for each in labels}) > 1] or keys
    names: dict[str, None] = {}
    for each in labels:
        shown = [each[key] if len(telling) == 1 else f"{key}={each[key]}" for key in telling if key in each]
        name = clean(", ".join(shown))[:_MOST_TEXT] or "value"
        while name in names:
            name += "'"
        names[name] = None
    return list(names)


def shown(panel: Panel, answer: Answer | None) -> PanelData:
    """What a panel shows of an answer; None: it has not come yet."""
    if answer is None:
        return _empty(panel)
    if answer.fault:
        return {"kind": "fault", "fault": f"{panel.text}: {answer.fault}"}
    series = {name: [_scaled(value, panel.scale) for value in values] for name, values in answer.series.items()}
    if panel.panel_type == "table":
        rows: list[list[Any]] = [[name, values[-1] if values else None] for name, values in series.items()]
        return {"kind": "table", "columns": ["series", "now"], "rows": rows}
    history = {"start": answer.places.start, "step": answer.places.step, "series": series}
    if panel.panel_type in ("graph", "heatmap"):
        return {"kind": "series"} | history
    if len(series) > 1:
        text = f"{panel.text}: it has {len(series)} series and a {panel.panel_type} shows one: sum or choose among them"
        return {"kind": "fault", "fault": text}
    value = _latest(next(iter(series.values()), []))
    return {"kind": "value", "value": value} | (history if answer.places.points > 1 else {})


def _empty(panel: Panel) -> PanelData:
    if panel.panel_type == "table":
        return {"kind": "table", "columns": [], "rows": []}
    if panel.panel_type in ("graph", "heatmap"):
        return {"kind": "series", "start": 0, "step": 1, "series": {}}
    return {"kind": "value", "value": None}


def _latest(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _scaled(value: float | None, scale: float) -> float | None:
    return value if value is None or scale == 1.0 else float(f"{value * scale:.6g}")
