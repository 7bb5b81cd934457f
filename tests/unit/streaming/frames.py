"""Frames of a client, byte by byte, and a link on a transport that only remembers."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.event.streaming.limits import Places
from hxp_enterprise_llm.event.streaming.link import Link
from hxp_enterprise_llm.event.streaming.websocket import WebSocketLink
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"


def client_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
    size: int | None = None,
    width: int | None = None,
) -> bytes:
    """A frame of a client. `size` lies about the payload, `width` (7, 16, 64) about how its length is written."""
    size = len(payload) if size is None else size
    width = width or (7 if size < 126 else 16 if size < 1 << 16 else 64)
    first, second = (0x80 * fin) | reserved << 4 | opcode, 0x80 * masked
    if width == 7:
        head = bytes((first, second | size))
    else:
        head = bytes((first, second | (126 if width == 16 else 127))) + size.to_bytes(width // 8, "big")
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))


def close_payload(code: int, reason: bytes = b"") -> bytes:
    return code.to_bytes(2, "big") + reason


class ServerFrame(NamedTuple):
    opcode: int
    payload: bytes

    @property
    def code(self) -> int:
        """Of a close frame; 1005 when it carries none."""
        return int.from_bytes(self.payload[:2], "big") if self.payload else 1005


def server_frames(data: bytes) -> list[ServerFrame]:
    """What a server said. It must say it well: unmasked, final, nothing reserved, nothing behind a close."""
    found: list[ServerFrame] = []
    place = 0
    while place < len(data):
        assert not (found and found[-1].opcode == CLOSE), "bytes behind the close frame"
        first, size, place = data[place], data[place + 1], place + 2
        assert first & 0xF0 == 0x80
        if size == 126:
            size, place = int.from_bytes(data[place : place + 2], "big"), place + 2
        elif size == 127:
            size, place = int.from_bytes(data[place : place + 8], "big"), place + 8
        assert place + size <= len(data), "half a frame"
        found.append(ServerFrame(first & 0x0F, data[place : place + size]))
        place += size
        if found[-1].opcode >= CLOSE:
            assert size < 126
    return found


class MemoryTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.ended = self.aborted = False

    def write(self, data: Any) -> None:
        assert not self.ended
        self.written += data

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.aborted = True

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


def make_places() -> Places[Link]:
    return Places("websocket", 9, StreamingMetrics(CollectorRegistry(), SystemClock()))


class Session:
    """One WebSocket after its handshake. Needs a running loop."""

    def __init__(self, max_size: int = 4096, places: Places[Link] | None = None) -> None:
        self.places = places or make_places()
        self.transport = MemoryTransport()
        self.left: list[Link] = []
        self.link = WebSocketLink(self.places, self.left.append, 1 << 20, max_size)
        self.places.take(self.link)
        self.link.connection_made(self.transport)

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.link.data_received(piece)

    @property
    def answers(self) -> list[ServerFrame]:
        return server_frames(bytes(self.transport.written))

    @property
    def texts(self) -> list[bytes]:
        return [frame.payload for frame in self.answers if frame.opcode == TEXT]

    @property
    def code(self) -> int:
        """Of the close frame that the server sent; 0: none."""
        last = self.answers[-1:]
        return last[0].code if last and last[0].opcode == CLOSE else 0

    def end(self) -> str:
        """The client goes; answers the reason that is counted."""
        self.link.connection_lost(None)
        assert len(self.places) == 0
        assert self.left == [self.link]
        return self.link.reason
