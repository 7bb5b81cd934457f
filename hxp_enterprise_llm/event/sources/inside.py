"""The log for processes of our own, on a Unix socket: what they have encoded is stored as it is, and is not counted.

They follow it in blocks, with a short rest after each write, so that many small commits do not wake them as often.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from aiohttp import web

from hxp_enterprise_llm.event.log.model import EventLog, LogError
from hxp_enterprise_llm.event.log.remote.blocks import events_for_ours
from hxp_enterprise_llm.event.model import Encoded
from hxp_enterprise_llm.event.sources.answers import accepted_json, problem_of
from hxp_enterprise_llm.event.sources.stream import EventStream
from hxp_enterprise_llm.security.body import BodyBudget, read_body
from hxp_enterprise_llm.security.model import EVENT_BODY, Route
from hxp_enterprise_llm.security.problems import Problem


class _Named(msgspec.Struct):
    source: str
    id: str
    type: str

    def __iter__(self) -> Iterator[str]:
        return iter((self.source, self.id, self.type))


_texts = msgspec.json.Decoder(list[msgspec.Raw]).decode
_named = msgspec.json.Decoder(_Named).decode


REST_SECONDS = 0.01


def routes(log: EventLog) -> list[Route]:
    """What `RemoteLog` needs beside the bounds: to follow, and to append a JSON array of whole events."""
    stream = EventStream(log, REST_SECONDS, events_for_ours)
    return [Route("GET", "/events/stream", stream.get, "read", "Follow the log from an offset"), _append(log)]


def _append(log: EventLog) -> Route:
    budget = BodyBudget()

    async def post(request: web.Request) -> web.Response:
        body = await read_body(request, limit=2 * log.limits.max_batch_bytes, budget=budget)
        try:
            appended = await log.append(encoded(body))
            bounds = await log.bounds()
        except LogError as error:
            raise problem_of(error) from error
        content = accepted_json(appended, bounds.epoch)
        return web.Response(body=content, status=202, content_type="application/json")

    return Route("POST", "/events", post, "publish", "Store events of our own processes", EVENT_BODY)


def encoded(body: bytes) -> list[Encoded]:
    """The events of an array, each byte for byte as it stands there. Raises Problem."""
    try:
        texts = [bytes(text) for text in _texts(body)]
        return [
            Encoded(named.source, named.id, named.type, text)
            for named, text in zip(map(_named, texts), texts, strict=True)
        ]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "invalid_json", str(error), "send an array of whole events") from None
