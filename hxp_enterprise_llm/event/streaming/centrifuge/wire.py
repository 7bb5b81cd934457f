"""Commands as clients send them, replies and pushes as they are sent. One JSON object each, joined by line feeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from hxp_enterprise_llm.event.streaming.centrifuge.codes import BAD_CONNECTION_REQUEST, Ended, Error
from hxp_enterprise_llm.event.streaming.compress import WebSocketDeflate
from hxp_enterprise_llm.event.streaming.encode import Transport, text_frame

PING = b"{}"
COMPACT, REJECT_UNRECOVERED = 1, 2
"""Bits of `flag` in a subscribe request."""
MAX_OFFSET = 2**53 - 1
MAX_ID = 2**32 - 1

_encode = msgspec.json.Encoder().encode


class Position(msgspec.Struct):
    """A place in the log. An empty epoch stands for the one it has now."""

    recover: bool = False
    offset: int = 0
    epoch: str = ""


class Connect(msgspec.Struct):
    token: str = ""
    subs: dict[str, Position] = {}
    name: str = ""
    version: str = ""


class Subscribe(msgspec.Struct):
    channel: str = ""
    token: str = ""
    recover: bool = False
    offset: int = 0
    epoch: str = ""
    delta: str = ""
    tf: msgspec.Raw = msgspec.Raw()
    flag: int = 0
    type: int = 0


class OnChannel(msgspec.Struct):
    channel: str = ""


class Publish(msgspec.Struct):
    channel: str = ""
    data: msgspec.Raw = msgspec.Raw()


class History(msgspec.Struct):
    channel: str = ""
    limit: int = 0
    since: Position | None = None
    reverse: bool = False


class Refresh(msgspec.Struct):
    token: str = ""


class SubRefresh(msgspec.Struct):
    channel: str = ""
    token: str = ""


class Unread(msgspec.Struct):
    """A request whose members do not matter."""


Request = Connect | Subscribe | OnChannel | Publish | History | Refresh | SubRefresh | Unread


class Command(msgspec.Struct):
    """One command; of several requests in it the first in this order counts."""

    id: int = 0
    connect: Connect | None = None
    subscribe: Subscribe | None = None
    unsubscribe: OnChannel | None = None
    publish: Publish | None = None
    presence: OnChannel | None = None
    presence_stats: OnChannel | None = None
    history: History | None = None
    rpc: Unread | None = None
    send: Unread | None = None
    refresh: Refresh | None = None
    sub_refresh: SubRefresh | None = None

    @property
    def method(self) -> str:
        """Name of the request; empty when there is none."""
        return next((name for name in METHODS if getattr(self, name) is not None), "")


METHODS = Command.__struct_fields__[1:]

MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading JSON of a client may end in."""

_commands = msgspec.json.Decoder(Command)
_connect = msgspec.json.Decoder(Connect)


def decode_commands(text: bytes) -> list[Command]:
    """The commands of one message. Raises Ended 3501."""
    try:
        commands = [_commands.decode(line) for line in text.strip().split(b"\n")]
    except MALFORMED:
        raise Ended(BAD_CONNECTION_REQUEST) from None
    if not all(0 <= command.id <= MAX_ID for command in commands):
        raise Ended(BAD_CONNECTION_REQUEST)
    return commands


def decode_connect(text: bytes) -> Connect:
    """The bare request of a unidirectional client. Raises Ended 3501."""
    try:
        return _connect.decode(text)
    except MALFORMED:
        raise Ended(BAD_CONNECTION_REQUEST) from None


def reply(id: int, method: str, result: dict[str, Any]) -> bytes:
    """The answer to a command."""
    return _encode({"id": id, method: result})


def error_reply(id: int, error: Error) -> bytes:
    """The answer to a command that cannot be done."""
    return _encode({"id": id, "error": error.members()})


def push(members: dict[str, Any], *, bare: bool = False) -> bytes:
    """What the client did not ask for; `bare` as unidirectional clients read it."""
    return _encode(members if bare else {"push": members})


class Framing(Protocol):
    """How a transport separates replies."""

    @property
    def transport(self) -> Transport: ...

    def join(self, replies: Sequence[bytes]) -> bytes:
        """The bytes of several replies in one piece."""
        ...


class TextFraming(Framing, Protocol):
    """How a WebSocket does."""

    def texts(self, replies: Sequence[bytes]) -> Sequence[bytes]:
        """The messages that carry several replies."""
        ...


class Frames:
    """WebSocket: one text frame, a line for each reply."""

    transport: Transport = "websocket"

    def texts(self, replies: Sequence[bytes]) -> Sequence[bytes]:
        return [b"\n".join(replies)]

    def join(self, replies: Sequence[bytes]) -> bytes:
        return text_frame(b"\n".join(replies))


class SingleFrames:
    """WebSocket, unidirectional: a text frame for each push."""

    transport: Transport = "websocket"

    def texts(self, replies: Sequence[bytes]) -> Sequence[bytes]:
        return replies

    def join(self, replies: Sequence[bytes]) -> bytes:
        return b"".join(map(text_frame, replies))


@dataclass(frozen=True, slots=True)
class DeflatedFrames:
    """The frames of a WebSocket, compressed where it gains. Equal ones are one: what is encoded for it is shared."""

    plain: TextFraming
    deflate: WebSocketDeflate
    transport: Transport = "websocket"

    def join(self, replies: Sequence[bytes]) -> bytes:
        return self.deflate.pack(self.plain.texts(replies)) or self.plain.join(replies)


class Lines:
    """HTTP stream: a line for each reply."""

    transport: Transport = "sse"

    def join(self, replies: Sequence[bytes]) -> bytes:
        return b"\n".join([*replies, b""])


class Blocks:
    """Server-sent events: a block for each reply. A carriage return in JSON is white space, but would end a line."""

    transport: Transport = "sse"

    def join(self, replies: Sequence[bytes]) -> bytes:
        return b"".join([b"data: %b\n\n" % each.replace(b"\r", b" ") for each in replies])


FRAMES, SINGLE_FRAMES, LINES, BLOCKS = Frames(), SingleFrames(), Lines(), Blocks()
