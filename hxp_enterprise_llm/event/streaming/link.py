"""The transport of a streaming connection, taken over from aiohttp after routing and admission.

aiohttp keeps about 14 kB for each open connection: request, response, task, parser. A link keeps a tenth of that. This
is the one module that leans on aiohttp's inside; `tests/unit/streaming/test_link.py` holds it against each release.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, cast

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from hxp_enterprise_llm.event.streaming.channel import Channel
from hxp_enterprise_llm.event.streaming.encode import Format, Transport
from hxp_enterprise_llm.event.streaming.limits import Places
from hxp_enterprise_llm.event.streaming.subscription import Subscription
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.security.sendbuffer import bound_transport

log = structlog.get_logger("streaming")

CLOSE_SECONDS = 5.0
"""How long a closed connection may take to send what it holds and to hear the other side's farewell."""


class Link(asyncio.Protocol):
    """One connection: the write side of a subscription, and what the client says."""

    __slots__ = (
        "_high_water",
        "_places",
        "_transport",
        "closing",
        "left",
        "page",
        "paused",
        "place",
        "reason",
        "subscription",
    )

    transport: ClassVar[Transport]
    format: Format

    def __init__(self, places: Places[Link], left: Callable[[Link], None], high_water: int) -> None:
        self._places, self.left, self._high_water = places, left, high_water
        self._transport: asyncio.Transport | None = None
        self.subscription: Subscription | None = None
        self.paused = self.closing = False
        self.page = False
        """Whether it is a dashboard page that listens."""
        self.place = 0
        self.reason = ""

    @property
    def writable(self) -> bool:
        return not self.paused and not self.closing and self._transport is not None

    @property
    def peer(self) -> str:
        """Address and port of the client; empty when it has gone."""
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else ""

    def write(self, data: bytes) -> None:
        """Write while the connection is open; afterwards the bytes are for nobody."""
        transport = self._transport
        if transport is not None and not self.closing and not transport.is_closing():
            transport.write(data)

    @property
    def subscriptions(self) -> Iterable[Subscription]:
        """Those of its channels, now."""
        return () if self.subscription is None else (self.subscription,)

    def beat(self) -> None:
        """The heartbeat has come round."""
        raise NotImplementedError

    def farewell(self, reason: str, retry_ms: int) -> None:
        """Tell the client that it should connect again, and end."""
        raise NotImplementedError

    def too_slow(self) -> None:
        """The client fell behind on a channel that keeps only those who keep up: say so, and end."""
        raise NotImplementedError

    def drop(self, stale: set[Channel]) -> None:
        """Channels were changed or went: let go of them. A link with one subscription is sent away instead."""

    def finish(self, reason: str, last: bytes = b"") -> None:
        """Write the last bytes and close; a client that does not take them is cut off after a while."""
        transport = self._transport
        if transport is None or self.closing:
            return
        self.write(last)
        self._end(reason)
        # What the client still sends is read and dropped: closing on unread bytes would reset the connection, and the
        # last words would be lost.
        try:
            if transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()
        except OSError:  # the client has reset the connection, and the loop has not told us yet
            transport.abort()
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, transport.abort)

    def abort(self, reason: str) -> None:
        """Cut the connection off."""
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    def _end(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.closing = True
        if self.subscription is not None:
            self.subscription.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._high_water)

    def pause_writing(self) -> None:
        self.paused = True
        if self.subscription is not None:
            self.subscription.fall_behind()

    def resume_writing(self) -> None:
        self.paused = False
        if self.subscription is not None:
            self.subscription.advance()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("lost" if exc else "client")
        self._transport = None
        self._places.give_back(self, self.reason)
        self.left(self)


class Detached(web.StreamResponse):
    """What a handler gives back when the connection is no longer aiohttp's: nothing is sent."""

    @property
    def prepared(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def refuse_body(request: web.Request) -> None:
    """A stream has no body: bytes after the head would be read as something else. Raises Problem 400."""
    length = request.headers.get("Content-Length", "0")
    if length != "0" or "Transfer-Encoding" in request.headers or request.protocol._message_tail:
        raise Problem(
            400,
            "unexpected_body",
            "a streaming request has no body",
            "Send nothing after the head of the request until the answer has come.",
        )


def detach(request: web.Request, link: Link, status: int, head: bytes) -> web.StreamResponse:
    """Take the connection away from aiohttp, answer with `head`, and let the link have it.

    Must run in one step with what follows. Raises ConnectionResetError when the client has gone.
    """
    handler, transport = request.protocol, request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    # aiohttp forgets the connection: without a transport it cannot close it, and it ends its own task.
    handler.transport = None
    asyncio.get_running_loop().call_soon(handler.connection_lost, None)
    bound_transport(transport)
    adopt(transport, link, head)
    return Detached(status=status)


def adopt(transport: asyncio.Transport, link: Link, head: bytes) -> None:
    """Give a connection to a link, and answer with `head`."""
    transport.set_protocol(link)
    link.connection_made(transport)
    transport.write(head)
    if not transport.is_reading():
        transport.resume_reading()


def head_bytes(status_line: str, headers: Mapping[str, str]) -> bytes:
    """The head of an answer. Values must not come from a client unchecked."""
    lines = [status_line, *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
