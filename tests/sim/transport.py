"""One connection of the virtual network: two ends, a pipe each way, and what asyncio calls a transport."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from tests.sim.loop import SimLoop

if TYPE_CHECKING:
    from tests.sim.network import Network

USER_TIMEOUT_SECONDS = 30.0
"""How long bytes may stay unacknowledged before the connection is given up."""
_HIGH_WATER = 64 * 1024
_APART = 1e-6
"""Pieces of one direction arrive at least so many seconds one after the other, or they could change places."""


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class Connection:
    """Two ends that know each other."""

    def __init__(
        self, network: Network, client: SimLoop, client_at: tuple[str, int], server: SimLoop, server_at: tuple[str, int]
    ) -> None:
        self.network = network
        self.client = Endpoint(self, client, client_at, server_at)
        self.server = Endpoint(self, server, server_at, client_at)

    def other(self, end: Endpoint) -> Endpoint:
        return self.server if end is self.client else self.client

    @property
    def is_cut(self) -> bool:
        return self.network.is_cut(self.client.here[0], self.server.here[0])

    def reset(self) -> None:
        """Both ends lose it, with all that is under way."""
        for end in (self.client, self.server):
            end.lose(_error(errno.ECONNRESET))

    def send_again(self) -> None:
        """The way may be free again: what was held goes on."""
        if not self.is_cut:
            for end in (self.client, self.server):
                end.release()


class Endpoint:
    """One end: what it sends is cut into pieces that arrive in order, each a little later than the one before.

    `None` in the place of a piece is the end of the stream.
    """

    def __init__(self, connection: Connection, loop: SimLoop, here: tuple[str, int], there: tuple[str, int]) -> None:
        self._connection, self.loop, self.here, self.there = connection, loop, here, there
        self.transport: SimTransport | None = None
        self.lost = False
        self.gone = False
        """Its host knows nothing of the connection any more."""
        self.under_way = 0
        """Bytes sent that the other side has not read."""
        self._last = 0.0
        self._numbers, self._expected = itertools.count(), 0
        self._held: dict[int, bytes | None] = {}
        self._held_since = 0.0
        self._ahead: dict[int, bytes | None] = {}
        self._unread: deque[bytes | None] = deque()

    def attach(self, transport: SimTransport, protocol: Any) -> None:
        """The program takes the connection over, and reads what has come so far."""
        self.transport = transport
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self.loop.call_soon(self.read)

    @property
    def _peer(self) -> Endpoint:
        return self._connection.other(self)

    @property
    def room(self) -> int:
        """Bytes that may still be sent before the other side has read some."""
        return self._connection.network.line.window - self.under_way

    def send(self, data: bytes | None) -> None:
        """Put bytes, or the end of the stream, on the way."""
        network = self._connection.network
        if data is None:
            self._post(None)
            return
        self.under_way += len(data)
        if len(data) > 1 and network.random.random() < network.line.split:
            middle = 1 + int(network.random.random() * (len(data) - 1))
            self._post(data[:middle])
            data = data[middle:]
        self._post(data)

    def _post(self, piece: bytes | None, number: int | None = None) -> None:
        number = next(self._numbers) if number is None else number
        if self._connection.is_cut:
            self._hold(number, piece)
            return
        world, network = self.loop.world, self._connection.network
        self._last = max(self._last + _APART, world.now + network.delay())
        world.at(self._last, lambda: self._arrive(number, piece))

    def _hold(self, number: int, piece: bytes | None) -> None:
        world = self.loop.world
        if not self._held:
            since = self._held_since = world.now

            def look() -> None:
                if self._held and self._held_since == since and self._connection.is_cut:
                    self.lose(_error(errno.ETIMEDOUT))

            world.after(USER_TIMEOUT_SECONDS, look)
        self._held[number] = piece

    def release(self) -> None:
        """Send what was held."""
        held, self._held = self._held, {}
        for number in sorted(held):
            self._post(held[number], number)

    def _arrive(self, number: int, piece: bytes | None) -> None:
        peer = self._peer
        if self._connection.is_cut:
            self._hold(number, piece)
        elif peer.gone:
            self.loop.world.after(self._connection.network.delay(), lambda: self.lose(_error(errno.ECONNRESET)))
        else:
            # A piece that was held may come behind later ones: the receiver puts them in order.
            self._ahead[number] = piece
            while self._expected in self._ahead:
                peer._unread.append(self._ahead.pop(self._expected))
                self._expected += 1
            peer.loop.call_soon(peer.read)

    def read(self) -> None:
        """Hand over what has come, as far as the program wants it."""
        while self._unread and self.transport is not None and self.transport.is_reading() and not self.lost:
            piece = self._unread.popleft()
            if piece is None:
                self.transport.received_end()
                continue
            peer = self._peer
            peer.under_way -= len(piece)
            self.transport.received(piece)
            if peer.transport is not None and not peer.lost:
                peer.loop.call_soon(peer.transport.flush)

    def lose(self, error: OSError | None) -> None:
        """The connection is over for this end; the program is told in its own turn."""
        if not self.lost:
            self.lost = self.gone = True
            self._unread.clear()
            if error is not None:
                self._held.clear()
            if self.transport is not None:
                self.loop.call_soon(self.transport.lost, error)
        if self._peer.lost:
            self._connection.network.forget(self._connection)

    def hang_up(self, error: OSError | None = None) -> None:
        """This end is closed for good: the other side hears of it when it reads to the end, or at once by a reset."""
        if error is None:
            self.send(None)
        else:
            world, network = self.loop.world, self._connection.network
            world.after(network.delay(), self._peer_reset)
        self.lose(error)

    def _peer_reset(self) -> None:
        if not self._connection.is_cut:
            self._peer.lose(_error(errno.ECONNRESET))

    def abandon(self, *, silent: bool, politely: bool) -> None:
        """The process of this end is gone."""
        if self.lost:
            return
        if not silent:
            if politely:
                self.send(None)
            else:
                self.loop.world.after(self._connection.network.delay(), self._peer_reset)
        self.lost = self.gone = True
        self._unread.clear()
        if silent:
            self._held.clear()
        if self._peer.lost:
            self._connection.network.forget(self._connection)


class SimTransport(asyncio.Transport):
    """The write buffer, its marks, and the calls of asyncio."""

    def __init__(self, end: Endpoint, sock: Any) -> None:
        super().__init__({"socket": sock, "sockname": end.here, "peername": end.there})
        self._end = end
        self._protocol: Any = None
        self._buffer = bytearray()
        self._high, self._low = _HIGH_WATER, _HIGH_WATER // 4
        self._pausing = False
        self._reading = True
        self._closing = self._ending = self._ended = self._over = False

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._end.loop.call_soon(self._end.read)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high if high is not None else (4 * low if low is not None else _HIGH_WATER)
        self._low = low if low is not None else self._high // 4
        self._mark()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def write(self, data: Any) -> None:
        if self._over or self._ending or not data or self._end.lost:
            return
        self._buffer += data
        self.flush()
        self._mark()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._ending = True
        self.flush()

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.flush()

    def abort(self) -> None:
        self._closing = True
        self._buffer.clear()
        if not self._end.lost:
            self._end.hang_up(_error(errno.ECONNABORTED))

    def flush(self) -> None:
        """Send what there is room for; afterwards end what was to be ended."""
        end = self._end
        if end.lost or self._over:
            return
        while self._buffer and (room := end.room) > 0:
            piece = bytes(self._buffer[:room])
            del self._buffer[:room]
            end.send(piece)
        self._mark()
        if self._buffer:
            return
        if self._closing:
            if self._ended:
                end.lose(None)
            else:
                end.hang_up()
        elif self._ending and not self._ended:
            self._ended = True
            end.send(None)

    def _mark(self) -> None:
        if not self._pausing and len(self._buffer) > self._high:
            self._pausing = True
            self._protocol.pause_writing()
        elif self._pausing and len(self._buffer) <= self._low and not self._over:
            self._pausing = False
            self._protocol.resume_writing()

    def received(self, data: bytes) -> None:
        """Bytes have come."""
        if not self._closing:
            self._protocol.data_received(data)

    def received_end(self) -> None:
        """The other side sends no more."""
        if not self._closing and not self._protocol.eof_received():
            self.close()

    def lost(self, error: OSError | None) -> None:
        """Tell the protocol, once."""
        if not self._over:
            self._over = self._closing = True
            self._buffer.clear()
            quiet = error is None or error.errno == errno.ECONNABORTED
            self._protocol.connection_lost(None if quiet else error)
