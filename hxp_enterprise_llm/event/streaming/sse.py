"""Server-sent events: the head of the stream and its link."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from hxp_enterprise_llm.event.streaming.closing import PROTOCOL_ERROR, RESTART, SLOW, TOO_SLOW
from hxp_enterprise_llm.event.streaming.compress import PREAMBLE, SSE_DEFLATE, Coding, SseDeflate, choose_coding
from hxp_enterprise_llm.event.streaming.encode import KEEP_ALIVE, SSE, SseFormat, Transport
from hxp_enterprise_llm.event.streaming.limits import Places
from hxp_enterprise_llm.event.streaming.link import Link, head_bytes
from hxp_enterprise_llm.security.model import Asked

MOST_IGNORED_BYTES = 64 * 1024
"""A client of a stream has nothing to say; one that goes on talking is no such client."""


class SseLink(Link):
    """A stream without a task."""

    __slots__ = ("_ignored", "format")

    transport: ClassVar[Transport] = "sse"
    format: SseFormat | SseDeflate

    def __init__(
        self,
        places: Places[Link],
        left: Callable[[Link], None],
        high_water: int,
        coding: Coding | None = None,
        *,
        page: bool = False,
    ) -> None:
        super().__init__(places, left, high_water)
        self.page = page
        self.format = stream_format(coding)
        self._ignored = 0

    def beat(self) -> None:
        """Keep proxies from closing the stream; a client that takes nothing needs no comment."""
        if self.writable:
            self.write(self.format.wrap(KEEP_ALIVE))

    def farewell(self, reason: str, retry_ms: int) -> None:
        self.finish(RESTART.word, self.format.wrap(f": {reason}\nretry: {retry_ms}\n\n".encode()))

    def too_slow(self) -> None:
        self.finish(SLOW.word, self.format.wrap(f": {TOO_SLOW}\n\n".encode()))

    def data_received(self, data: bytes) -> None:
        self._ignored += len(data)
        if self._ignored > MOST_IGNORED_BYTES:
            self.abort(PROTOCOL_ERROR.word)


def offered_coding(asked: Asked) -> Coding | None:
    """The coding that a client takes and we can do."""
    return choose_coding(", ".join(asked.headers.getall("Accept-Encoding", ())))


def stream_format(coding: Coding | None) -> SseFormat | SseDeflate:
    """The format of a stream in a coding."""
    return SSE if coding is None else SSE_DEFLATE


def stream_headers(asked: Asked, position: str, coding: Coding | None = None) -> dict[str, str]:
    """Headers of an event stream. The edge has admitted the Origin, if there is one."""
    headers = {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
        "X-Content-Type-Options": "nosniff",
        "Stream-Position": position,
        "Vary": "Accept-Encoding, Origin",
        "Connection": "close",
    }
    if coding is not None:
        headers["Content-Encoding"] = coding
    origin = asked.headers.get("Origin")
    if origin is not None and origin.isascii() and origin.isprintable():
        headers["Access-Control-Allow-Origin"] = origin
    return headers


def open_stream(asked: Asked, position: str, retry_ms: int, coding: Coding | None = None) -> bytes:
    """The head of a stream, the pause before a client connects again, and the place to resume from before any event."""
    head = head_bytes("HTTP/1.1 200 OK", stream_headers(asked, position, coding))
    begin = stream_format(coding).wrap(f"retry: {retry_ms}\nid: {position}\n\n".encode())
    return b"".join((head, PREAMBLE[coding] if coding else b"", begin))
