"""Who comes when the process has no descriptors left for clients: told so, and let go.

From this host a few may still ask how the service is: that is when somebody wants to know.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from hxp_enterprise_llm.security.capacity import LINGERING, RESERVE, Capacity
from hxp_enterprise_llm.security.plainhead import MOST_HEAD_BYTES

LINGER_SECONDS = 1.0
"""For the answer to arrive: closing on unread bytes would reset the connection, and the answer would be lost."""
ALLOWED = (b"GET /health", b"GET /metrics", b"HEAD /health")
"""How the requests begin that the reserve is for."""

HandOver = Callable[[asyncio.Transport, bytes, int], None]


class Overflow:
    """Holds at most `RESERVE` + `LINGERING` connections: whoever has been there longest makes room."""

    def __init__(self, capacity: Capacity, answer: Callable[[], bytes], hand_over: HandOver) -> None:
        """`answer`: what those hear who are turned away; `hand_over` lets aiohttp have a connection."""
        self._capacity, self._answer, self._hand_over = capacity, answer, hand_over
        self._guests: deque[asyncio.Transport] = deque()
        self._leaving: deque[asyncio.Transport] = deque()

    def has_room(self, transport: asyncio.Transport) -> bool:
        """Whether a new connection is within the limit."""
        sock = transport.get_extra_info("socket")
        return sock is None or self._capacity.has_room(sock.fileno())

    def receive(self, transport: asyncio.Transport, *, local: bool) -> None:
        """A connection beyond the limit; `local`: from this host."""
        if local:
            transport.set_protocol(_Guest(self, transport))
            for eldest in _keep(self._guests, transport, RESERVE):
                self._show_out(eldest)
        else:
            self.turn_away(transport)

    def _show_out(self, transport: asyncio.Transport) -> None:
        # Who has been answered by aiohttp already is not told twice.
        if isinstance(transport.get_protocol(), _Guest):
            self.turn_away(transport)
        else:
            transport.abort()

    def admit(self, transport: asyncio.Transport, held: bytes) -> None:
        """A guest asks for what the reserve is for."""
        self._hand_over(transport, held, 0)

    def abort(self) -> None:
        """Cut off whoever is still there."""
        for transport in (*self._guests, *self._leaving):
            transport.abort()

    def turn_away(self, transport: asyncio.Transport) -> None:
        """Say that there is no room, and close."""
        self._capacity.turn_away()
        with suppress(ValueError):
            self._guests.remove(transport)
        transport.set_protocol(_Leaving(transport))
        transport.write(self._answer())
        try:
            transport.write_eof()
        except OSError:  # the client has reset the connection, and the loop has not told us yet
            transport.abort()
            return
        for eldest in _keep(self._leaving, transport, LINGERING):
            eldest.abort()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.abort)


def _keep(held: deque[asyncio.Transport], transport: asyncio.Transport, most: int) -> list[asyncio.Transport]:
    """Remember a connection; answers those that have to go for it."""
    held.append(transport)
    if len(held) > most:
        still = [each for each in held if not each.is_closing()]
        held.clear()
        held.extend(still)
    return [held.popleft() for _ in range(len(held) - most)]


class _Guest(asyncio.Protocol):
    """Waits for the beginning of a request."""

    def __init__(self, overflow: Overflow, transport: asyncio.Transport) -> None:
        self._overflow, self._transport = overflow, transport
        self._held = b""

    def data_received(self, data: bytes) -> None:
        self._held += data
        if not any(begin.startswith(self._held[: len(begin)]) for begin in ALLOWED):
            self._overflow.turn_away(self._transport)
        elif self._held.endswith(b"\r\n\r\n"):
            self._overflow.admit(self._transport, self._held)
        elif len(self._held) > MOST_HEAD_BYTES:
            self._overflow.turn_away(self._transport)


class _Leaving(asyncio.Protocol):
    """Reads what is still sent and drops it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def eof_received(self) -> None:
        self._transport.close()
