"""A link without a socket: it keeps what is written, and holds back when told to be slow."""

from __future__ import annotations

import zlib
from typing import Any, Literal, NamedTuple

import msgspec

from hxp_enterprise_llm.event.streaming.compress import WebSocketDeflate
from hxp_enterprise_llm.event.streaming.encode import SSE, WEBSOCKET, Format
from hxp_enterprise_llm.event.streaming.subscription import Subscription


class Received(NamedTuple):
    """One block of a stream: an event or a control message."""

    control: str
    body: dict[str, Any]


Kind = Literal["sse", "websocket", "deflate"]
NARROW = WebSocketDeflate(window_bits=9)
"""A window that a few events fill."""
_FORMATS: dict[Kind, Format] = {"sse": SSE, "websocket": WEBSOCKET, "deflate": NARROW}


class FakeLink:
    """`high_water` None: takes everything at once. Else it pauses above so many bytes, until `drain`."""

    def __init__(self, kind: Kind = "sse", high_water: int | None = None) -> None:
        self._format = _FORMATS[kind]
        self._high_water = high_water
        self.subscription: Subscription | None = None
        self.received = b""
        self.held = 0
        self.most_held = 0
        self.paused = False
        self.writes = 0
        self.sent_away = 0

    @property
    def format(self) -> Format:
        return self._format

    @property
    def writable(self) -> bool:
        return not self.paused

    def write(self, data: bytes) -> None:
        self.writes += 1
        self.received += data
        if self._high_water is None:
            return
        self.held += len(data)
        self.most_held = max(self.most_held, self.held)
        if self.held > self._high_water and not self.paused:
            self.pause()

    def too_slow(self) -> None:
        self.sent_away += 1

    def pause(self) -> None:
        self.paused = True
        if self.subscription is not None:
            self.subscription.fall_behind()

    def drain(self) -> None:
        self.held = 0
        if self.paused:
            self.paused = False
            if self.subscription is not None:
                self.subscription.advance()

    def blocks(self) -> list[Received]:
        return sse_blocks(self.received) if self._format is SSE else frames(self.received)


def sse_blocks(data: bytes) -> list[Received]:
    blocks = []
    for block in data.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in fields:
            blocks.append(Received(fields.get("event", ""), msgspec.json.decode(fields["data"])))
    return blocks


def frames(data: bytes) -> list[Received]:
    blocks, place = [], 0
    window = zlib.decompressobj(-NARROW.window_bits)
    while place < len(data):
        first, size, place = data[place], data[place + 1], place + 2
        assert first in (0x81, 0xC1)
        if size == 126:
            size, place = int.from_bytes(data[place : place + 2], "big"), place + 2
        elif size == 127:
            size, place = int.from_bytes(data[place : place + 8], "big"), place + 8
        text = data[place : place + size]
        body = msgspec.json.decode(text if first == 0x81 else window.decompress(text + b"\0\0\xff\xff"))
        place += size
        blocks.append(Received(body.get("control", ""), body))
    return blocks
