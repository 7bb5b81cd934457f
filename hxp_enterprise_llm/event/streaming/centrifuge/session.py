"""One connection as the protocol sees it: commands in, replies, pushes and the end out. Nothing here awaits.

Commands are done one after the other. One that has to know something from the log asks its port, and those behind it
wait for the answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Any

import msgspec

from hxp_enterprise_llm.event.streaming.centrifuge import commands
from hxp_enterprise_llm.event.streaming.centrifuge.codes import (
    BAD_CONNECTION_REQUEST,
    CONNECTION_EXPIRED,
    INSUFFICIENT_STATE,
    NO_PONG,
    SHUTDOWN,
    STALE,
    SUBSCRIPTION_EXPIRED,
    TOO_MANY_REQUESTS,
    UNSUBSCRIBED_EXPIRED,
    UNSUBSCRIBED_INSUFFICIENT,
    End,
    Ended,
    Error,
    Refused,
    end_of,
)
from hxp_enterprise_llm.event.streaming.centrifuge.model import Attachment, Infos, Port, Question, Shared
from hxp_enterprise_llm.event.streaming.centrifuge.presence import Info
from hxp_enterprise_llm.event.streaming.centrifuge.wire import (
    Command,
    decode_commands,
    decode_connect,
    error_reply,
    push,
    reply,
)

MAX_WAITING = 1000
"""Commands that may wait behind one that needs the log."""

Steps = Generator[Question, Any, dict[str, Any] | None]


class Session:
    """A client. `bare`: it only listens after its connect request, and reads pushes without an envelope."""

    __slots__ = (
        "_connecting",
        "_out",
        "_ping_due",
        "_pinged",
        "_running",
        "_since",
        "_starting",
        "_steps",
        "_waiting",
        "bare",
        "client",
        "closed",
        "conn_info",
        "connected",
        "echo",
        "expires",
        "granted",
        "native_ping",
        "port",
        "shared",
        "subs",
        "user",
    )

    def __init__(
        self,
        shared: Shared,
        port: Port,
        client: str,
        *,
        bare: bool = False,
        native_ping: bool = False,
        echo: dict[str, str] | None = None,
        chance: float = 1.0,
    ) -> None:
        self.shared, self.port, self.client = shared, port, client
        self.bare, self.native_ping = bare, native_ping
        self.echo = echo or {}
        self.user = ""
        self.conn_info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
        self.granted: Infos = {}
        self.expires = 0.0
        self.subs: dict[str, Attachment] = {}
        self.connected = self.closed = self._connecting = False
        self._since = shared.clock.monotonic()
        # The first ping comes in the second half of an interval, so that those who came together do not stay so.
        self._ping_due = self._since + shared.config.ping_interval * (1 + chance) / 2
        self._pinged: float | None = None
        self._waiting: deque[Command] = deque()
        self._running = Command()
        self._steps: Steps | None = None
        self._out: list[bytes] = []
        self._starting: list[Attachment] = []

    # What the client says

    def receive(self, text: bytes) -> None:
        """A message with one or more commands."""
        if self.closed:
            return
        if self.bare:
            self._receive_bare(text)
            return
        try:
            self._waiting.extend(decode_commands(text))
        except Ended as fault:
            self.end(fault.end)
            return
        if len(self._waiting) > MAX_WAITING:
            self.end(TOO_MANY_REQUESTS)
            return
        self._proceed()

    def _receive_bare(self, text: bytes) -> None:
        if self._connecting:
            self.end(BAD_CONNECTION_REQUEST)
            return
        try:
            self._waiting.append(Command(id=1, connect=decode_connect(text)))
        except Ended as fault:
            self.end(fault.end)
            return
        self._proceed()

    def answer(self, answer: Any) -> None:
        """What the port found out."""
        if self._steps is not None and not self.closed:
            self._step(self._steps, answer)
            self._proceed()

    def fail(self, error: Error) -> None:
        """What was asked for cannot be found out now."""
        if self._steps is not None and not self.closed:
            self._steps.close()
            self._refuse(error)
            self._proceed()

    def alive(self) -> None:
        """The client gave a sign of life that is no pong."""
        if self._pinged is not None and self.native_ping:
            self._pinged = None

    def busy(self) -> None:
        """It takes what was written, if slowly: the ping may be waiting behind megabytes."""
        if self._pinged is not None:
            self._pinged = self.shared.clock.monotonic()

    def _proceed(self) -> None:
        while self._waiting and self._steps is None and not self.closed:
            self._begin(self._waiting.popleft())
        self._flush()

    def _begin(self, command: Command) -> None:
        method = command.method
        if not method and not command.id:
            self._pong()
        elif not self._acceptable(command, method):
            self.end(BAD_CONNECTION_REQUEST)
        else:
            self._connecting = True
            self._running, self._steps = command, commands.HANDLERS[method](self, getattr(command, method))
            self._step(self._steps, None)

    def _acceptable(self, command: Command, method: str) -> bool:
        if not method or (not command.id and method != "send"):
            return False
        return not self._connecting if method == "connect" else self.connected

    def _step(self, steps: Steps, answer: Any) -> None:
        try:
            question = steps.send(answer)
        except StopIteration as done:
            self._steps = None
            self._reply(done.value)
        except Refused as refusal:
            self._refuse(refusal.error)
        except Ended as fault:
            self.end(fault.end)
        else:
            self._flush()
            self.port.ask(question)

    def _reply(self, result: dict[str, Any] | None) -> None:
        if result is None:
            return
        if self.bare:
            self._out.append(push({"connect": result}, bare=True))
        else:
            self._out.append(reply(self._running.id, self._running.method, result))

    def _refuse(self, error: Error) -> None:
        self._steps = None
        if self.bare:
            self.end(end_of(error))
        else:
            self._out.append(error_reply(self._running.id, error))

    def _pong(self) -> None:
        if self._pinged is None:
            self.end(BAD_CONNECTION_REQUEST)
        self._pinged = None

    def _flush(self) -> None:
        """Send what is ready; only then do publications follow on the channels that were granted."""
        out, self._out = self._out, []
        starting, self._starting = self._starting, []
        if out:
            self.port.send(out)
        for attachment in starting:
            if self.subs.get(attachment.channel) is attachment:
                self.port.attach(attachment)
                if self.shared.tracks:
                    self.shared.presence.join(attachment.channel, attachment)

    # Channels

    def info_on(self, info: msgspec.Raw | msgspec.UnsetType) -> Info:
        """This client as others on a channel see it."""
        return Info(self.user, self.client, self.conn_info, info)

    def start(self, attachment: Attachment) -> None:
        """A subscription was granted: publications follow behind the reply."""
        self.subs[attachment.channel] = attachment
        self._starting.append(attachment)

    def leave(self, channel: str) -> None:
        """End a subscription without a word. Idempotent."""
        attachment = self.subs.pop(channel, None)
        if attachment is not None:
            self.port.detach(attachment)
            self.shared.presence.leave(channel, attachment)

    def lost(self, attachment: Attachment) -> None:
        """A cursor means nothing any more: the client is to subscribe again."""
        self._unsubscribe(attachment, UNSUBSCRIBED_INSUFFICIENT, INSUFFICIENT_STATE)

    def _unsubscribe(self, attachment: Attachment, why: End, whole: End) -> None:
        channel = attachment.channel
        if self.subs.get(channel) is not attachment or self.closed:
            return
        if attachment.server_side:
            self.end(whole)
            return
        self.leave(channel)
        self.port.send([push({"channel": channel, "unsubscribe": why.members()}, bare=self.bare)])

    # Time

    def tick(self) -> None:
        """Look at the clocks: pings, pongs, tokens."""
        if self.closed:
            return
        now, config = self.shared.clock.monotonic(), self.shared.config
        if not self.connected:
            if now - self._since >= config.connect_timeout:
                self.end(STALE)
        elif self._pinged is not None:
            if now - self._pinged >= config.pong_timeout:
                self.end(NO_PONG)
        elif now >= self._ping_due:
            self._ping(now)
        if not self.closed:
            self._expire(self.shared.clock.time() - config.expiry_grace)

    def _ping(self, now: float) -> None:
        self._ping_due = now + self.shared.config.ping_interval
        if not self.bare or self.native_ping:
            self._pinged = now
        self.port.ping()

    def _expire(self, late: float) -> None:
        if self.expires and self.expires <= late:
            self.end(CONNECTION_EXPIRED)
            return
        for attachment in list(self.subs.values()):
            if attachment.expires and attachment.expires <= late:
                self._unsubscribe(attachment, UNSUBSCRIBED_EXPIRED, SUBSCRIPTION_EXPIRED)

    # The end

    def shut_down(self) -> None:
        """The server stops; the client comes back."""
        self.end(SHUTDOWN)

    def end(self, end: End) -> None:
        """Send what is ready, say why, and close. Idempotent."""
        if self.closed:
            return
        if self._out:
            self.port.send(self._out)
        if self.bare:
            self.port.send([push({"disconnect": end.members()}, bare=True)])
        self.gone()
        self.port.end(end)

    def gone(self) -> None:
        """The connection is over: leave everything. Idempotent."""
        self.closed = True
        self._waiting.clear()
        self._out.clear()
        self._starting.clear()
        # A generator that runs right now ends by itself.
        self._steps = None
        for channel in list(self.subs):
            self.leave(channel)
