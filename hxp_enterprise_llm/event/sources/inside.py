"""The way into the log for processes of our own: what they have encoded is stored as it is, and counts as nothing new.

It is served on a Unix socket alone, beside the ways out of `api`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from aiohttp import web

from hxp_enterprise_llm.event.log.model import EventLog, LogError
from hxp_enterprise_llm.event.model import Encoded
from hxp_enterprise_llm.event.sources.answers import accepted_json, problem_of
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


def route(log: EventLog) -> Route:
    """POST /events: a JSON array of events as `RemoteLog` sends it."""
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
