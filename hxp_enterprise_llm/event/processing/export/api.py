"""GET /api/v2/export/analytics: a table as a file, streamed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from multidict import MultiMapping

from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.event.processing.export.formats import FORMATS, Encoder, MissingPackage
from hxp_enterprise_llm.event.processing.export.model import Row, Table, TableAway, Wanted
from hxp_enterprise_llm.event.processing.history import asking
from hxp_enterprise_llm.event.processing.history.history import HistoryAway
from hxp_enterprise_llm.event.processing.history.ranges import RangeFault
from hxp_enterprise_llm.event.views import EXPORT_VIEW
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.described import Answer, Described, Parameter
from hxp_enterprise_llm.security.edge import ends_with_service
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.parameters import only
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.telemetry.text import clean

PATH = EXPORT_VIEW.path
MOST_AT_ONCE = 2
_USUAL_SPAN = 86_400
_PIECE_BYTES = 256 * 1024


class Exports:
    """The handler. Few exports run at a time, whichever ports they were asked for at: each reads a great deal."""

    def __init__(self, tables: Sequence[Table], clock: Clock) -> None:
        self._tables, self._clock = {table.name: table for table in tables}, clock
        self._running = 0

    def routes(self) -> list[Route]:
        """The route of exports."""
        what = f"A table as CSV, JSON, NDJSON or Parquet; `?what=` {', '.join(self._tables)}"
        return [Route("GET", PATH, self.get, EXPORT_VIEW.scope, what, described=_DESCRIBED)]

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answer a table as a file."""
        only(request.query, PATH, [parameter.name for parameter in _PARAMETERS])
        table, format = _one(request.query, "what", self._tables, "metrics"), _format(request.query)
        wanted = _wanted(request.query, table, self._clock.time())
        if self._running >= MOST_AT_ONCE:
            message = f"{self._running} exports are under way"
            raise Problem(503, "export_busy", message, "ask again when one is done", headers={"Retry-After": "10"})
        self._running += 1
        try:
            return await self._answer(request, table, format, wanted)
        finally:
            self._running -= 1

    async def _answer(self, request: web.Request, table: Table, format: str, wanted: Wanted) -> web.StreamResponse:
        try:
            encoder = FORMATS[format].make(table.columns)
        except MissingPackage as error:
            hint = f"pip install 'hxp-enterprise-llm[{error.extra}]' where the service runs, or ask for ndjson"
            raise Problem(501, "format_not_installed", str(error), hint) from error
        rows = table.rows(wanted)
        # What is wrong from the beginning is still a refusal; later the connection can only be cut.
        first = await _first(rows)
        response = web.StreamResponse(headers=_headers(table, format, self._clock.time()))
        await response.prepare(request)
        if request.method != "HEAD":
            with ends_with_service(request), contextlib.suppress(ConnectionResetError):
                await _send(request, response, encoder, first, rows)
        return response


async def _first(rows: AsyncIterator[list[Row]]) -> list[Row]:
    try:
        return await anext(rows, [])
    except RangeFault as fault:
        raise Problem(400, fault.code, fault.message, fault.hint, **fault.details) from fault
    except (LogError, HistoryAway, TableAway) as error:
        headers = {"Retry-After": "2"}
        raise Problem(503, "export_unavailable", str(error), "ask again in a few seconds", headers=headers) from error


async def _send(
    request: web.Request,
    response: web.StreamResponse,
    encoder: Encoder,
    first: list[Row],
    rows: AsyncIterator[list[Row]],
) -> None:
    piece = encoder.begin() + encoder.rows(first)
    try:
        async for some in rows:
            piece += encoder.rows(some)
            if len(piece) >= _PIECE_BYTES:
                await response.write(piece)
                piece = b""
            await asyncio.sleep(0)
    except (LogError, HistoryAway, RangeFault):
        # Half a file must not look like a whole one: without its last chunk the answer is broken for every client.
        if request.transport is not None:
            request.transport.abort()
        return
    await response.write(piece + encoder.end())


def _headers(table: Table, format: str, now: float) -> dict[str, str]:
    day = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    return {
        "Content-Type": FORMATS[format].media,
        "Content-Disposition": f'attachment; filename="{table.name}-{day}.{format}"',
        "X-Content-Type-Options": "nosniff",
    }


_PARAMETERS = tuple(Parameter(name, text, int if name == "after" else str) for name, text in EXPORT_VIEW.parameters)
_DESCRIBED = Described(
    parameters=_PARAMETERS,
    answers=tuple(
        Answer("The table as a file", list[dict[str, Any]] if name == "json" else None, format.media.partition(";")[0])
        for name, format in FORMATS.items()
    ),
    refusals=(501, 503),
)


def _format(query: MultiMapping[str]) -> str:
    name = query.get("format", "csv")
    if name not in FORMATS:
        raise _unknown("format", name, list(FORMATS))
    return name


def _one(query: MultiMapping[str], name: str, known: Mapping[str, Table], usual: str) -> Table:
    text = query.get(name, usual)
    if text not in known:
        raise _unknown(name, text, list(known))
    return known[text]


def _unknown(name: str, text: str, allowed: list[str]) -> Problem:
    hint = f"it takes {', '.join(allowed)}"
    return Problem(400, "bad_parameter", f"{name}={clean(text, 60)} is not known", hint, allowed=allowed)


def _wanted(query: MultiMapping[str], table: Table, now: float) -> Wanted:
    end = asking.moment(query, "to", now, now)
    begin = asking.moment(query, "from", max(0.0, end - _USUAL_SPAN), now)
    if begin >= end:
        raise Problem(400, "bad_parameter", "`from` is not before `to`", "e.g. ?from=-1d&to=now")
    for name, taken in (("step", table.name == "metrics"), ("after", table.of_log)):
        if name in query and not taken:
            raise Problem(400, "bad_parameter", f"{table.name} takes no {name}", f"leave {name} out")
    return Wanted(begin, end, asking.step(query), _after(query))


def _after(query: MultiMapping[str]) -> int:
    text = query.get("after", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise Problem(400, "bad_parameter", f"after={clean(text, 60)} is no offset", "send that of your last row")
    return int(text)
