"""HTTP routes of the log: events in, events out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from hxp_enterprise_llm.event.log.model import Appended, Batch, BeginsAppends, Bounds, EventLog, LogError, Stored
from hxp_enterprise_llm.event.model import EARLIEST, Offset
from hxp_enterprise_llm.event.sources import described, query
from hxp_enterprise_llm.event.sources.answers import accepted_json, problem_of
from hxp_enterprise_llm.event.sources.faults import Fault, IngestError, Invalid, Rejected
from hxp_enterprise_llm.event.sources.forms import media_type, split
from hxp_enterprise_llm.event.sources.gathering import Gathering
from hxp_enterprise_llm.event.sources.ingest import Ingest
from hxp_enterprise_llm.event.sources.stream import EventStream
from hxp_enterprise_llm.event.sources.strict_json import JsonFault
from hxp_enterprise_llm.security.body import BodyBudget, read_body
from hxp_enterprise_llm.security.gate import address_of, scopes_of
from hxp_enterprise_llm.security.model import EVENT_BODY, Asked, Begin, Begun, LeanPost, Route
from hxp_enterprise_llm.security.parameters import known
from hxp_enterprise_llm.security.problems import Problem, json_response

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000
LOOKS = 16
"""Reads of one request, each about a megabyte of the log, while none has found an event of the types asked for."""


def routes(ingest: Ingest, log: EventLog, budget: BodyBudget) -> list[Route]:
    """The routes of this room."""
    api = _Api(ingest, log, budget)
    stream = EventStream(log)
    return [
        Route(
            "POST",
            "/events",
            api.post,
            "publish",
            "Store events, answered after the commit",
            (*EVENT_BODY, "*/*"),
            lean=LeanPost(api.lean_post, lambda: ingest.max_body_bytes, budget, api.prepare),
            described=described.POST,
        ),
        Route("GET", "/events", api.get, "read", "Read the log from an offset", described=described.GET),
        Route(
            "GET",
            "/events/stream",
            stream.get,
            "read",
            "Follow the log from an offset, one line an event",
            described=described.STREAM,
        ),
        Route(
            "GET",
            "/events/bounds",
            api.bounds,
            "read",
            "Epoch, first and head of the log, and how it is",
            described=described.BOUNDS,
        ),
    ]


class _Api:
    def __init__(self, ingest: Ingest, log: EventLog, budget: BodyBudget) -> None:
        self._ingest, self._log, self._budget = ingest, log, budget
        self._gathering = Gathering(ingest)
        self._local = log if isinstance(log, BeginsAppends) else None

    async def post(self, request: web.Request) -> web.Response:
        """202 with (offset, duplicate) for each event, once all are stored."""
        partial = query.flag(request.query, "partial", False)
        body = await read_body(request, limit=self._ingest.max_body_bytes, budget=self._budget)
        status, content = await self._store(request, body, partial)
        return web.Response(body=content, status=status, content_type="application/json")

    async def lean_post(self, asked: Asked, body: bytes) -> tuple[int, bytes]:
        """The same before aiohttp: status and JSON. Raises Problem."""
        return await self._store(asked, body, query.flag(asked.query, "partial", False))

    def prepare(self, asked: Asked) -> Begin | None:
        """The same without a task, for plain JSON that nothing is wrong with; see LeanPost."""
        plain = media_type(asked.headers.get("Content-Type", "")) == "application/json"
        if self._local is None or not plain or asked.query or "ce-specversion" in asked.headers:
            return None
        return partial(self._begin, self._local, f"/http/{asked.remote}", _may_own(asked))

    def _begin(self, local: BeginsAppends, source: str, own: bool, body: bytes, told: Begun) -> bool:
        done = partial(self._stored, local, told)
        if body[:1] == b"{":
            self._gathering.add(body, source, done, own)
            return True
        appending = self._ingest.begin(body, source=source, own=own)
        if appending is None:
            return False
        appending.add_done_callback(lambda appending: done(_outcome(appending)))
        return True

    @staticmethod
    def _stored(local: BeginsAppends, told: Begun, outcome: Sequence[Appended] | LogError | None) -> None:
        try:
            if isinstance(outcome, LogError):
                raise outcome
            told(None if outcome is None else (202, accepted_json(outcome, local.bounds_nowait().epoch)))
        except LogError as error:
            told(problem_of(error))

    async def _store(self, asked: Asked, body: bytes, partial: bool) -> tuple[int, bytes]:
        try:
            items = split(body, asked.headers.get("Content-Type", ""), asked.headers)
            source = f"/http/{address_of(asked)}"
            appended = await self._ingest.accept(items, source=source, partial=partial, own=_may_own(asked))
            bounds = await self._log.bounds()
        except JsonFault as fault:
            raise Problem(400, "invalid_json", str(fault), "send the whole of it as JSON in UTF-8") from None
        except Invalid as error:
            faults = [Fault(0, *finding) for finding in error.findings]
            raise problem_of(Rejected(faults, 1, 1)) from None
        except (IngestError, LogError) as error:
            raise problem_of(error) from error
        return 202, accepted_json(appended, bounds.epoch)

    async def get(self, request: web.Request) -> web.Response:
        """Events beyond `after`, and `next`, where the scan ended."""
        asked = request.query
        known(asked, "/events", [parameter.name for parameter in described.GET.parameters])
        after = query.after(asked)
        limit = query.limit(asked, MAX_LIMIT) or DEFAULT_LIMIT
        try:
            batch = await self._look(
                EARLIEST if after is None else after, limit, types=query.types(asked), epoch=query.epoch(asked)
            )
            bounds = await self._log.bounds()
        except LogError as error:
            raise problem_of(error) from error
        return web.Response(body=_page(batch, bounds), content_type="application/json")

    async def _look(self, after: Offset, limit: int, **narrow: Any) -> Batch:
        """A read that finds something, or has come to the head, or has looked for long enough."""
        batch = await self._log.read(after, limit, **narrow)
        for _ in range(LOOKS - 1):
            if batch.events or batch.next >= batch.head:
                break
            batch = await self._log.read(batch.next, limit, **narrow)
        return batch

    async def bounds(self, request: web.Request) -> web.Response:
        """What the log holds, what one append may carry, and how the log is."""
        health = await self._log.health()
        answer: dict[str, Any] = {
            "epoch": health.epoch,
            "first": health.first,
            "head": health.head,
            "durable": health.durable,
            "status": health.status,
            "reason": health.reason,
            "bytes": health.bytes,
            "limits": self._log.limits._asdict(),
        }
        return json_response(answer)


def _may_own(asked: Asked) -> bool:
    """Whether whoever asks may publish what the services make themselves."""
    return "publish:own" in scopes_of(asked)


def _outcome(appending: asyncio.Future[Sequence[Appended]]) -> Sequence[Appended] | LogError:
    error = appending.exception()
    return error if isinstance(error, LogError) else appending.result()


def _page(batch: Batch, bounds: Bounds) -> bytes:
    """The answer put together around the events as they are stored: nothing is encoded again."""
    events = b",".join(map(_with_offset, batch.events))
    place = {"next": batch.next, "epoch": bounds.epoch, "first": bounds.first, "head": batch.head}
    return b'{"events":[' + events + b"]," + msgspec.json.encode(place)[1:] + b"\n"


def _with_offset(stored: Stored) -> bytes:
    return b'{"offset":%d,%s' % (stored.offset, stored.raw[1:])
