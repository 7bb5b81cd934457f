"""Compression that is done once and shared: what is joined for a flush is compressed once for all who get it.

Nothing of a connection enters the compressed bytes, and nobody's window is kept here.

WebSocket (RFC 7692): each event stays a message of its own; the messages of one piece look back into those before them
in that piece, so that it can follow any other piece. Whoever was given a window full of events in a row has the same in
its window as all others on its channel: from then on pieces look back into that as well (`ContinuedDeflate`). A client
that asks for `server_no_context_takeover` gets messages that look back into nothing.

SSE: `gzip` and `deflate` differ only in the bytes in front. The stream is never finished, for the checksum behind it
would have to be computed for each connection.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol

from isal import isal_zlib
from websockets.exceptions import InvalidHeader
from websockets.headers import parse_extension

from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.streaming.encode import SSE, WEBSOCKET, Message, Packed, Transport, frame, text_frame

LEVEL = 2
"""Of ISA-L, for blocks and whatever is large: as good as zlib, at a tenth of the time."""
CAREFUL_LEVEL = 6
CAREFUL_BYTES = 64 * 1024
"""Of zlib, for messages that are flushed one by one. There ISA-L is little faster and makes them 4 to 8 % larger."""
SMALLEST = 192
"""Bytes of events below which compression gains too little to be worth the client's trouble."""
MOST_BITS = 15
_LEAST_BITS = 9
"""The compressor has no window of 8 bits."""
_COMPRESSED_TEXT = 0xC1
_NOT_REACHED = 262
"""Bytes at the far end of its window that zlib does not look back to."""
_SYNC_TAIL = 4
"""00 00 FF FF, the end of a flushed piece, which a WebSocket message leaves out."""
_CACHED_OFFERS = 64

Coding = Literal["gzip", "deflate"]
PREAMBLE: dict[Coding, bytes] = {
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff",
    "deflate": b"\x78\x5e",
}
"""What stands in front of the compressed stream: the header of gzip (RFC 1952) and of zlib (RFC 1950)."""


class Compressor(Protocol):
    """What the compressors of zlib and ISA-L have in common."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self, mode: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class WebSocketDeflate:
    """One text frame a message, compressed where it gains. Control messages stay plain."""

    takeover: bool = True
    """Whether a message may look back into those before it."""
    window_bits: int = MOST_BITS
    transport: Transport = "websocket"

    @property
    def continued(self) -> ContinuedDeflate | None:
        """How it goes on once the client's window is full; None: it keeps none."""
        return ContinuedDeflate(self.window_bits) if self.takeover else None

    def join(self, messages: Sequence[Message]) -> bytes:
        return self.pack([message.payload() for message in messages]) or WEBSOCKET.join(messages)

    def pack(self, payloads: Sequence[bytes]) -> bytes:
        """A compressed message for each text; empty when that gains nothing."""
        if self.takeover:
            packed = b"".join(self._together(payloads))
        else:
            packed = b"".join([self._alone(payload) for payload in payloads])
        # A window holds what went out compressed, so all the messages of a piece are or none is.
        plain_size = sum(map(len, payloads))
        return Packed.of(packed, plain_size) if packed and len(packed) < plain_size else b""

    def _together(self, payloads: Sequence[bytes]) -> Iterator[bytes]:
        size = sum(map(len, payloads))
        if size >= SMALLEST:
            yield from _frames(size, self.window_bits, payloads)

    def _alone(self, payload: bytes) -> bytes:
        packed = b"".join(self._together([payload]))
        plain = text_frame(payload)
        return packed if packed and len(packed) < len(plain) else plain

    def control(self, name: str, members: dict[str, Any], *, resume: str = "") -> bytes:
        return WEBSOCKET.control(name, members, resume=resume)


@dataclass(frozen=True, slots=True)
class ContinuedDeflate:
    """For clients with a window full of events. Nothing is left plain, so that their windows stay the same."""

    window_bits: int = MOST_BITS
    transport: Transport = "websocket"

    @property
    def lookback(self) -> int:
        """Bytes of what was given before into which a piece looks back."""
        return (1 << self.window_bits) - _NOT_REACHED

    def join(self, messages: Sequence[Message]) -> bytes:
        return self.join_behind(b"", messages)

    def join_behind(self, before: bytes, messages: Sequence[Message]) -> bytes:
        """A compressed message for each, behind the text that all who get it were given last."""
        payloads = [message.payload() for message in messages]
        size = sum(map(len, payloads))
        return Packed.of(b"".join(_frames(size, self.window_bits, payloads, before)), size)

    def control(self, name: str, members: dict[str, Any], *, resume: str = "") -> bytes:
        return WEBSOCKET.control(name, members, resume=resume)


