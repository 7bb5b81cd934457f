"""Views of the event processing of another process, asked for on behalf of whoever asks the gateway."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import web
from yarl import URL

from hxp_enterprise_llm.event.views import View
from hxp_enterprise_llm.security.described import Answer, Described, Parameter
from hxp_enterprise_llm.security.edge import ends_with_service
from hxp_enterprise_llm.security.fetch import words
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.problems import Problem

MOST_BYTES = 8 * 1024 * 1024
"""Of an answer in JSON; the bounds of names keep the largest far below. A file may have any length."""
SECONDS = 5.0
FILE_SECONDS, SILENCE_SECONDS = 1800.0, 30.0
"""Of a file: as a whole, and until its next piece."""
_CHUNK_BYTES = 64 * 1024
_JSON = "application/json"
_KEPT = ("Retry-After",)
_KEPT_OF_FILES = ("Content-Type", "Content-Disposition", "X-Content-Type-Options")


class Relay:
    """Asks `base_url` through a session that is the caller's. Bounded in size and time; redirects are not followed."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession) -> None:
        self._base, self._session = base_url.rstrip("/"), session

    def routes(self, views: Iterable[View]) -> list[Route]:
        """A route for each view."""
        return [
            Route(view.method, view.path, self._handler(view), view.scope, view.summary, described=_described(view))
            for view in views
        ]

    def _handler(self, view: View) -> Callable[[web.Request], Any]:
        ask = self._hand_on if view.file else self._ask

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return await ask(request, self._url(view, request))
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise _away(words(error)) from error

        return handle

    def _url(self, view: View, request: web.Request) -> URL:
        path = view.path.format_map({name: quote(value, safe="") for name, value in request.match_info.items()})
        return URL(self._base + path, encoded=True).with_query(list(request.query.items()))

    async def _ask(self, request: web.Request, url: URL) -> web.Response:
        method = "POST" if request.method == "POST" else "GET"
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with self._session.request(method, url, timeout=timeout, allow_redirects=False) as answer:
            return await _whole(answer)

    async def _hand_on(self, request: web.Request, url: URL) -> web.StreamResponse:
        """A file as it comes; what is no file is an answer like every other."""
        timeout = aiohttp.ClientTimeout(total=FILE_SECONDS, sock_connect=SECONDS, sock_read=SILENCE_SECONDS)
        async with self._session.request(request.method, url, timeout=timeout, allow_redirects=False) as answer:
            if answer.status != 200 or "Content-Disposition" not in answer.headers:
                return await _whole(answer)
            response = web.StreamResponse(headers=_kept(answer, _KEPT_OF_FILES))
            await response.prepare(request)
            with ends_with_service(request), contextlib.suppress(ConnectionResetError):
                await _pipe(request, answer, response)
            return response


async def _pipe(request: web.Request, answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
    try:
        async for piece in answer.content.iter_chunked(_CHUNK_BYTES):
            await response.write(piece)
    except (aiohttp.ClientError, TimeoutError):
        # Half a file must not look like a whole one: the head is out, so only a cut connection tells.
        if request.transport is not None:
            request.transport.abort()
        return
    await response.write_eof()


async def _whole(answer: aiohttp.ClientResponse) -> web.Response:
    if answer.content_type != _JSON:
        raise _away(f"it answers {answer.status} with {answer.content_type or 'no type'}")
    if answer.status in (401, 403):
        raise _away(f"it refuses this gateway with {answer.status}; see monitoring.api_key_file")
    body = await _bounded(answer)
    return web.Response(body=body, status=answer.status, headers=_kept(answer, _KEPT), content_type=_JSON)


def _kept(answer: aiohttp.ClientResponse, names: Iterable[str]) -> dict[str, str]:
    return {name: answer.headers[name] for name in names if name in answer.headers}


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
        answers=(_answer(view),),
        refusals=(404, 503) if "{" in view.path else (503,),
    )


def _answer(view: View) -> Answer:
    if view.file:
        return Answer(view.summary, media="application/octet-stream")
    return Answer(view.summary, dict[str, Any], status=202 if view.method == "POST" else 200)
