"""The query language of panels: what `data_query` may say.

    query    = kind ":" selector { "," selector } [ "[" amount "]" ]

    metric:latency_p95            the value now, over the metric's own window
    metric:latency_p50,latency_p95[10m]   how it was, up to an hour back
    windows:latency*              a table: each metric over each window of the snapshot
    events:llm.*,agent.*[20]      the latest events of these types, at most 50
    count:llm.request.failed[5m]  events of these types within the time, up to an hour back
    platform:collaboration        of the newest `platform.snapshot`: who hands over to whom
    platform:memory               and where reads of memory are answered
    promql:sum(up)                what Prometheus answers; all behind the colon is PromQL
    promql[1h]:rate(x_total[5m])  its history, up to 30 days back

A selector of `metric` and `windows` is a name, or the beginning of names followed by `*`; one of `events` and
`count` is an event type, a prefix such as `llm.*`, or `*`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from hxp_enterprise_llm.config.paths import suggestion
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.model import TypePatterns, parse_patterns

Kind = Literal["metric", "windows", "events", "count", "platform", "promql"]
PanelType = Literal["graph", "stat", "table", "gauge", "heatmap", "flow", "network", "feed"]

_KINDS: tuple[Kind, ...] = ("metric", "windows", "events", "count", "platform", "promql")
_PLATFORM = ("collaboration", "memory")
"""What a `platform` query may show: who hands over to whom, how reads go through the memory tiers."""

LONGEST_WINDOW = 3600.0
"""Seconds of history that a query may ask for: as much as is kept."""
LONGEST_PROMQL_WINDOW = 30 * 86_400.0
MOST_PROMQL = 2000
"""Characters of a PromQL expression."""
MOST_EVENTS = 50
DEFAULT_EVENTS = 12
DEFAULT_COUNT_WINDOW = 60.0

FITTING: dict[PanelType, tuple[Kind, ...]] = {
    "stat": ("metric", "count", "promql"),
    "gauge": ("metric", "count", "promql"),
    "graph": ("metric", "count", "promql"),
    "heatmap": ("metric", "count", "promql"),
    "table": ("metric", "windows", "events", "count", "promql"),
    "flow": ("platform",),
    "network": ("platform",),
    "feed": ("events",),
}
"""Which kinds of query a type of panel can show."""


class QueryFault(ValueError):
    """A query that cannot be used; `column` counts from 1 within the query."""

    def __init__(self, message: str, column: int = 1) -> None:
        super().__init__(message, column)
        self.message, self.column = message, column

    def __str__(self) -> str:
        return self.message


class Query(NamedTuple):
    """A query that was understood."""

    kind: Kind
    selectors: tuple[str, ...]
    window: float | None
    """Seconds back; None: only now."""
    limit: int
    """events: how many."""
    text: str

    def patterns(self) -> TypePatterns:
        """The selectors as event types."""
        return TypePatterns(self.selectors)


_SHAPE = re.compile(r"(?P<kind>[^:\[\]]*):(?P<selectors>[^\[\]]*)(?:\[(?P<amount>[^\[\]]*)\])?\s*")
_PROMQL = re.compile(r"\s*promql\s*(?:\[(?P<amount>[^\[\]]*)\]\s*)?:\s*(?P<promql>.*?)\s*", re.DOTALL)
_METRIC = re.compile(r"[a-z][a-z0-9_]{0,63}\*?|\*")


def parse(text: str) -> Query:
    """Understand a query. Raises QueryFault that says what is wrong and what is allowed."""
    if promql := _PROMQL.fullmatch(text):
        return _promql(promql, text)
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise QueryFault(f"{text!r} is no query: write KIND:NAME or KIND:NAME[5m], e.g. metric:latency_p95[10m]")
    kind = _kind(shape["kind"].strip())
    selectors = _selectors(kind, shape["selectors"], shape.start("selectors") + 1)
    window, limit = _amount(kind, shape["amount"], shape.start("amount") + 1)
    return Query(kind, selectors, window, limit, text)


def _promql(shape: re.Match[str], text: str) -> Query:
    promql = shape["promql"]
    if not promql:
        raise QueryFault("PromQL is missing after 'promql:'", shape.start("promql") + 1)
    if len(promql) > MOST_PROMQL:
        raise QueryFault(f"{len(promql):,} characters of PromQL, at most {MOST_PROMQL:,}", shape.start("promql") + 1)
    amount = shape["amount"]
    window = None if amount is None else _window(amount, shape.start("amount") + 1, LONGEST_PROMQL_WINDOW)
    return Query("promql", (promql,), window, 0, text)


def _kind(word: str) -> Kind:
    for kind in _KINDS:
        if word == kind:
            return kind
    raise QueryFault(
        f"{word!r} is no kind of query: metric, windows, events, count, platform or promql{suggestion(word, _KINDS)}"
    )


def _selectors(kind: Kind, text: str, column: int) -> tuple[str, ...]:
    names = []
    for part in text.split(","):
        name = part.strip()
        at = column + len(part) - len(part.lstrip())
        if not name:
            raise QueryFault(f"a name is missing after '{kind}:'", column)
        if kind in ("events", "count"):
            _check_pattern(name, at)
        elif kind == "platform":
            if name not in _PLATFORM:
                known = " or ".join(_PLATFORM)
                raise QueryFault(f"{name!r} is nothing of the platform: {known}{suggestion(name, _PLATFORM)}", at)
        elif not _METRIC.fullmatch(name):
            raise QueryFault(f"{name!r} is no metric name: lower-case letters, digits and _, perhaps * at its end", at)
        names.append(name)
        column += len(part) + 1
    return tuple(names)


def _check_pattern(name: str, column: int) -> None:
    try:
        parse_patterns([name])
    except ValueError as error:
        raise QueryFault(str(error), column) from None


def _amount(kind: Kind, text: str | None, column: int) -> tuple[float | None, int]:
    """Window in seconds and number of events."""
    if kind == "windows" and text is not None:
        raise QueryFault("windows: takes no [amount], it shows every window of the snapshot", column)
    if kind == "platform":
        if text is not None:
            raise QueryFault("platform: takes no [amount], it shows the newest snapshot of the platform", column)
        return None, 0
    if kind == "events":
        return None, DEFAULT_EVENTS if text is None else _events_limit(text, column)
    if text is None:
        return (DEFAULT_COUNT_WINDOW if kind == "count" else None), 0
    return _window(text, column), 0


def _events_limit(text: str, column: int) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_EVENTS:
        raise QueryFault(f"{text!r} is no number of events: 1 to {MOST_EVENTS}", column)
    return int(text)


def _window(text: str, column: int, longest: float = LONGEST_WINDOW) -> float:
    try:
        window = seconds(text)
    except ValueError as error:
        raise QueryFault(str(error), column) from None
    if not 5 <= window <= longest:
        most = "1h of history are kept" if longest == LONGEST_WINDOW else "30d can be asked for"
        raise QueryFault(f"{text!r} is out of range: 5s to {most}", column)
    return window


def check_panel(query: Query, panel_type: PanelType) -> None:
    """Whether this type of panel can show this query. Raises QueryFault."""
    if query.kind not in FITTING[panel_type]:
        *others, last = FITTING[panel_type]
        allowed = f"{', '.join(others)} or {last}" if others else last
        raise QueryFault(f"a {panel_type} shows {allowed} queries, not {query.kind}")
    if query.kind == "platform":
        _check_platform(query, panel_type)
    single = len(query.selectors) == 1 and not query.selectors[0].endswith("*")
    if query.kind == "metric" and panel_type in ("stat", "gauge") and not single:
        raise QueryFault(f"a {panel_type} shows one metric; for several write a table or a graph")
    if query.kind == "metric" and panel_type in ("graph", "heatmap") and query.window is None:
        raise QueryFault(f"a {panel_type} needs a window, e.g. {query.text}[10m]")
    if query.kind == "promql" and panel_type in ("graph", "heatmap") and query.window is None:
        raise QueryFault(f"a {panel_type} needs a window, e.g. promql[1h]:{query.selectors[0]}")


def _check_platform(query: Query, panel_type: PanelType) -> None:
    wanted = "memory" if panel_type == "flow" else "collaboration"
    if query.selectors != (wanted,):
        raise QueryFault(f"a {panel_type} shows platform:{wanted}")


def choose(query: Query, known: Iterable[str]) -> list[str]:
    """Names of metrics that a query means, in its order. Raises QueryFault when one is not known."""
    names = list(known)
    chosen: dict[str, None] = {}
    for selector in query.selectors:
        found = [name for name in names if _means(selector, name)]
        if not found:
            raise QueryFault(f"no metric is named {selector!r}{suggestion(selector.rstrip('*'), names)}")
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def _means(selector: str, name: str) -> bool:
    return name.startswith(selector[:-1]) if selector.endswith("*") else name == selector