def _frames(size: int, window_bits: int, payloads: Iterable[bytes], before: bytes = b"") -> Iterator[bytes]:
    """A compressed frame for each text, `size` bytes in all; `before`: what they may refer to besides."""
    compressor: Compressor
    if size <= CAREFUL_BYTES:
        compressor = zlib.compressobj(CAREFUL_LEVEL, zlib.DEFLATED, -window_bits, zdict=before)
    else:
        compressor = isal_zlib.compressobj(LEVEL, zlib.DEFLATED, -window_bits, zdict=before)
    for payload in payloads:
        data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        yield frame(_COMPRESSED_TEXT, data[:-_SYNC_TAIL])
    if size > CAREFUL_BYTES:
        _clear_registers()


def _clear_registers() -> None:
    """What ISA-L leaves behind in AVX registers, where all that follows in the thread may be slower for it.

    OpenSSL's SHA-512 ends with the instruction that clears them, and takes less than a microsecond.
    """
    hashlib.sha512(b"x").digest()


@dataclass(frozen=True, slots=True)
class SseDeflate:
    """Blocks as `SseFormat` has them, each piece compressed; the same for both codings."""

    transport: Transport = "sse"

    def join(self, messages: Sequence[Message]) -> bytes:
        return self.wrap(SSE.join(messages))

    def control(self, name: str, members: dict[str, Any], *, resume: str = "") -> bytes:
        return self.wrap(SSE.control(name, members, resume=resume))

    def wrap(self, text: bytes) -> bytes:
        """A piece of the stream's text as it goes over the wire."""
        if len(text) < SMALLEST:
            return stored(text)
        compressor = isal_zlib.compressobj(LEVEL, zlib.DEFLATED, -MOST_BITS)
        data = compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)
        _clear_registers()
        return Packed.of(data, len(text))


SSE_DEFLATE = SseDeflate()


def stored(text: bytes) -> bytes:
    """A few bytes of text as a block that is not compressed (RFC 1951, 3.2.4)."""
    return struct.pack("<BHH", 0, len(text), len(text) ^ 0xFFFF) + text


def wanted(config: StreamingConfig, transport: Transport, channel: str) -> bool:
    """Whether a channel may be compressed on a transport."""
    optimization, fast = config.performance_optimization, config.high_frequency_streams
    return (
        optimization.enabled
        and optimization.compression_enabled
        and "data_compression" in optimization.optimization_strategies
        and (config.websocket if transport == "websocket" else config.sse).compression_enabled
        and (fast.compression_enabled or channel not in fast.streams)
    )


# What a client offers


@lru_cache(_CACHED_OFFERS)
def agree(offers: str) -> tuple[WebSocketDeflate, str] | None:
    """The first usable offer in `Sec-WebSocket-Extensions`: the format, and the header of the answer.

    The client is asked to send messages that look back into nothing, so that no window is kept for it. None when it
    offers nothing that we can do. Raises ValueError for a header that cannot be read.
    """
    try:
        extensions = parse_extension(offers)
    except InvalidHeader as error:
        raise ValueError(str(error)) from None
    for name, parameters in extensions:
        format = _accept(parameters) if name == "permessage-deflate" else None
        if format is not None:
            return format, _answer(format)
    return None


def _accept(parameters: Sequence[tuple[str, str | None]]) -> WebSocketDeflate | None:
    given = dict(parameters)
    if len(given) != len(parameters) or not all(_is_parameter(name, value) for name, value in parameters):
        return None
    bits = int(given.get("server_max_window_bits") or MOST_BITS)
    if bits < _LEAST_BITS:
        return None
    return WebSocketDeflate("server_no_context_takeover" not in given, bits)


def _is_parameter(name: str, value: str | None) -> bool:
    """Whether a parameter is one of RFC 7692, section 7.1, with a value that it may have in an offer."""
    bits = value is not None and re.fullmatch("[89]|1[0-5]", value) is not None
    if name == "server_max_window_bits":
        return bits
    if name == "client_max_window_bits":
        return value is None or bits
    return name in ("server_no_context_takeover", "client_no_context_takeover") and value is None


def _answer(format: WebSocketDeflate) -> str:
    parts = ["permessage-deflate", "client_no_context_takeover"]
    if not format.takeover:
        parts.append("server_no_context_takeover")
    if format.window_bits != MOST_BITS:
        parts.append(f"server_max_window_bits={format.window_bits}")
    return "; ".join(parts)


@lru_cache(_CACHED_OFFERS)
def choose_coding(accepted: str) -> Coding | None:
    """The coding for a stream by `Accept-Encoding`; None: plain. gzip goes first: `deflate` is read in two ways."""
    weights: dict[str, bool] = {}
    for part in accepted.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weights[name] = not any(re.fullmatch(r"q\s*=\s*0(\.0{0,3})?", parameter) for parameter in parameters)
    for coding in PREAMBLE:
        if weights.get(coding, False):
            return coding
    return None
