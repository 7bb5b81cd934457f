"""GET /analytics/range: a metric over a range of time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.processing.history import asking
from hxp_enterprise_llm.event.processing.history.history import History, HistoryAway
from hxp_enterprise_llm.event.processing.history.ranges import EXACTNESS, Asked, Line, Plan, RangeFault, answer, plan
from hxp_enterprise_llm.event.processing.history.reading import Reader
from hxp_enterprise_llm.event.views import RANGE_VIEW
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.described import Answer, Described, Parameter
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.parameters import only
from hxp_enterprise_llm.security.problems import Problem, json_response

T = TypeVar("T")


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """A metric over a range. `times` and the values of a series belong together, one by one."""

    metric: str
    kind: str
    unit: str
    begin: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    step_s: int
    """Seconds that each value stands for, from its time on."""
    tier: str
    """The tier that answered: 1s, 1m, 1h or 1d."""
    exactness: str
    times: list[int]
    """Unix seconds."""
    series: list[Line]
    since: str | None
    """When this metric began to be kept."""
    position: int
    """Offset of the log up to which the history is written."""
    notes: list[str]
    """What is otherwise than it was asked for, in words."""


_DESCRIBED = Described(
    parameters=tuple(Parameter(*each) for each in RANGE_VIEW.parameters),
    answers=(Answer("The metric over the range", Range),),
    refusals=(503,),
)


def routes(history: History, clock: Clock) -> list[Route]:
    """The routes of the history."""

    async def over_range(request: web.Request) -> web.Response:
        only(request.query, RANGE_VIEW.path, [name for name, _ in RANGE_VIEW.parameters])
        asked = asking.range_of(request.query, history.metrics, clock.time())
        most = history.config.max_points
        return json_response(await asked_of(history, lambda reader: _range(reader, asked, most)))

    return [Route("GET", RANGE_VIEW.path, over_range, "read", RANGE_VIEW.summary, described=_DESCRIBED)]


async def asked_of(history: History, work: Callable[[Reader], T]) -> T:
    """What the history answers; a Problem when it cannot."""
    try:
        return await history.ask(work)
    except RangeFault as fault:
        raise Problem(400, fault.code, fault.message, fault.hint, **fault.details) from fault
    except HistoryAway as error:
        hint = "ask again in a few seconds; /health tells more"
        raise Problem(503, "history_unavailable", str(error), hint, headers={"Retry-After": "2"}) from error


def _range(reader: Reader, asked: Asked, most: int) -> Range:
    floors = reader.floors()
    made = plan(asked, floors, most)
    limit = asked.breakdown.source.limit if asked.breakdown else 0
    since = reader.since((asked.breakdown or asked.metric).source)
    position = reader.cursor.position
    return Range(
        metric=asked.metric.name,
        kind=asked.metric.kind,
        unit=asked.metric.unit,
        begin=rfc3339(made.begin),
        end=rfc3339(made.end),
        step_s=made.step,
        tier=made.tier.name,
        exactness=EXACTNESS.get(asked.metric.kind, "exact"),
        times=list(range(made.begin, made.end, made.step)),
        series=answer(asked, made, reader.read, limit),
        since=None if since is None else rfc3339(since),
        position=position,
        notes=list(_notes(asked, made, floors, since)),
    )


def _notes(asked: Asked, made: Plan, floors: list[int], since: int | None) -> list[str]:
    notes = []
    if made.coarser:
        notes.append(f"steps of {made.step} s: so far back finer ones are no longer kept")
    if floors[made.tier.number] > made.begin:
        notes.append(f"nothing is kept from before {rfc3339(floors[made.tier.number])}")
    if since is None or since > made.end:
        began = f", it began {rfc3339(since)}" if since else ""
        notes.append(f"{asked.metric.name} has no values in this range{began}")
    return notes
