"""Queries in an address: `?graph=metric:latency_p95[1h]&table=count:llm.*[5m]`; the name is the type of panel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from hxp_enterprise_llm.config.paths import suggestion
from hxp_enterprise_llm.event.dashboards.model import Panel
from hxp_enterprise_llm.event.dashboards.queries import PanelType, QueryFault, check_panel, parse
from hxp_enterprise_llm.security.problems import Problem

MOST_QUERIES = 64


def asked(parameters: Iterable[tuple[str, str]]) -> list[Panel]:
    """The panels that are asked for, in their order. Raises Problem that says which one cannot be answered."""
    wanted = list(parameters)
    if len(wanted) > MOST_QUERIES:
        hint = "ask in several requests"
        raise Problem(400, "too_many_queries", f"{len(wanted)} queries, at most {MOST_QUERIES} are taken", hint)
    return [_panel(number, name, text) for number, (name, text) in enumerate(wanted)]


def _panel(number: int, name: str, text: str) -> Panel:
    types: dict[str, PanelType] = {each: each for each in get_args(PanelType)}
    hint = "write TYPE=QUERY, e.g. graph=metric:latency_p95[1h]"
    if name not in types:
        message = f"{name[:80]!r} is no type of panel{suggestion(name, list(types))}"
        raise Problem(400, "bad_parameter", message, hint, types=list(types))
    try:
        query = parse(text)
        check_panel(query, types[name])
    except QueryFault as fault:
        raise Problem(400, "bad_query", f"{name}={text[:200]}: {fault.message}", hint, column=fault.column) from None
    return Panel(panel_id=f"q{number}", panel_type=types[name], title=text, text=text, query=query)
