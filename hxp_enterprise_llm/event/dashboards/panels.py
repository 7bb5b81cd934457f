"""The data of a panel, computed from the state. Every value is JSON; null is "no value", never 0.

By kind of query a panel carries, besides what its definition says (`panel_id`, `panel_type`, `title`, …):

    value     {"kind": "value", "value": number|null, and with a window "start", "step", "series"}
    series    {"kind": "series", "start": unix seconds, "step": seconds, "series": {name: [number|null, …]}}
    table     {"kind": "table", "columns": [text, …], "rows": [[text|number|null, …], …]}
    events    {"kind": "events", "events": [{"offset", "time", "type", "source", "subject", "data"}, …]}
    flow      {"kind": "flow", "nodes": [{"name"}, …], "links": [{"source", "target", "value"}, …]}
    network   {"kind": "network", "nodes": [{"name", "value"}, …], "links": [{"source", "target", "value"}, …]}
    fault     {"kind": "fault", "fault": text}
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hxp_enterprise_llm.event.dashboards import promql
from hxp_enterprise_llm.event.dashboards.history import COUNT_SLOT, grid
from hxp_enterprise_llm.event.dashboards.model import Panel, PanelData
from hxp_enterprise_llm.event.dashboards.platform import flow, network
from hxp_enterprise_llm.event.dashboards.promql import Answer
from hxp_enterprise_llm.event.dashboards.queries import Query, QueryFault, choose
from hxp_enterprise_llm.event.dashboards.state import DashboardState

NOTHING: Mapping[str, Answer] = MappingProxyType({})
_SERIES = ("graph", "heatmap")


def compute(panel: Panel, state: DashboardState, now: float, answers: Mapping[str, Answer] = NOTHING) -> PanelData:
    """One panel as it is sent; `now` in unix seconds, `answers` are Prometheus' by the text of the query.

    A query that cannot be answered is a fault in its place.
    """
    head = _head(panel, state)
    if panel.query is None:
        return head | {"kind": "fault", "fault": panel.fault}
    if panel.query.kind == "promql":
        return head | promql.shown(panel, answers.get(panel.query.text))
    try:
        return head | _data(panel, panel.query, state, now)
    except QueryFault as fault:
        return head | {"kind": "fault", "fault": f"{panel.text}: {fault.message}"}


def _head(panel: Panel, state: DashboardState) -> PanelData:
    head: PanelData = {
        "panel_id": panel.panel_id,
        "panel_type": panel.panel_type,
        "title": panel.title,
        "unit": _unit(panel, state),
        "query": panel.text,
        "scale": panel.scale,
    }
    if panel.width is not None:
        head["width"] = panel.width
    if panel.limit is not None:
        head["limit"] = panel.limit
    if panel.description:
        head["description"] = panel.description
    return head


def _unit(panel: Panel, state: DashboardState) -> str:
    if panel.unit is not None or panel.query is None or state.figures is None:
        return panel.unit or ""
    units = {state.figures.units.get(name, "") for name in panel.query.selectors}
    return units.pop() if len(units) == 1 else ""


def _data(panel: Panel, query: Query, state: DashboardState, now: float) -> PanelData:
    if query.kind == "events":
        return {"kind": "events", "events": state.latest.latest(query.patterns(), query.limit)}
    if query.kind == "windows":
        return _windows(query, state)
    if query.kind == "platform":
        return flow(state.platform) if query.selectors == ("memory",) else network(state.platform)
    if query.kind == "count":
        return _count(panel, query, state, now)
    return _metric(panel, query, state, now)


def _metric(panel: Panel, query: Query, state: DashboardState, now: float) -> PanelData:
    if state.figures is None:  # nothing is known yet, not even which names there are
        return {"kind": "table", "columns": [], "rows": []} if panel.panel_type == "table" else _nothing(panel, query)
    names = choose(query, state.names())
    values = {name: _scaled(state.figures.metrics[name], panel.scale) for name in names}
    if panel.panel_type == "table":
        units = state.figures.units
        rows = [[name, value, units.get(name, "")] for name, value in values.items()]
        return {"kind": "table", "columns": ["metric", "now", "unit"], "rows": rows}
    data: PanelData = {"kind": "series"} if panel.panel_type in _SERIES else _value(values[names[0]])
    return data | (_history(panel, names, query.window, state, now) if query.window else {})


def _nothing(panel: Panel, query: Query) -> PanelData:
    if panel.panel_type in _SERIES:
        return {"kind": "series", "start": 0, "step": 1, "series": {}}
    return _value(None)


def _value(value: float | None) -> PanelData:
    return {"kind": "value", "value": value}


def _history(panel: Panel, names: list[str], window: float, state: DashboardState, now: float) -> PanelData:
    places = grid(now, window)
    series = {name: [_scaled(value, panel.scale) for value in state.metrics.series(name, places)] for name in names}
    return {"start": places.start, "step": places.step, "series": series}


def _count(panel: Panel, query: Query, state: DashboardState, now: float) -> PanelData:
    window = query.window or 0.0
    types = state.counts.types(query.patterns())
    if panel.panel_type == "table":
        totals = sorted((-state.counts.total([type], now, window), type) for type in types)
        rows = [[type, _scaled(-total, panel.scale)] for total, type in totals]
        return {"kind": "table", "columns": ["type", "events"], "rows": rows}
    if panel.panel_type in _SERIES:
        return {"kind": "series"} | _count_series(panel, types, window, state, now)
    # A count of nothing is a real zero once the log was looked at.
    return _value(_scaled(state.counts.total(types, now, window), panel.scale))


def _count_series(panel: Panel, types: list[str], window: float, state: DashboardState, now: float) -> PanelData:
    places = grid(now, window, least_step=COUNT_SLOT)
    series = {type: [_scaled(n, panel.scale) for n in state.counts.series([type], places)] for type in types}
    return {"start": places.start, "step": places.step, "series": series}


def _windows(query: Query, state: DashboardState) -> PanelData:
    if state.figures is None:
        return {"kind": "table", "columns": [], "rows": []}
    windows = state.figures.windows
    names = choose(query, state.names())
    rows: list[list[Any]] = [[name, *(windows[window].get(name) for window in windows)] for name in names]
    return {"kind": "table", "columns": ["metric", *windows], "rows": rows}


def _scaled(value: float | None, scale: float) -> float | None:
    if value is None or scale == 1.0:
        return value
    return float(f"{value * scale:.6g}")
