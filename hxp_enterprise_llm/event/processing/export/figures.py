"""Tables of the history: metrics over time, and tokens by agent and day."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.processing.export.model import Column, Row, Table, Wanted
from hxp_enterprise_llm.event.processing.history.history import History
from hxp_enterprise_llm.event.processing.history.memories import OTHER, Figures, Labelled
from hxp_enterprise_llm.event.processing.history.model import DAYS, INPUT_BY_AGENT, OUTPUT_BY_AGENT, REQUESTS_BY_AGENT
from hxp_enterprise_llm.event.processing.history.ranges import Asked, answer, plan
from hxp_enterprise_llm.event.processing.history.reading import Reader
from hxp_enterprise_llm.event.processing.metrics import Breakdown, Metric
from hxp_enterprise_llm.runtime.clock import Clock

_CHUNK_POINTS = 500


def tables(history: History, clock: Clock) -> list[Table]:
    """All tables of the history."""
    return [_metrics(history, clock), _by_agent_and_day(history)]


def _metrics(history: History, clock: Clock) -> Table:
    columns = (
        Column("time", "text"),
        Column("metric", "text"),
        Column("labels", "text"),
        Column("value", "number"),
        Column("step_s", "integer"),
        Column("tier", "text"),
    )

    async def rows(wanted: Wanted) -> AsyncIterator[list[Row]]:
        for metric in history.metrics:
            for breakdown in (None, *metric.breakdowns):
                begin = wanted.begin
                while begin < wanted.end:
                    found, begin = await history.ask(_stretch(metric, breakdown, wanted, begin, clock.time()))
                    yield found

    return Table("metrics", "Every declared metric over time, and by its label sets", columns, rows)


def _stretch(metric: Metric, breakdown: Breakdown | None, wanted: Wanted, begin: float, now: float) -> Any:
    """Reads the rows of some hundred points, and where the next ones begin."""

    def work(reader: Reader) -> tuple[list[Row], float]:
        floors = reader.floors()
        whole = Asked(metric, breakdown, int(begin), max(int(begin) + 1, int(wanted.end)), wanted.step, now)
        made = plan(whole._replace(begin=int(wanted.begin)), floors, 10**9) if wanted.step is None else None
        step = made.step if made else wanted.step
        assert step is not None
        part = whole._replace(end=min(whole.end, whole.begin + _CHUNK_POINTS * step), step=step)
        found = plan(part, floors, 10**9)
        limit = breakdown.source.limit if breakdown else 0
        rows = [
            (rfc3339(found.begin + number * found.step), metric.name, labels, value, found.step, found.tier.name)
            for line in answer(part, found, reader.read, limit)
            for labels in [msgspec.json.encode(line.labels).decode()]
            for number, value in enumerate(line.values)
            if value is not None
        ]
        return rows, float(max(found.end, begin + 1))

    return work


def _by_agent_and_day(history: History) -> Table:
    columns = (
        Column("day", "text"),
        Column("agent", "text"),
        Column("requests", "integer"),
        Column("input_tokens", "integer"),
        Column("output_tokens", "integer"),
    )

    async def rows(wanted: Wanted) -> AsyncIterator[list[Row]]:
        for day in range(int(wanted.begin // 86_400), int(-(-wanted.end // 86_400))):
            yield await history.ask(lambda reader, day=day: list(_agents(reader, day)))  # type: ignore[misc]

    return Table("tokens_by_agent_day", "Tokens of each agent and day, UTC", columns, rows)


def _agents(reader: Reader, day: int) -> Iterator[Row]:
    kinds = REQUESTS_BY_AGENT, INPUT_BY_AGENT, OUTPUT_BY_AGENT
    found = reader.read(kinds, DAYS, day, day)
    labelled = [each if isinstance(each := found[kind].get(day), Labelled) else None for kind in kinds]
    keys = {key for each in labelled if each for key in each.kept} | {(OTHER,)}
    for key in sorted(keys):
        requests, *both = (each.get(key) if each else None for each in labelled)
        if requests or any(both):
            totals = [int(memory.total) if isinstance(memory, Figures) else 0 for memory in both]
            yield rfc3339(day * 86_400)[:10], key[0], requests.n if requests else 0, *totals
