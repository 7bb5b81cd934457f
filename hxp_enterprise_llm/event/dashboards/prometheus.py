"""Asks Prometheus what panels show. Beside the refreshes: a slow server holds up nothing but its own panels."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hxp_enterprise_llm.event.dashboards.history import Grid, grid
from hxp_enterprise_llm.event.dashboards.model import Panel
from hxp_enterprise_llm.event.dashboards.promql import Answer, Unusable, refused, understood
from hxp_enterprise_llm.event.dashboards.queries import Query
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.security.fetch import Fetch, FetchError

TIMEOUT_SECONDS = 5.0
EVERY_SECONDS = 10
"""Least seconds between two questions of the same text: Prometheus itself looks every 15 usually."""
MOST_BYTES = 2 * 1024 * 1024
MOST_AT_A_TIME = 4
MOST_KEPT = 256


class _Kept(NamedTuple):
    answer: Answer
    at: float
    """Monotonic seconds."""


class Prometheus:
    """The server at `endpoint`; the newest answer to each query is kept by the query's text."""

    def __init__(self, endpoint: str, egress: Egress, *, clock: Clock) -> None:
        self._egress, self._clock = egress, clock
        self.endpoint = endpoint
        self._kept: dict[str, _Kept] = {}
        self._turns = asyncio.Semaphore(MOST_AT_A_TIME)

    @property
    def answers(self) -> Mapping[str, Answer]:
        """The newest answers."""
        return {text: kept.answer for text, kept in self._kept.items()}

    async def ask(self, panels: Iterable[Panel]) -> bool:
        """Ask what these panels need and is not fresh; answers whether there was such a thing.

        Ends within twice the timeout; a failure becomes the answer.
        """
        due = self._due(panels)
        if not due:
            return False
        async with self._egress.session(TIMEOUT_SECONDS, keep=MOST_AT_A_TIME) as session:
            fetch = Fetch(session, self.endpoint, timeout=TIMEOUT_SECONDS, limit=MOST_BYTES)
            answers = await asyncio.gather(*(self._answer(fetch, query) for query in due))
        for query, answer in zip(due, answers, strict=True):
            self._kept.pop(query.text, None)  # the newest stand last
            self._kept[query.text] = _Kept(answer, self._clock.monotonic())
        for text in list(self._kept)[:-MOST_KEPT]:
            del self._kept[text]
        return True

    def _due(self, panels: Iterable[Panel]) -> list[Query]:
        now = self._clock.monotonic()
        due: dict[str, Query] = {}
        for panel in panels:
            query = panel.query
            if query is None or query.kind != "promql":
                continue
            kept = self._kept.get(query.text)
            if kept is None or now - kept.at >= max(EVERY_SECONDS, panel.refresh_interval) - 0.25:
                due[query.text] = query
        return list(due.values())

    async def _answer(self, fetch: Fetch, query: Query) -> Answer:
        places = grid(self._clock.time(), query.window) if query.window else Grid(int(self._clock.time()), 1, 1)
        try:
            async with asyncio.timeout(2 * TIMEOUT_SECONDS), self._turns:
                return understood(await self._body(fetch, query, places), places)
        except TimeoutError:
            return Answer(fault=f"{self.endpoint} is slow, and this query has had no turn")
        except (FetchError, Unusable) as error:
            return Answer(fault=refused(str(error)))

    async def _body(self, fetch: Fetch, query: Query, places: Grid) -> bytes:
        (promql,) = query.selectors
        if not query.window:
            return await fetch.get("/api/v1/query", query={"query": promql})
        span = {"start": str(places.start + places.step), "end": str(places.start + places.points * places.step)}
        return await fetch.get("/api/v1/query_range", query={"query": promql, **span, "step": str(places.step)})
