"""The client of redis-py on a connection of ours: to addresses that we look at, and with answers that have an end."""

from __future__ import annotations

import asyncio
import math
import ssl
from typing import Any, NoReturn

from redis import exceptions
from redis.asyncio.connection import Connection

from hxp_enterprise_llm.event.sources.heard import PATIENCE
from hxp_enterprise_llm.event.sources.redis.replies import Marks, ServerSaid
from hxp_enterprise_llm.event.sources.redis.server import Address, Wanted
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.security.fetch import FetchError
from hxp_enterprise_llm.telemetry.text import clean

_ANSWER_BYTES = 16 * 1024 * 1024
"""Room in one answer, for one value of the largest size beside it."""
_SMALL_BYTES = 64
"""Values up to this size are always kept: keys and ids are."""
_PIECE_BYTES = 64 * 1024
_CLUSTER = (exceptions.MovedError, exceptions.ClusterCrossSlotError, exceptions.ClusterDownError)
_DENIED = (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError)
_NO_REDIS = (exceptions.InvalidResponse, ValueError, TypeError, OverflowError, RecursionError)


class Reader(asyncio.StreamReader):
    """Keeps no value that is too large, nor more than an answer has room for: a mark stands in its place."""

    def __init__(self, marks: Marks, max_value_bytes: int) -> None:
        super().__init__(limit=_PIECE_BYTES, loop=asyncio.get_running_loop())
        self._marks, self._most = marks, max_value_bytes
        self._room = self._lines = 0

    def begin(self) -> None:
        """An answer begins."""
        self._room, self._lines = self._most + _ANSWER_BYTES, _ANSWER_BYTES

    async def readline(self) -> bytes:
        """A line, which says what comes."""
        line = await super().readline()
        self._lines -= len(line)
        if self._lines < 0:
            raise ValueError(f"an answer has more than {_ANSWER_BYTES:,} bytes of lines")
        return line

    async def readexactly(self, n: int) -> bytes:
        """A value and the end of its line."""
        mark = self._marks.too_large if n - 2 > self._most else self._marks.no_room if n > self._room else b""
        if not mark or n - 2 <= _SMALL_BYTES:
            self._room -= n
            return await super().readexactly(n)
        self._room = min(self._room, _SMALL_BYTES) if mark is self._marks.no_room else self._room
        await self._pass(n)
        return mark + b"\r\n"

    async def _pass(self, n: int) -> None:
        while n:
            data = await self.read(min(n, _PIECE_BYTES))
            if not data:
                raise asyncio.IncompleteReadError(b"", n)
            n -= len(data)


class _Opened(Connection):
    """A connection of redis-py over a stream that is there already."""

    def __init__(self, reader: Reader, writer: asyncio.StreamWriter, wanted: Wanted) -> None:
        self._streams = reader, writer
        super().__init__(
            host=wanted.address.host,
            port=wanted.address.port,
            db=wanted.address.database,
            username=wanted.username or None,
            password=wanted.password or None,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=PATIENCE,
            driver_info=None,
        )

    async def _connect(self) -> None:
        self._reader, self._writer = self._streams


class Client:
    """Asks one question after the other. Made by `connect`."""

    def __init__(self, connection: Connection, reader: Reader, wanted: Wanted, marks: Marks) -> None:
        self._connection, self._reader, self._secret = connection, reader, wanted.password
        self._address, self.place, self.marks = wanted.address, wanted.address.text, marks
        self._known = False

    async def log_in(self) -> None:
        """Raises FetchError."""
        self._reader.begin()
        try:
            await self._connection.connect()  # type: ignore[no-untyped-call]
        except (exceptions.RedisError, *_NO_REDIS) as error:
            self._tell(error)

    async def ask(self, *words: str | int, seconds: float = PATIENCE) -> Any:
        """The answer. Raises FetchError: the connection is lost; ServerSaid."""
        self._reader.begin()
        try:
            async with asyncio.timeout(seconds):
                await self._connection.send_command(*words, check_health=False)
                answer = await self._connection.read_response(disable_decoding=True, timeout=math.inf)
        except TimeoutError as error:
            raise self._lost(f"nothing has come within {seconds:g} s") from error
        except (exceptions.RedisError, OSError, *_NO_REDIS) as error:
            self._tell(error)
        self._known = True
        return answer

    async def close(self) -> None:
        """End it at once."""
        await self._connection.disconnect(nowait=True)

    def _tell(self, error: Exception) -> NoReturn:
        """Raises what an error means."""
        words = self._words(error)
        if isinstance(error, _DENIED):
            raise FetchError(f"{self.place} has denied us: {words}; look at the log-in under sources.redis") from error
        if isinstance(error, exceptions.BusyLoadingError):
            raise FetchError(f"{self.place} is still loading its data") from error
        if isinstance(error, exceptions.ReadOnlyError):
            what = "a replica, and a group is kept by writing: name its primary in sources.redis.endpoint"
            raise FetchError(f"{self.place} is {what}") from error
        if isinstance(error, _CLUSTER):
            raise FetchError(f"{self.place} is a node of a cluster, which is not supported: {words}") from error
        if isinstance(error, exceptions.ResponseError):
            raise ServerSaid(words) from error
        if isinstance(error, _NO_REDIS):
            raise FetchError(f"{self.place} is no Redis server: {words}") from error
        if not self._known:
            raise FetchError(f"{self.place} ended the connection at once{_hint(self._address)}: {words}") from error
        raise self._lost(words) from error

    def _words(self, error: Exception) -> str:
        """What an error says, without the password, that some servers repeat."""
        inner = error.__context__  # what the operating system said
        plain = inner.strerror if isinstance(inner, OSError) else None
        text = plain or str(error).removeprefix("Protocol Error: ")
        return clean(text.replace(self._secret, "***") if self._secret else text, 200)

    def _lost(self, why: str) -> FetchError:
        return FetchError(f"the connection to {self.place} is lost: {why}")


def _hint(address: Address) -> str:
    return "" if address.tls else " (if it takes TLS alone, write rediss:// in sources.redis.endpoint)"


async def connect(wanted: Wanted, egress: Egress) -> Client:
    """A client that the server has let in. Raises FetchError, OSError."""
    marks = Marks(f"{wanted.mark} too large".encode(), f"{wanted.mark} no room".encode())
    reader = Reader(marks, wanted.max_value_bytes)
    writer = await _opened(reader, wanted, egress)
    client = Client(_Opened(reader, writer, wanted), reader, wanted, marks)
    try:
        await client.log_in()
    except ServerSaid as error:
        await client.close()
        raise FetchError(f"{client.place} does not let us in: {error.words}") from error
    except BaseException:
        await client.close()
        raise
    return client


async def _opened(reader: Reader, wanted: Wanted, egress: Egress) -> asyncio.StreamWriter:
    """Opens the stream, with TLS from its first byte on where the address says so."""
    loop, address = asyncio.get_running_loop(), wanted.address
    context = ssl.create_default_context(cafile=wanted.ca_file or None) if address.tls else None
    sock = await egress.connect(address.host, address.port)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    name = address.host if context else None
    transport, _ = await loop.create_connection(lambda: protocol, sock=sock, ssl=context, server_hostname=name)
    return asyncio.StreamWriter(transport, protocol, reader, loop)
