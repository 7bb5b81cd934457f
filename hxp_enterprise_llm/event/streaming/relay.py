"""Views of the event processing of another process, asked for on behalf of whoever asks the gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from hxp_enterprise_llm.event.views import View
from hxp_enterprise_llm.security.described import Answer, Described, Parameter
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.problems import Problem

MOST_BYTES = 8 * 1024 * 1024
"""Of an answer; the bounds of names keep the largest far below."""
SECONDS = 5.0
_JSON = "application/json"


class Relay:
    """Asks `base_url` through a session that is the caller's. Bounded in size and time; redirects are not followed."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession) -> None:
        self._base, self._session = base_url.rstrip("/"), session

    def routes(self, views: Iterable[View]) -> list[Route]:
        """A route for each view."""
        return [
            Route("GET", view.path, self._handler(view), "read", view.summary, described=_described(view))
            for view in views
        ]

    def _handler(self, view: View) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            url = URL(self._base + view.path).with_query(list(request.query.items()))
            try:
                return await self._ask(url)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise _away(str(error) or type(error).__name__) from error

        return handle

    async def _ask(self, url: URL) -> web.Response:
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with self._session.get(url, timeout=timeout, allow_redirects=False) as answer:
            if answer.content_type != _JSON:
                raise _away(f"it answers {answer.status} with {answer.content_type or 'no type'}")
            if answer.status in (401, 403):
                raise _away(f"it refuses this gateway with {answer.status}; see monitoring.api_key_file")
            body = await _bounded(answer)
            headers = {name: answer.headers[name] for name in ("Retry-After",) if name in answer.headers}
            return web.Response(body=body, status=answer.status, headers=headers, content_type=_JSON)


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > MOST_BYTES:
            raise _away(f"its answer is larger than {MOST_BYTES:,} bytes")
    return bytes(body)


def _away(reason: str) -> Problem:
    return Problem(
        503,
        "processing_unreachable",
        f"event processing gives no answer: {reason}",
        "the gateway and its streams work on; ask again when event processing is back",
        headers={"Retry-After": "2"},
    )


def _described(view: View) -> Described:
    return Described(
        parameters=tuple(Parameter(name, text) for name, text in view.parameters),
        answers=(Answer(view.summary, dict[str, Any]),),
        refusals=(503,),
    )
