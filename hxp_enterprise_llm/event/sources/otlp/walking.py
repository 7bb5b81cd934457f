"""What both encodings walk through alike: items of which single ones may be refused, and the points of metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from hxp_enterprise_llm.event.sources.genai.model import Origin, Point
from hxp_enterprise_llm.event.sources.otlp.bounds import Refused


def each(items: Iterable[Any] | None, origin: Origin, read: Callable[[Any, Origin], Any]) -> Iterator[Any]:
    """Items as they are read; one that is refused is no reason to refuse the others."""
    for item in items or ():
        try:
            yield read(item, origin)
        except Refused as refused:
            yield refused


def points(
    metrics: Iterable[Any] | None,
    origin: Origin,
    data_of: Callable[[Any], Iterable[tuple[str, Any]]],
    read: Callable[[Any, str, Any, Origin], Point],
) -> Iterator[Point | Refused]:
    """The points of metrics. `data_of`: the kinds of data that a metric has, with the data."""
    for metric in metrics or ():
        for kind, data in data_of(metric):
            yield from each(data.data_points, origin, partial(read, metric, kind))
