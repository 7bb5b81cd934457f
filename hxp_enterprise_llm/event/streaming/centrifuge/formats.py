"""How publications look: what was published as it was sent, any other event as it is in the log.

Formats are values: all subscriptions with an equal one share what is encoded for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from hxp_enterprise_llm.event.streaming.centrifuge.fossil import delta
from hxp_enterprise_llm.event.streaming.centrifuge.wire import Framing
from hxp_enterprise_llm.event.streaming.channel import Channel
from hxp_enterprise_llm.event.streaming.encode import Message, Transport
from hxp_enterprise_llm.event.streaming.publication import PUBLICATION, content_of


class Reset(bytes):
    """Nothing to be sent: the cursor of the subscription means nothing any more, and it ends with it."""


@dataclass(frozen=True, slots=True)
class PublicationFormat:
    """Publications of a channel, named by `id` when that is not 0, for one framing."""

    framing: Framing
    channel: str
    id: int = 0
    bare: bool = False

    @property
    def transport(self) -> Transport:
        return self.framing.transport

    def join(self, messages: Sequence[Message]) -> bytes:
        head, tail = self._ends()
        return self.framing.join([head + body + tail for body in self.publications(messages)])

    def publications(self, messages: Sequence[Message]) -> list[bytes]:
        """The bare publications, without their channel."""
        return [b'{"data":%b%b' % (_content(each), _rest(each)) for each in messages]

    def control(self, name: str, members: dict[str, Any], *, resume: str = "") -> bytes:
        # The protocol has no words about a stream but the end of a subscription.
        return Reset() if name == "reset" else b""

    def _ends(self) -> tuple[bytes, bytes]:
        name = b'"id":%d' % self.id if self.id else b'"channel":' + msgspec.json.encode(self.channel)
        if self.bare:
            return b'{%b,"pub":' % name, b"}"
        return b'{"push":{%b,"pub":' % name, b"}}"


@dataclass(frozen=True, slots=True)
class DeltaFormat(PublicationFormat):
    """Publications as differences to the one before on the channel.

    `based`: the subscriber has that one already, as all have who were given one since they subscribed.
    """

    source: Channel | None = None
    based: bool = False

    def publications(self, messages: Sequence[Message]) -> list[bytes]:
        """The bare publications; the first one in full unless the client has the one before."""
        before = self._before(messages[0]) if self.based and messages else b""
        bodies = []
        for each in messages:
            text = _content(each)
            bodies.append(b'{"data":%b%b' % (_data(before, text), _rest(each)))
            before = text
        return bodies

    def _before(self, message: Message) -> bytes:
        # The ring is complete beyond its floor, so the one found is the very one given before; without it: in full.
        found = self.source.ring.last(1, message.offset - 1) if self.source is not None else []
        return _content(found[0]) if found else b""


def _content(message: Message) -> bytes:
    return bytes(content_of(message.type, message.raw).data) if message.type == PUBLICATION else message.raw


def _rest(message: Message) -> bytes:
    """What comes behind the data."""
    if message.type != PUBLICATION:
        return b',"offset":%d}' % message.offset
    content = content_of(message.type, message.raw)
    tags = b',"tags":' + msgspec.json.encode(content.tags) if content.tags else b""
    info = b',"info":' + bytes(content.info) if content.info else b""
    return b',"offset":%d%b%b}' % (message.offset, tags, info)


def _data(before: bytes, text: bytes) -> bytes:
    """A text as a JSON string, or its difference to the text before when that is shorter."""
    if before:
        difference = delta(before, text)
        if len(difference) < len(text):
            return msgspec.json.encode(difference.decode()) + b',"delta":true'
    return msgspec.json.encode(text.decode())
