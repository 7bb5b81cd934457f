"""A connection to a NATS server: opened, listened to, left. It does not come back by itself; whoever has it decides."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from hxp_enterprise_llm.event.sources.heard import PATIENCE, connecting
from hxp_enterprise_llm.event.sources.nats.protocol import (
    PING,
    PONG,
    Info,
    Message,
    Refused,
    Said,
    Skipped,
    Wire,
    WireError,
    Word,
    hello,
    subscribe,
    unsubscribe,
)
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.security.fetch import FetchError
from hxp_enterprise_llm.telemetry.text import clean

PORT = 4222
_READ_BYTES = 64 * 1024


class Address(NamedTuple):
    """Where a server is; `text` for people."""

    host: str
    port: int
    tls: bool
    text: str


def address_of(endpoint: str) -> Address:
    """Of `nats://HOST[:PORT]` or `tls://HOST[:PORT]`. Raises ValueError for anything else."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("nats", "tls") or not parts.hostname or parts.path.strip("/") or "@" in parts.netloc:
        raise ValueError(endpoint)
    port = parts.port or PORT
    return Address(parts.hostname, port, parts.scheme == "tls", f"{parts.scheme}://{parts.hostname}:{port}")


class Connection:
    """Subscriptions of one server. Made by `connect`."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: Wire, address: Address, subjects: int
    ) -> None:
        self._reader, self._writer, self._wire = reader, writer, wire
        self._address, self._subjects = address, subjects
        self._asked = self._leaving = self._left = False
        self.problem = ""
        """What is wrong with a part: a subject that may not be listened to, a message that was too large."""
        self.again = False

    async def receive(self) -> list[Message] | None:
        """The messages that have come, at least one; None: all that was there when we left has been given.

        Raises FetchError when the connection is lost.
        """
        while not self._left:
            try:
                async with asyncio.timeout(PATIENCE):
                    data = await self._reader.read(_READ_BYTES)
            except TimeoutError:
                self._silent()
                continue
            except OSError as error:
                raise self._lost(error.strerror or type(error).__name__) from error
            if not data and not self._leaving:
                raise self._lost("the server ended it")
            self._left, self._asked = not data, False
            if messages := self._read(data):
                return messages
        return None

    def _silent(self) -> None:
        if self._leaving:
            self._left = True
        elif self._asked:
            raise self._lost(f"nothing has come within {2 * PATIENCE:g} s, not even an answer to PING")
        else:
            self._asked = True
            self._writer.write(PING)

    def _read(self, data: bytes) -> list[Message]:
        messages: list[Message] = []
        for said in self._parsed(data):
            match said:
                case Message():
                    messages.append(said)
                case Skipped(subject, size):
                    self.problem = f"a message on {clean(subject, 64)} has {size:,} bytes and was left out"
                case Refused(words):
                    self._refused(words)
                case Word.PING:
                    self._writer.write(PONG)
                case Word.PONG:
                    self._left = self._leaving
        return messages

    def _parsed(self, data: bytes) -> list[Said]:
        try:
            return self._wire.feed(data)
        except WireError as error:
            raise self._lost(str(error)) from error

    def _refused(self, words: str) -> None:
        # The server goes on with what it allows; after all its other errors it ends the connection.
        if not words.lower().startswith("permissions violation"):
            raise self._lost(words)
        self.problem = f"{self._address.text}: {words}"

    def _lost(self, why: str) -> FetchError:
        return FetchError(f"the connection to {self._address.text} is lost: {why}")

    async def taken(self, messages: Sequence[Message]) -> None:
        """NATS does not ask."""

    def leave(self) -> None:
        """Listen no more; `receive` still gives what was sent before the server knew."""
        if not self._leaving and not self._writer.is_closing():
            self._leaving = True
            self._writer.write(unsubscribe(self._subjects) + PING)

    async def close(self) -> None:
        """End it at once."""
        self._writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._writer.wait_closed()


class Wanted(NamedTuple):
    """What a connection is to be."""

    address: Address
    subjects: Sequence[str]
    login: Mapping[str, str]
    """As `protocol.hello` has it."""
    ca_file: str
    """PEM; empty: the system's authorities."""
    timeout: float
    """Seconds until it is there."""
    max_message_bytes: int


async def connect(wanted: Wanted, egress: Egress) -> Connection:
    """A connection on which the server has taken the log-in; subscriptions are under way. Raises FetchError."""
    place = wanted.address.text
    with connecting(place, wanted.timeout):
        async with asyncio.timeout(wanted.timeout):
            sock = await egress.connect(wanted.address.host, wanted.address.port)
            reader, writer = await asyncio.open_connection(sock=sock)
            try:
                return await _connected(reader, writer, wanted)
            except WireError as error:
                writer.close()
                raise FetchError(f"{place} is no NATS server: {error}") from error
            except BaseException:
                writer.close()
                raise


async def _connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wanted: Wanted) -> Connection:
    wire = Wire(wanted.max_message_bytes)
    await _secured(reader, writer, wire, wanted)
    writer.write(hello(wanted.login) + PING)
    await _awaited(reader, wire, wanted.address, lambda said: said is Word.PONG)
    writer.write(subscribe(wanted.subjects))
    return Connection(reader, writer, wire, wanted.address, len(wanted.subjects))


async def _secured(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: Wire, wanted: Wanted) -> None:
    """Wait for the server to introduce itself; with TLS, from there on."""
    address = wanted.address
    info = await _awaited(reader, wire, address, lambda said: isinstance(said, Info))
    if address.tls:
        await writer.start_tls(ssl.create_default_context(cafile=wanted.ca_file or None), server_hostname=address.host)
    elif isinstance(info, Info) and info.tls_required:
        raise FetchError(f"{address.text} takes TLS alone: write tls:// in sources.nats.endpoint")


async def _awaited(reader: asyncio.StreamReader, wire: Wire, address: Address, wanted: Callable[[Said], bool]) -> Said:
    """The first of what the server says that is wanted; it may introduce itself again in between."""
    while data := await reader.read(_READ_BYTES):
        for said in wire.feed(data):
            if isinstance(said, Refused):
                raise FetchError(f"{address.text} has denied us: {said.words}; look at the log-in under sources.nats")
            if wanted(said):
                return said
    raise FetchError(f"{address.text} ended the connection at once")
