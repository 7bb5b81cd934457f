"""What the first process tells a child and hears from it, over a pair of sockets that ends with either."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import msgspec

from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.streaming.centrifuge.presence import Move

_LENGTH = 4
LOOKS = 4
"""How often within `service.worker_timeout` it is looked whether a worker spoke; it does so at least twice as often."""
LONGEST_SILENCE = 1.0
"""Seconds between two signs of life at most, so that `citadel_workers_silent_seconds` says soon who stands still."""
MOST_UNREAD_BYTES = 64 * 1024 * 1024


class Start(msgspec.Struct, tag="start", frozen=True):
    """The first message to a worker: what it needs to know."""

    number: int
    config: StreamingConfig
    node: str
    directory: str
    """Where the sockets of the first process are."""
    own_log: bool
    """Whether the first process has the log; else it is the one of the event processing that `monitoring` names."""


class Reload(msgspec.Struct, tag="reload", frozen=True):
    """A configuration that the first process has taken."""

    config: StreamingConfig


class StartAggregation(msgspec.Struct, tag="start_aggregation", frozen=True):
    """The first message to the process that follows the log."""

    config: ProcessingConfig
    node: str
    directory: str
    """Where the sockets of the first process are."""


class ReloadAggregation(msgspec.Struct, tag="reload_aggregation", frozen=True):
    """As Reload."""

    config: ProcessingConfig


class Stop(msgspec.Struct, tag="stop", frozen=True):
    """Take leave of all clients and end."""


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """The child serves."""


class Alive(msgspec.Struct, tag="alive", frozen=True):
    """The child's loop turns; said again and again."""

    position: int = 0
    """Offset up to which it has taken in the log, where it aggregates."""


class Moves(msgspec.Struct, tag="moves", frozen=True):
    """Clients of other processes that came to channels and left them; in both directions."""

    moves: Sequence[Move]
    news: bool = True
    """False: it was so before, nobody is to be told."""


Message = Start | Reload | StartAggregation | ReloadAggregation | Stop | Ready | Alive | Moves


def encode(message: Message) -> bytes:
    """As it is sent; what goes to several is encoded once."""
    data = msgspec.json.encode(message)
    return len(data).to_bytes(_LENGTH) + data


class Control:
    """One end of the pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Message)

    @classmethod
    async def over(cls, sock: socket.socket) -> Control:
        """This end, on a connected socket, which it takes over."""
        return cls(*await asyncio.open_unix_connection(sock=sock))

    def send(self, message: Message) -> None:
        """Send a message. One to a process that is gone is for nobody."""
        self.write(encode(message))

    def write(self, encoded: bytes) -> None:
        """Send what `encode` made. One who leaves too much unread is taken for gone: memory is bounded."""
        if self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > MOST_UNREAD_BYTES:
            self._writer.transport.abort()
        else:
            self._writer.write(encoded)

    async def receive(self) -> Message | None:
        """The next message; None when the other process is gone."""
        try:
            length = int.from_bytes(await self._reader.readexactly(_LENGTH))
            message: Message = self._decoder.decode(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return message

    def close(self) -> None:
        """Close this end; the other process sees it. Idempotent."""
        self._writer.close()
