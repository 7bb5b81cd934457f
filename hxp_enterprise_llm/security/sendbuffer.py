"""What the kernel holds of what is sent to a client: bounded for streams, for all other answers as it likes.

A connection has its bound from the socket that it came in by, so it costs a stream nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SEND_BUFFER_BYTES = 64 * 1024
"""The kernel doubles it. Without a bound it hides megabytes for each client that does not read."""
_SO_BUF_LOCK = 72
"""Linux 5.14: which buffers have a size that was asked for. The socket module has no name for it yet."""


def bound(sock: socket.socket) -> None:
    """Bound the buffer of a connection, or of all that will come in by a listening socket."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


def bound_transport(transport: asyncio.Transport) -> None:
    """Bound the buffer of a connection by TCP."""
    with _direct(transport) as sock:
        if sock is not None:
            bound(sock)


def loosen(transport: asyncio.Transport) -> None:
    """Let the buffer of a connection by TCP grow again; an older kernel leaves it bounded."""
    with _direct(transport) as sock, suppress(OSError):
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, _SO_BUF_LOCK, 0)


@contextmanager
def _direct(transport: asyncio.Transport) -> Iterator[socket.socket | None]:
    """A socket of a connection; None: it is not by TCP. What a loop calls its socket makes one for each call."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        yield None
        return
    direct = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.fileno())
    try:
        yield direct
    finally:
        direct.detach()
