"""WebSocket: the handshake (RFC 6455, 4.2) and the link that answers pings, closes and the few client commands."""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
from collections.abc import Callable
from typing import ClassVar

import msgspec
from aiohttp import web
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

from hxp_enterprise_llm.event.streaming.encode import PING, WEBSOCKET, Transport
from hxp_enterprise_llm.event.streaming.limits import Places
from hxp_enterprise_llm.event.streaming.link import Link, head_bytes, refuse_body
from hxp_enterprise_llm.security.problems import Problem

# The parser's own lines would repeat ours for each connection.
_parser_log = logging.getLogger("hxp_enterprise_llm.websocket.parser")
_parser_log.setLevel(logging.CRITICAL)

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_EMPTY_PONG = b"\x8a\x80"
_EMPTY_PONG_SIZE = 6
SERVICE_RESTART = 1012
NOT_UTF8 = 1007
_REASONS = {1002: "protocol_error", 1007: "not_utf8", 1009: "message_too_big"}


class WebSocketLink(Link):
    """A WebSocket without a task. The parser is made when the client first says something but "pong"."""

    __slots__ = ("_alive", "_fragments", "_max_size", "_parser")

    transport: ClassVar[Transport] = "websocket"
    format = WEBSOCKET

    def __init__(self, places: Places[Link], left: Callable[[Link], None], high_water: int, max_size: int) -> None:
        super().__init__(places, left, high_water)
        self._max_size = max_size
        self._alive = True
        self._parser: Protocol | None = None
        self._fragments: list[bytes] = []

    def beat(self) -> None:
        """Ping; who has given no sign of life since the last one is cut off."""
        if not self._alive:
            self.abort("ping_timeout")
            return
        self._alive = False
        self.write(PING)

    def farewell(self, reason: str, retry_ms: int) -> None:
        self._close(SERVICE_RESTART, reason)

    def resume_writing(self) -> None:
        # It takes data, if slowly: the answer to a ping may be waiting behind megabytes.
        self._alive = True
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        self._alive = True
        if self.closing:
            return
        if self._parser is None:
            if len(data) == _EMPTY_PONG_SIZE and data.startswith(_EMPTY_PONG):
                return
            self._parser = Protocol(SERVER, state=OPEN, max_size=self._max_size, logger=_parser_log)
        self._parser.receive_data(data)
        for event in self._parser.events_received():
            if isinstance(event, Frame):
                self._frame(self._parser, event)
        self._answer(self._parser)

    def _frame(self, parser: Protocol, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY:
            self._say("error", message="binary messages are not read here; send JSON text")
        if frame.opcode is Opcode.TEXT or (frame.opcode is Opcode.CONT and self._fragments):
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                text, self._fragments = b"".join(self._fragments), []
                self._text(parser, text)

    def _text(self, parser: Protocol, data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            if parser.state is OPEN:
                parser.fail(NOT_UTF8, f"text that is not UTF-8 at byte {error.start}")
            return
        fault = command_fault(text)
        if fault:
            self._say("error", message=fault)
        else:
            self._say("pong")

    def _say(self, name: str, **members: str) -> None:
        # A client that talks but does not read gets no answers piled up.
        if self.writable:
            self.write(WEBSOCKET.control(name, dict(members)))

    def _answer(self, parser: Protocol) -> None:
        """Send what the parser has to say; after its close frame the connection ends."""
        writes = b"".join(parser.data_to_send())
        if parser.state is OPEN:
            if self.writable:
                self.write(writes)
            return
        code = parser.close_sent.code if parser.close_sent else 0
        self.finish(_REASONS.get(code, "client"), writes)

    def _close(self, code: int, reason: str) -> None:
        parser = self._parser or Protocol(SERVER, state=OPEN, logger=_parser_log)
        if parser.state is OPEN:
            parser.send_close(code, reason)
        self.finish("shutdown", b"".join(parser.data_to_send()))


class _Command(msgspec.Struct, forbid_unknown_fields=True):
    command: str


def command_fault(text: str) -> str:
    """What is wrong with a message of a client; empty for the one command that there is, `{"command":"ping"}`."""
    try:
        command = msgspec.json.decode(text, type=_Command).command
    except msgspec.DecodeError:
        return 'a message is JSON such as {"command":"ping"}; types and filters go into the query of the address'
    return "" if command == "ping" else f"the command {command[:40]!r} is not known; there is only ping"


def handshake(request: web.Request, position: str) -> bytes:
    """The head of the answer to an upgrade. Raises Problem: 426 when it is none, 400 when it is faulty."""
    _require_upgrade(request)
    refuse_body(request)
    key = request.headers.get("Sec-WebSocket-Key", "")
    try:
        valid = len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        valid = False
    if not valid:
        raise Problem(400, "bad_handshake", "Sec-WebSocket-Key is not 16 bytes in base64", "Use a WebSocket client.")
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": accept,
        "Stream-Position": position,
    }
    return head_bytes("HTTP/1.1 101 Switching Protocols", headers)


def _require_upgrade(request: web.Request) -> None:
    headers = request.headers
    tokens = {token.strip().lower() for token in headers.get("Connection", "").split(",")}
    if headers.get("Upgrade", "").lower() != "websocket" or "upgrade" not in tokens:
        raise _upgrade_required(request, "this address speaks WebSocket")
    if headers.get("Sec-WebSocket-Version") != "13":
        raise _upgrade_required(request, "only version 13 of WebSocket is spoken here")


def _upgrade_required(request: web.Request, message: str) -> Problem:
    return Problem(
        426,
        "upgrade_required",
        message,
        f"wscat -c ws://{request.host}{request.rel_url.raw_path}",
        headers={"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"},
    )
