"""Raw WebSocket clients by the hundred: some read and check what they get, some do not read at all."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from statistics import quantiles
from typing import cast

import msgspec

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class _Data(msgspec.Struct):
    n: int
    sent: float = 0.0


class _Event(msgspec.Struct):
    offset: int = 0
    control: str = ""
    data: _Data | None = None


class Reader(asyncio.Protocol):
    """Keeps the numbers (`data.n`) of its events and how old each was (`data.sent`, monotonic seconds)."""

    decoder = msgspec.json.Decoder(_Event)

    def __init__(self, host: str, path: str, *, reads: bool = True) -> None:
        self._host, self._path, self._reads = host, path, reads
        self._buffer = bytearray()
        self.open = asyncio.get_running_loop().create_future()
        self.closed = asyncio.get_running_loop().create_future()
        self.numbers: list[int] = []
        self.ages: list[float] = []
        self.controls: list[bytes] = []
        self.code = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.open.done():
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            assert self._buffer.startswith(b"HTTP/1.1 101"), bytes(self._buffer)
            del self._buffer[: end + 4]
            self.open.set_result(None)
            if not self._reads:
                self.transport.pause_reading()
        self._parse()

    def _parse(self) -> None:
        place, buffer = 0, self._buffer
        while len(buffer) - place >= 2:
            size, begin = buffer[place + 1], place + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, begin = int.from_bytes(buffer[begin : begin + width], "big"), begin + width
            if len(buffer) < begin + size:
                break
            self._frame(buffer[place] & 15, bytes(buffer[begin : begin + size]))
            place = begin + size
        del buffer[:place]

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == 8:
            self.code = int.from_bytes(payload[:2], "big")
        elif opcode == 1:
            event = self.decoder.decode(payload)
            if event.data is None:
                self.controls.append(payload)
            else:
                self.numbers.append(event.data.n)
                self.ages.append(time.monotonic() - event.data.sent)

    def read_on(self) -> None:
        """A client that did not read begins to."""
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        for future in (self.open, self.closed):
            if not future.done():
                future.set_result(None)


@contextlib.asynccontextmanager
async def readers(port: int, path: str, count: int, *, reads: bool = True) -> AsyncIterator[list[Reader]]:
    """So many clients, connected. Those that do not read have a small buffer."""
    made: list[Reader] = []
    loop = asyncio.get_running_loop()
    try:
        for _ in range(count):
            sock = socket.socket()
            if not reads:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", port))
            reader = Reader(f"127.0.0.1:{port}", path, reads=reads)
            await loop.create_connection(lambda reader=reader: reader, sock=sock)  # type: ignore[misc]
            made.append(reader)
        for reader in made:
            await reader.open
        yield made
    finally:
        for reader in made:
            reader.transport.abort()
        for reader in made:
            await reader.closed


def p99(clients: list[Reader]) -> float:
    """Seconds, over all events of all clients."""
    return quantiles([age for client in clients for age in client.ages], n=100)[98]
