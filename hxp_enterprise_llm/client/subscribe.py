"""Following a channel over WebSocket, with resume: a lost connection goes on where it was."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import CloseCode
from websockets.protocol import State

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.client.answers import BadAnswer, Unreachable, refusal, words
from hxp_enterprise_llm.client.headers import sendable

_FIRST_DELAY, _LONGEST_DELAY = 0.25, 10.0
_MAX_MESSAGE = 16 * 1024 * 1024
# A service in the middle of sending answers a goodbye only behind what is still unread.
_FAREWELL = 0.5
_QUIET = 20.0
_FOR_NOW = frozenset({408, 429})
"""Refusals of a proxy that another try may not meet."""


class Position(NamedTuple):
    """A place in a log: offsets mean something under one epoch only."""

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.offset}"


class Received(NamedTuple):
    """An event; `text` is the JSON as it came."""

    position: Position
    event: dict[str, Any]
    text: str


class Control(NamedTuple):
    """A message about the stream. `reset`: events after the old position are gone; the stream goes on from `fields`."""

    kind: str
    fields: dict[str, Any]


class Lost(NamedTuple):
    """The connection is gone; the next try is in `delay` seconds, from `position`.

    Without a position nothing had come yet, and what happens meanwhile is not seen.
    """

    reason: str
    delay: float
    position: Position | None


Item = Received | Control | Lost


class _Message(msgspec.Struct):
    offset: int
    epoch: str


class Subscription:
    """An endless iterator over a channel of the gateway at `base_url`, e.g. `ws://127.0.0.1:9102`.

    `after` is a position (`epoch.offset`, an offset of the current epoch, or `earliest`), `last` a number of recent
    events to begin with, `types` one pattern or several; `headers` go with each connection, such as an API key.
    After `quiet` seconds without a message the gateway is asked for a sign of life, and has as long for it.

    Raises BadHeader. Iterating raises Unreachable when the first connection fails, Refused when the service says no,
    BadAnswer when it is no such service. `position` is that of the last event: whoever left the loop and iterates again
    goes on there.
    """

    def __init__(
        self,
        base_url: str,
        channel: str,
        *,
        after: str | int | Position = "",
        last: int | None = None,
        types: str | Sequence[str] = (),
        filter: str = "",
        headers: Mapping[str, str] | None = None,
        quiet: float = _QUIET,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        scheme, colon, rest = base_url.rstrip("/").partition("://")
        self._base = (
            {"http": "ws", "https": "wss"}.get(scheme, scheme) + colon + rest + "/ws/" + quote(channel, safe="")
        )
        self._begin = {"after": str(after), "last": "" if last is None else str(last)}
        self._narrow = {"type": types if isinstance(types, str) else ",".join(types), "filter": filter}
        self._headers, self._quiet = sendable(headers), quiet
        self._sleep, self._jitter = sleep, jitter
        self._connected, self._delay = False, _FIRST_DELAY
        self._waiting = self._silent = False
        self._heard = 0
        self.position: Position | None = None

    @property
    def url(self) -> str:
        """Where the next connection goes."""
        begin = self._begin if self.position is None else {"after": str(self.position)}
        query = urlencode({key: value for key, value in (begin | self._narrow).items() if value})
        return f"{self._base}?{query}" if query else self._base

    async def __aiter__(self) -> AsyncGenerator[Item, None]:
        while True:
            try:
                async with aclosing(self._connection()) as items:
                    async for item in items:
                        yield item
            except ConnectionClosed as closed:
                reason = self._ended(closed)
            except (OSError, TimeoutError, InvalidHandshake) as error:
                reason = self._failed(error)
            delay = self._delay * (0.5 + 0.5 * self._jitter())
            self._delay = min(2 * self._delay, _LONGEST_DELAY)
            yield Lost(reason, delay, self.position)
            await self._sleep(delay)

    async def _connection(self) -> AsyncGenerator[Item, None]:
        """One connection until it ends, which is always an exception."""
        agent = f"hxp/{__version__}"
        try:
            opened = connect(
                self.url,
                max_size=_MAX_MESSAGE,
                close_timeout=_FAREWELL,
                # They tell the gateway that we live. Their answers may wait behind events that nobody has taken yet.
                ping_interval=self._quiet,
                ping_timeout=None,
                user_agent_header=agent,
                additional_headers=self._headers,
                proxy=None,
            )
            socket = await opened
        except InvalidURI as error:
            raise Unreachable(self._base, "this is no address; it begins with ws:// or wss://") from error
        self._connected, self._silent = True, False
        watch = asyncio.create_task(self._watch(socket))
        try:
            while True:
                self._waiting = True
                text = await socket.recv()
                self._waiting, self._heard = False, self._heard + 1
                item = self._item(text)
                self._delay = _FIRST_DELAY
                if item is not None:
                    yield item
        finally:
            watch.cancel()
            _leave(socket)

    async def _watch(self, socket: ClientConnection) -> None:
        """End a connection whose gateway gives no sign of life while a message is waited for."""
        pong: asyncio.Future[float] | None = None
        with suppress(ConnectionClosed):
            while True:
                heard = self._heard
                await asyncio.sleep(self._quiet)
                if not self._waiting or self._heard > heard:
                    pong = None
                elif pong is None or pong.done():
                    pong = asyncio.ensure_future(await socket.ping())
                else:
                    self._silent = True
                    socket.transport.abort()
                    return

    def _ended(self, closed: ConnectionClosed) -> str:
        """Why a connection is over."""
        if closed.rcvd:
            return f"closed with {closed.rcvd.code} {closed.rcvd.reason}".strip()
        return "it gives no sign of life" if self._silent else "cut off"

    def _failed(self, error: Exception) -> str:
        """Why there is no connection, when another try makes sense. Raises otherwise."""
        if isinstance(error, InvalidStatus):
            refused = refusal(error.response.status_code, bytes(error.response.body or b""))
            if not self._connected or (refused.status < 500 and refused.status not in _FOR_NOW):
                raise refused from None
            return str(refused)
        if isinstance(error, InvalidHandshake):
            if not self._connected:
                raise BadAnswer(self._base, str(error)) from None
            return str(error)
        reason = words(error)
        if not self._connected:
            raise Unreachable(self._base, reason) from None
        return reason

    def _item(self, text: str | bytes) -> Received | Control | None:
        """What a message is; None for an event that was seen before the connection was lost."""
        try:
            fields = msgspec.json.decode(text, type=dict[str, Any])
            if "control" in fields:
                return self._control(fields)
            message = msgspec.convert(fields, _Message)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise BadAnswer(self._base, f"a message that is no event: {text[:80]!r}") from error
        at, seen = Position(message.epoch, message.offset), self.position
        if seen is not None and seen.epoch == at.epoch and at.offset <= seen.offset:
            return None
        self.position = at
        return Received(at, fields, text if isinstance(text, str) else text.decode())

    def _control(self, fields: dict[str, Any]) -> Control:
        kind, epoch, after = fields["control"], fields.get("epoch"), fields.get("after")
        if kind == "reset" and isinstance(epoch, str) and isinstance(after, int):
            # The service goes on behind `after`; a connection lost before the next event must, too.
            self.position = Position(epoch, after)
        return Control(str(kind), fields)


def _leave(socket: ClientConnection) -> None:
    """Say goodbye and wait for no answer: a program that drops the iterator at its end has no loop to wait in."""
    if socket.state is State.OPEN:
        socket.protocol.send_close(CloseCode.NORMAL_CLOSURE)
        socket.send_data()
    socket.transport.close()
