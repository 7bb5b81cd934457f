"""HTTP routes of the Centrifuge protocol, and what becomes of a request there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
from aiohttp import web

from hxp_enterprise_llm.config.forms import body_fault
from hxp_enterprise_llm.event.streaming.centrifuge import described
from hxp_enterprise_llm.event.streaming.centrifuge.endpoint import Endpoint
from hxp_enterprise_llm.event.streaming.centrifuge.links import SessionLink, SocketLink, StreamLink
from hxp_enterprise_llm.event.streaming.centrifuge.wire import (
    BLOCKS,
    FRAMES,
    LINES,
    MALFORMED,
    SINGLE_FRAMES,
    DeflatedFrames,
    Framing,
    TextFraming,
)
from hxp_enterprise_llm.event.streaming.compress import wanted
from hxp_enterprise_llm.event.streaming.cursor import PAGE
from hxp_enterprise_llm.event.streaming.gateway import Gateway
from hxp_enterprise_llm.event.streaming.link import detach, head_bytes, refuse_body
from hxp_enterprise_llm.event.streaming.websocket import handshake, offered_deflate
from hxp_enterprise_llm.security.body import BodyBudget, read_body
from hxp_enterprise_llm.security.described import Described
from hxp_enterprise_llm.security.model import JSON_BODY, Handler, Route
from hxp_enterprise_llm.security.problems import Problem

CONNECT = "cf_connect"
NOTHING = b"{}"
"""The connect request of a client that wants nothing special."""
JSON_SUBPROTOCOL, PROTOBUF_SUBPROTOCOL = "centrifuge-json", "centrifuge-protobuf"
_SUBPROTOCOLS = "Sec-WebSocket-Protocol"
_TYPES = {"sse": "text/event-stream; charset=utf-8", "http_stream": "application/x-ndjson"}
_FRAMINGS: dict[str, Framing] = {"sse": BLOCKS, "http_stream": LINES}


def routes(endpoint: Endpoint, gateway: Gateway, *, budget: BodyBudget) -> list[Route]:
    """All routes of the protocol; none when it is switched off."""
    if not endpoint.config.enabled:
        return []
    api = CentrifugeApi(endpoint, gateway, budget)
    prefix = "/connection"
    return [
        _route("GET", f"{prefix}/websocket", api.websocket, "Centrifuge by WebSocket", described.WEBSOCKET),
        _route(
            "GET",
            f"{prefix}/uni_websocket",
            api.uni_websocket,
            "Centrifuge by WebSocket, unidirectional",
            described.UNI_WEBSOCKET,
        ),
        _route("GET", f"{prefix}/sse", api.sse, "Centrifuge by server-sent events", described.SSE),
        _route("POST", f"{prefix}/sse", api.sse_post, "The same, connect in the body", described.SSE_POST),
        _route("POST", f"{prefix}/http_stream", api.http_stream, "Centrifuge by HTTP stream", described.HTTP_STREAM),
        _route("GET", f"{prefix}/uni_sse", api.uni_sse, "Centrifuge by SSE, unidirectional", described.SSE),
        _route("POST", f"{prefix}/uni_sse", api.uni_sse_post, "The same, connect in the body", described.SSE_POST),
        _route(
            "POST",
            f"{prefix}/uni_http_stream",
            api.uni_http_stream,
            "Centrifuge by HTTP stream, unidirectional",
            described.HTTP_STREAM,
        ),
        _route("POST", "/emulation", api.emulation, "Commands of Centrifuge clients on a stream", _EMULATION),
    ]


def _route(method: Literal["GET", "POST"], path: str, handler: Handler, summary: str, about: Described) -> Route:
    if method == "POST":
        return Route(method, path, handler, "read", summary, JSON_BODY, described=about)
    upgrade: Literal["websocket", "sse"] = "websocket" if path.endswith("websocket") else "sse"
    return Route(method, path, handler, "read", summary, upgrade=upgrade, described=about)


class _Emulation(msgspec.Struct):
    session: str
    node: str
    data: str


_EMULATION = described.emulation(_Emulation)


class CentrifugeApi:
    """The handlers."""

    def __init__(self, endpoint: Endpoint, gateway: Gateway, budget: BodyBudget) -> None:
        self._endpoint, self._gateway, self._budget = endpoint, gateway, budget
        self._packs = self._may_be_packed  # one object for all connections

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        """Both directions. Raises Problem."""
        native = request.query.get("cf_ws_frame_ping_pong") == "true"
        return self._socket(request, FRAMES, bare=False, native_ping=native)

    async def uni_websocket(self, request: web.Request) -> web.StreamResponse:
        """The connect request comes with the address or as the first message. Raises Problem."""
        return self._socket(request, SINGLE_FRAMES, bare=True, native_ping=True)

    async def sse(self, request: web.Request) -> web.StreamResponse:
        """The first command comes with the address. Raises Problem."""
        return self._stream(request, "sse", self._in_address(request), bare=False)

    async def sse_post(self, request: web.Request) -> web.StreamResponse:
        """The first command comes in the body. Raises Problem."""
        return self._stream(request, "sse", await self._body(request), bare=False)

    async def http_stream(self, request: web.Request) -> web.StreamResponse:
        """The first commands come in the body. Raises Problem."""
        return self._stream(request, "http_stream", await self._body(request), bare=False)

    async def uni_sse(self, request: web.Request) -> web.StreamResponse:
        """The connect request comes with the address. Raises Problem."""
        return self._stream(request, "sse", self._in_address(request), bare=True)

    async def uni_sse_post(self, request: web.Request) -> web.StreamResponse:
        """The connect request comes in the body. Raises Problem."""
        return self._stream(request, "sse", await self._body(request) or NOTHING, bare=True)

    async def uni_http_stream(self, request: web.Request) -> web.StreamResponse:
        """The connect request comes in the body. Raises Problem."""
        return self._stream(request, "http_stream", await self._body(request) or NOTHING, bare=True)

    async def emulation(self, request: web.Request) -> web.StreamResponse:
        """Commands of a client on a stream. Raises Problem: 400 malformed, 404 another process."""
        try:
            sent = msgspec.json.decode(await self._body(request), type=_Emulation)
        except MALFORMED as error:
            hint = 'Send {"session": …, "node": …, "data": "commands"}.'
            fault = body_fault(error, _Emulation)
            raise Problem(400, "bad_emulation", f"the body is no emulation request: {fault}", hint) from None
        if sent.node == self._endpoint.node:
            self._endpoint.emulate(sent.session, sent.data)
        elif self._endpoint.elsewhere is None or not await self._endpoint.elsewhere(msgspec.json.encode(sent)):
            raise Problem(404, "unknown_node", "the session belongs to another process", "Connect again.")
        return web.Response(status=204)

    # Opening

    def _socket(
        self, request: web.Request, framing: TextFraming, *, bare: bool, native_ping: bool
    ) -> web.StreamResponse:
        protocol = _agree_on_json(request)
        refuse_body(request)
        gateway = self._gateway
        gateway.require_enabled(gateway.config.websocket.enabled, "websocket")
        deflate, extensions = offered_deflate(request) if self._packs("") else (None, "")
        link = SocketLink(
            gateway.places["websocket"],
            self._endpoint.left,
            gateway.config.performance_optimization.buffer_size,
            self._endpoint.config.message_size_limit,
            deflate,
        )
        link.page = PAGE in request.query
        used = DeflatedFrames(framing, deflate) if deflate else framing
        self._endpoint.connect(link, used, packs=self._packs, bare=bare, emulated=False, native_ping=native_ping)
        first = request.query.get(CONNECT, "") if bare else ""
        position = gateway.hub.position
        where = f"{position.epoch}.{position.offset}"
        return self._open(request, link, 101, lambda: handshake(request, where, extensions, protocol), first.encode())

    def _may_be_packed(self, channel: str) -> bool:
        return wanted(self._gateway.config, "websocket", channel)

    def _stream(self, request: web.Request, kind: str, first: bytes, *, bare: bool) -> web.StreamResponse:
        gateway = self._gateway
        gateway.require_enabled(gateway.config.sse.enabled, "sse")
        link = StreamLink(
            gateway.places["sse"], self._endpoint.left, gateway.config.performance_optimization.buffer_size
        )
        framing = _FRAMINGS[kind]
        self._endpoint.connect(link, framing, packs=self._packs, bare=bare, emulated=not bare, native_ping=False)
        return self._open(request, link, 200, lambda: _head(request, kind), first)

    def _open(
        self, request: web.Request, link: SessionLink, status: int, head: Callable[[], bytes], first: bytes
    ) -> web.StreamResponse:
        """Nothing waits here: the place, the transport and the first commands are taken in one step."""
        places = self._gateway.places[link.transport]
        try:
            self._gateway.require_open(request, link.transport)
            places.take(link)
            response = detach(request, link, status, head())
        except BaseException:
            places.give_back(link, "refused")
            self._endpoint.forget(link)
            raise
        self._endpoint.opened(link)
        if first or link.transport == "sse":
            link.connection.session.receive(first)
        return response

    def _in_address(self, request: web.Request) -> bytes:
        refuse_body(request)
        first = request.query.get(CONNECT, "").encode()
        if not first:
            hint = f"Add ?{CONNECT}= with the connect command as JSON."
            raise Problem(400, "bad_parameter", f"the parameter {CONNECT} is missing", hint, parameter=CONNECT)
        return first

    async def _body(self, request: web.Request) -> bytes:
        return await read_body(request, limit=self._endpoint.config.message_size_limit, budget=self._budget)


def _agree_on_json(request: web.Request) -> str:
    """The subprotocol to answer with; empty: the client named none of ours. Raises Problem 400 for protobuf."""
    offered = {name.strip() for name in ",".join(request.headers.getall(_SUBPROTOCOLS, ())).split(",")}
    asked = "protobuf" in (request.query.get("format"), request.query.get("cf_protocol"))
    if JSON_SUBPROTOCOL in offered and not asked:
        return JSON_SUBPROTOCOL
    if asked or PROTOBUF_SUBPROTOCOL in offered:
        raise Problem(400, "json_only", "only the JSON form of the protocol is spoken here", "Leave protobuf out.")
    return ""


def _head(request: web.Request, kind: str) -> bytes:
    headers = {
        "Content-Type": _TYPES[kind],
        "Cache-Control": "private, no-cache, no-store, must-revalidate, max-age=0",
        "Pragma": "no-cache",
        "X-Accel-Buffering": "no",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
    }
    origin = request.headers.get("Origin")
    if origin is not None and origin.isascii() and origin.isprintable():
        headers |= {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    head = head_bytes("HTTP/1.1 200 OK", headers)
    # The empty line makes a browser call the stream open before the first reply.
    return head + b"\r\n" if kind == "sse" else head
