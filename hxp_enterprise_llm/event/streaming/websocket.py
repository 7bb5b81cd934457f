"""WebSocket: the handshake (RFC 6455, 4.2) and the link that answers pings, closes and the few client commands."""

from __future__ import annotations

import binascii
import hashlib
import logging
import re
from collections.abc import Callable
from typing import ClassVar

import msgspec
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

from hxp_enterprise_llm.event.streaming.closing import BY_CODE, NORMAL, NOT_UTF8, RESTART, SLOW, TOO_SLOW, Ending
from hxp_enterprise_llm.event.streaming.compress import MOST_BITS, WebSocketDeflate, agree
from hxp_enterprise_llm.event.streaming.encode import PING, WEBSOCKET, Transport, WebSocketFormat, frame
from hxp_enterprise_llm.event.streaming.limits import Places
from hxp_enterprise_llm.event.streaming.link import Link
from hxp_enterprise_llm.security.model import Asked
from hxp_enterprise_llm.security.problems import Problem

# The parser's own lines would repeat ours for each connection.
_parser_log = logging.getLogger("hxp_enterprise_llm.websocket.parser")
_parser_log.setLevel(logging.CRITICAL)

CLOSE = 0x88
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile("[A-Za-z0-9+/]{22}==")
"""16 bytes in base64."""
_SWITCHING = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
_EMPTY_PONG = b"\x8a\x80"
_EMPTY_PONG_SIZE = 6


class WebSocketLink(Link):
    """A WebSocket without a task. The parser is made when the client first says something but "pong"."""

    __slots__ = ("_alive", "_fragments", "_max_size", "_parser", "format")

    transport: ClassVar[Transport] = "websocket"
    format: WebSocketFormat | WebSocketDeflate

    def __init__(
        self,
        places: Places[Link],
        left: Callable[[Link], None],
        high_water: int,
        max_size: int,
        deflate: WebSocketDeflate | None = None,
    ) -> None:
        super().__init__(places, left, high_water)
        self.format = deflate or WEBSOCKET
        self._max_size = max_size
        self._alive = True
        self._parser: Protocol | None = None
        self._fragments: bytearray | None = None

    def beat(self) -> None:
        """Ping; who has given no sign of life since the last one is cut off."""
        if not self._alive:
            self.abort("ping_timeout")
            return
        self._alive = False
        self.write(PING)

    def farewell(self, reason: str, retry_ms: int) -> None:
        self._close(RESTART, reason)

    def too_slow(self) -> None:
        self._close(SLOW, TOO_SLOW)

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
            self._parser = self._make_parser()
        self._parser.receive_data(data)
        for event in self._parser.events_received():
            if isinstance(event, Frame) and not self.closing:
                self._frame(event)
        if not self.closing:
            self._answer(self._parser)

    def _make_parser(self) -> Protocol:
        parser = Protocol(SERVER, state=OPEN, max_size=self._max_size, logger=_parser_log)
        if isinstance(self.format, WebSocketDeflate):
            # Only reads: what is said here is said by the format. Both sides forget after each message.
            parser.extensions = [PerMessageDeflate(True, True, MOST_BITS, MOST_BITS)]
        return parser

    def _frame(self, received: Frame) -> None:
        if received.opcode is Opcode.BINARY:
            self._say("error", message="binary messages are not read here; send JSON text")
        if received.opcode is Opcode.TEXT:
            self._fragments = bytearray()
        if received.opcode in (Opcode.TEXT, Opcode.CONT) and self._fragments is not None:
            self._fragments += received.data
            if received.fin:
                text, self._fragments = self._fragments, None
                self._text(text)

    def _text(self, data: bytearray) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            # The parser has read on: what it would answer to the rest is not said any more.
            reason = f"text that is not UTF-8 at byte {error.start}"
            self.finish(NOT_UTF8.word, frame(CLOSE, NOT_UTF8.code.to_bytes(2, "big") + reason.encode()))
            return
        self.said(text)

    def said(self, text: str) -> None:
        """The client sent a message."""
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
        ours = parser.close_sent if not parser.close_rcvd_then_sent else None
        self.finish(BY_CODE.get(ours.code, NORMAL).word if ours else NORMAL.word, writes)

    def _close(self, ending: Ending, reason: str) -> None:
        parser = self._parser or Protocol(SERVER, state=OPEN, logger=_parser_log)
        if parser.state is OPEN:
            parser.send_close(ending.code, reason)
        self.finish(ending.word, b"".join(parser.data_to_send()))


class _Command(msgspec.Struct, forbid_unknown_fields=True):
    command: str


def command_fault(text: str) -> str:
    """What is wrong with a message of a client; empty for the one command that there is, `{"command":"ping"}`."""
    try:
        command = msgspec.json.decode(text, type=_Command).command
    except msgspec.DecodeError:
        return 'a message is JSON such as {"command":"ping"}; types and filters go into the query of the address'
    return "" if command == "ping" else f"the command {command[:40]!r} is not known; there is only ping"


def offered_deflate(asked: Asked) -> tuple[WebSocketDeflate | None, str]:
    """The compressed format that a client offers and we can do, and the header that says so. Raises Problem 400."""
    offers = ", ".join(asked.headers.getall("Sec-WebSocket-Extensions", ()))
    if not offers:
        return None, ""
    try:
        return agree(offers) or (None, "")
    except ValueError as error:
        raise Problem(400, "bad_handshake", f"Sec-WebSocket-Extensions: {error}", "Use a WebSocket client.") from None


def handshake(asked: Asked, position: str, extensions: str = "", protocol: str = "") -> bytes:
    """The head of the answer to an upgrade. Raises Problem: 426 when it is none, 400 when it is faulty."""
    return switching(upgrade_key(asked), position, extensions, protocol)


def upgrade_key(asked: Asked) -> str:
    """The key of a request for an upgrade. Raises Problem: 426 when it is none, 400 when it is faulty."""
    _require_upgrade(asked)
    key = asked.headers.get("Sec-WebSocket-Key", "")
    if not _KEY.fullmatch(key):
        raise Problem(400, "bad_handshake", "Sec-WebSocket-Key is not 16 bytes in base64", "Use a WebSocket client.")
    return key


def switching(key: str, position: str, extensions: str = "", protocol: str = "") -> bytes:
    """The head of the answer to an upgrade with a proper key. The other texts must not come from a client unchecked."""
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    accept = binascii.b2a_base64(digest, newline=False).decode()
    more = f"Sec-WebSocket-Extensions: {extensions}\r\n" if extensions else ""
    if protocol:
        more += f"Sec-WebSocket-Protocol: {protocol}\r\n"
    return f"{_SWITCHING}{accept}\r\nStream-Position: {position}\r\n{more}\r\n".encode("latin-1")


def _require_upgrade(asked: Asked) -> None:
    headers = asked.headers
    tokens = {token.strip().lower() for token in headers.get("Connection", "").split(",")}
    if headers.get("Upgrade", "").lower() != "websocket" or "upgrade" not in tokens:
        raise _upgrade_required(asked, "this address speaks WebSocket")
    if headers.get("Sec-WebSocket-Version") != "13":
        raise _upgrade_required(asked, "only version 13 of WebSocket is spoken here")


def _upgrade_required(asked: Asked, message: str) -> Problem:
    return Problem(
        426,
        "upgrade_required",
        message,
        f"wscat -c ws://{asked.host}{asked.path}",
        headers={"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"},
    )
