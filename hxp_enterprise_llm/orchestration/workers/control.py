"""What the first process tells a worker and hears from it, over a pair of sockets that ends with either."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import msgspec

from hxp_enterprise_llm.config.streaming import StreamingConfig

_LENGTH = 4


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


class Stop(msgspec.Struct, tag="stop", frozen=True):
    """Take leave of all clients and end."""


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """The worker serves its clients."""


Message = Start | Reload | Stop | Ready


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
        data = msgspec.json.encode(message)
        if not self._writer.is_closing():
            self._writer.write(len(data).to_bytes(_LENGTH) + data)

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
