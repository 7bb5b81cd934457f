"""What is no stream is handed to the first process: our own routes over a Unix socket, bodies streamed both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from hxp_enterprise_llm.security.gate import COUNTED
from hxp_enterprise_llm.security.local import HANDED_ON, hand_on
from hxp_enterprise_llm.security.model import EVENT_BODY, JSON_BODY, Route
from hxp_enterprise_llm.security.problems import Problem

_CHUNK_BYTES = 64 * 1024
_CONNECT_SECONDS = 5.0
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"}
)
_OURS_TO_SET = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
"""Headers that the client library adds by itself; what the client did not send must not appear."""
_BODY = tuple(dict.fromkeys((*JSON_BODY, *EVENT_BODY, "*/*")))


def open_session(address: str) -> aiohttp.ClientSession:
    """Connections to a Unix socket, as many as it takes. Answers stay as they come, compressed or not."""
    return aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(path=address, limit=0),
        timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS),
        auto_decompress=False,
        skip_auto_headers=_OURS_TO_SET,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


class Forwarding:
    """Hands requests on. Who asks travels with them, and the first process decides as if it had been asked itself."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    def routes(self) -> list[Route]:
        """Everything that no other route takes. Their scope is open: the first process knows the scope of each path."""
        what = "Handed to the first process"
        return [
            Route("GET", "/{rest:.*}", self.hand_over, "open", what),
            *(Route(method, "/{rest:.*}", self.hand_over, "open", what, _BODY) for method in ("POST", "PUT", "DELETE")),
        ]

    async def hand_over(self, request: web.Request) -> web.StreamResponse:
        """The first process' answer. Raises Problem 502 when it gives none."""
        headers = _headers(request.headers)
        headers[HANDED_ON] = hand_on(request)
        try:
            async with self._session.request(
                request.method,
                URL("http://first" + _path(request), encoded=True),
                headers=headers,
                data=request.content.iter_chunked(_CHUNK_BYTES) if request.body_exists else None,
                allow_redirects=False,
            ) as answer:
                # The first process knows which route it was.
                request[COUNTED] = True
                return await relay(request, answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            text = f"the first process of this service does not answer: {error}"
            raise Problem(502, "first_process_gone", text, "Try again.", headers={"Retry-After": "1"}) from error


def _path(request: web.Request) -> str:
    path = request.rel_url.raw_path_qs
    return path if path.startswith("/") else "/"


def _headers(headers: Mapping[str, str]) -> CIMultiDict[str]:
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    return CIMultiDict(
        (name, value)
        for name, value in headers.items()
        if name.lower() not in _HOP_BY_HOP and name.lower() not in named
    )


async def relay(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Give the answer of one of our processes to whoever asked, as it comes."""
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=_headers(answer.headers))
    await response.prepare(request)
    try:
        async for data in answer.content.iter_chunked(_CHUNK_BYTES):
            await response.write(data)
    except (aiohttp.ClientError, asyncio.IncompleteReadError):
        # The head is out: only a cut connection tells the client that this is not the whole answer.
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response
