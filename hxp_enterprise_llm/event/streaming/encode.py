"""What goes over the wire: each event is encoded once per format, and the bytes are shared by all subscribers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

from hxp_enterprise_llm.event.log.model import Bounds, Stored
from hxp_enterprise_llm.event.model import parse_rfc3339
from hxp_enterprise_llm.event.streaming.publication import PUBLICATION

Transport = Literal["websocket", "sse"]

KEEP_ALIVE = b": keep-alive\n\n"
PING = b"\x89\x00"
"""An empty WebSocket ping, the same bytes for everybody."""

TEXT = 0x81
"""First byte of a whole text frame."""
_SHORT, _LONG = 126, 127


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading an event may end in, should a log ever give out what no door lets in."""


class _Head(msgspec.Struct):
    """The attributes of an event that delivery itself looks at."""

    time: str = ""
    source: str = ""
    subject: str | None = None


_head = msgspec.json.Decoder(_Head)


class Message:
    """An event on its way out. Encodings are made on first use and kept."""

    __slots__ = ("_fields", "_key", "_sse", "_websocket", "epoch", "offset", "raw", "type")

    def __init__(self, epoch: str, stored: Stored) -> None:
        self.epoch = epoch
        self.offset, self.type, self.raw = stored
        self._websocket = b""
        self._sse = b""
        self._fields: dict[str, Any] | None = None
        self._key: Hashable = None

    @property
    def websocket(self) -> bytes:
        """One unmasked text frame."""
        if not self._websocket:
            self._websocket = text_frame(self.payload())
        return self._websocket

    @property
    def sse(self) -> bytes:
        """One event block with its id."""
        if not self._sse:
            # A carriage return can only be white space in JSON, but it would end a line of the stream.
            payload = self.payload().replace(b"\r", b" ")
            self._sse = b"id: %b.%d\ndata: %b\n\n" % (self.epoch.encode(), self.offset, payload)
        return self._sse

    def payload(self) -> bytes:
        """The JSON text of the event with its offset and epoch in front."""
        return b'{"offset":%d,"epoch":"%b",%b' % (self.offset, self.epoch.encode(), self.raw[1:])

    def fields(self) -> dict[str, Any]:
        """The decoded event, for filters."""
        if self._fields is None:
            try:
                self._fields = msgspec.json.decode(self.raw, type=dict[str, Any])
            except _UNREADABLE:
                self._fields = {}  # what cannot be read passes as an event without members
        return self._fields

    def forget_fields(self) -> None:
        """Let the decoded form go: it takes ten times the room of the text."""
        self._fields = None

    @property
    def key(self) -> Hashable:
        """What the event is about: a newer one with an equal key may stand in for it."""
        if self._key is None:
            try:
                head = _head.decode(self.raw)
                self._key = (self.type, head.source, head.subject)
            except _UNREADABLE:
                self._key = self.offset  # nothing stands in for what cannot be read
        return self._key

    @property
    def address(self) -> str:
        """The channel that a publication was sent to; empty for all other events."""
        if self.type != PUBLICATION:
            return ""
        try:
            return _head.decode(self.raw).subject or ""
        except _UNREADABLE:
            return ""

    def time(self) -> float | None:
        """The event's own time in wall-clock seconds; None when it has none that can be read."""
        try:
            return parse_rfc3339(_head.decode(self.raw).time)
        except (*_UNREADABLE, ValueError, OverflowError):
            return None


def frame(first: int, payload: bytes) -> bytes:
    """A whole unmasked WebSocket frame (RFC 6455, 5.2); `first` holds its flags and opcode."""
    size = len(payload)
    if size < _SHORT:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return bytes((first, _SHORT)) + size.to_bytes(2, "big") + payload
    return bytes((first, _LONG)) + size.to_bytes(8, "big") + payload


def text_frame(payload: bytes) -> bytes:
    """A whole unmasked text frame."""
    return frame(TEXT, payload)


class Packed(bytes):
    """Compressed bytes that know how many there would have been."""

    plain_size: int

    @classmethod
    def of(cls, data: bytes, plain_size: int) -> Packed:
        """Bytes in place of so many."""
        packed = cls(data)
        packed.plain_size = plain_size
        return packed

    @property
    def saved(self) -> int:
        return self.plain_size - len(self)


class Format(Protocol):
    """How messages look to a client. Equal formats are one: what is joined for it is shared by all who have it."""

    @property
    def transport(self) -> Transport: ...

    def join(self, messages: Sequence[Message]) -> bytes:
        """The bytes of several messages in one piece."""
        ...

    def control(self, name: str, members: dict[str, Any], *, resume: str = "") -> bytes:
        """A message about the stream itself. `resume` is the cursor to go on from."""
        ...


@dataclass(frozen=True, slots=True)
class WebSocketFormat:
    """One text frame a message; `{"control": name, …}` about the stream."""

    transport: Transport = "websocket"

    def join(self, messages: Sequence[Message]) -> bytes:
        return b"".join([message.websocket for message in messages])

    def control(self, name: str, members: dict[str, Any], *, resume: str = "") -> bytes:
        return text_frame(msgspec.json.encode({"control": name} | members))


@dataclass(frozen=True, slots=True)
class SseFormat:
    """One block a message; `event: name` about the stream."""

    transport: Transport = "sse"

    def join(self, messages: Sequence[Message]) -> bytes:
        return b"".join([message.sse for message in messages])

    def control(self, name: str, members: dict[str, Any], *, resume: str = "") -> bytes:
        identifier = f"id: {resume}\n" if resume else ""
        return f"event: {name}\n{identifier}data: ".encode() + msgspec.json.encode(members) + b"\n\n"

    def wrap(self, text: bytes) -> bytes:
        """A piece of the stream's text as it goes over the wire."""
        return text


WEBSOCKET = WebSocketFormat()
SSE = SseFormat()


def reset(format: Format, reason: str, bounds: Bounds, goes_on: int) -> bytes:
    """Tell a client that its cursor means nothing any more, what the log has, and where the stream goes on."""
    members = {"reason": reason, "epoch": bounds.epoch, "first": bounds.first, "head": bounds.head, "after": goes_on}
    return format.control("reset", members, resume=f"{bounds.epoch}.{goes_on}")
