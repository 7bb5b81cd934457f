"""The transports of a session: a WebSocket, and a stream over HTTP that only goes to the client."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from websockets.protocol import OPEN

from hxp_enterprise_llm.event.streaming.centrifuge.codes import BAD_CONNECTION_REQUEST, End
from hxp_enterprise_llm.event.streaming.centrifuge.connection import Connection
from hxp_enterprise_llm.event.streaming.centrifuge.wire import push
from hxp_enterprise_llm.event.streaming.channel import Channel
from hxp_enterprise_llm.event.streaming.closing import PROTOCOL_ERROR
from hxp_enterprise_llm.event.streaming.encode import PING, Transport
from hxp_enterprise_llm.event.streaming.limits import Places
from hxp_enterprise_llm.event.streaming.link import Link
from hxp_enterprise_llm.event.streaming.subscription import Subscription
from hxp_enterprise_llm.event.streaming.websocket import WebSocketLink

MOST_IGNORED_BYTES = 64 * 1024


class SessionLink(Link):
    """What both transports do for their connection."""

    __slots__ = ()

    connection: Connection

    @property
    def subscriptions(self) -> Iterable[Subscription]:
        return self.connection.subscriptions

    @property
    def held(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def beat(self) -> None:
        self.connection.session.tick()

    def farewell(self, reason: str, retry_ms: int) -> None:
        self.connection.session.shut_down()

    def drop(self, stale: set[Channel]) -> None:
        self.connection.drop(stale)

    def pause_writing(self) -> None:
        self.paused = True
        self.connection.fall_behind()

    def resume_writing(self) -> None:
        self.paused = False
        self.connection.advance()

    def too_slow(self) -> None:
        self.connection.too_slow()

    def _end(self, reason: str) -> None:
        super()._end(reason)
        self.connection.session.gone()


class SocketLink(SessionLink, WebSocketLink):
    """A WebSocket."""

    __slots__ = ("connection",)

    transport: ClassVar[Transport] = "websocket"

    def data_received(self, data: bytes) -> None:
        self.connection.session.alive()
        super().data_received(data)

    def said(self, text: str) -> None:
        self.connection.session.receive(text.encode())

    def _say(self, name: str, **members: str) -> None:
        # The parser's own answer to a binary message has no place in this protocol.
        self.connection.session.end(BAD_CONNECTION_REQUEST)

    def native_ping(self) -> None:
        self.write(PING)

    def part(self, end: End) -> None:
        parser = self._parser or self._make_parser()
        if parser.state is OPEN:
            parser.send_close(end.code, end.reason)
        self.finish(label(end), b"".join(parser.data_to_send()))


class StreamLink(SessionLink):
    """A response that does not end; what the client has to say comes by `POST /emulation`."""

    __slots__ = ("_ignored", "connection")

    transport: ClassVar[Transport] = "sse"

    def __init__(self, places: Places[Link], left: Callable[[Link], None], high_water: int) -> None:
        super().__init__(places, left, high_water)
        self._ignored = 0

    def data_received(self, data: bytes) -> None:
        self._ignored += len(data)
        if self._ignored > MOST_IGNORED_BYTES:
            self.abort(PROTOCOL_ERROR.word)

    def native_ping(self) -> None:
        """A stream has none."""

    def part(self, end: End) -> None:
        # A session that reads bare pushes has said so itself.
        bare = self.connection.session.bare
        last = b"" if bare else self.connection.framing.join([push({"disconnect": end.members()})])
        self.finish(label(end), last)


AnyLink = SocketLink | StreamLink


def label(end: End) -> str:
    """The reason in metrics and log lines: one of the fixed words of the table."""
    return end.reason.replace(" ", "_")
