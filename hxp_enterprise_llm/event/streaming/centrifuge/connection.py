"""Between a session and the hub: each channel of a connection is a subscription of its own, with its own cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from hxp_enterprise_llm.event.streaming.centrifuge.codes import (
    LIMIT_EXCEEDED,
    SLOW,
    UNKNOWN_CHANNEL,
    End,
    Refused,
)
from hxp_enterprise_llm.event.streaming.centrifuge.formats import DeltaFormat, PublicationFormat, Reset
from hxp_enterprise_llm.event.streaming.centrifuge.history import in_history
from hxp_enterprise_llm.event.streaming.centrifuge.model import Attachment, Question, Standing
from hxp_enterprise_llm.event.streaming.centrifuge.session import Session
from hxp_enterprise_llm.event.streaming.centrifuge.tags import TagsFilter
from hxp_enterprise_llm.event.streaming.centrifuge.wire import PING, DeflatedFrames, Framing
from hxp_enterprise_llm.event.streaming.channel import Channel
from hxp_enterprise_llm.event.streaming.encode import Format, Message
from hxp_enterprise_llm.event.streaming.hub import MAX_DERIVED, Hub
from hxp_enterprise_llm.event.streaming.subscription import Subscription
from hxp_enterprise_llm.security.problems import Problem


class Wire(Protocol):
    """The transport under a connection."""

    @property
    def writable(self) -> bool: ...

    @property
    def held(self) -> int:
        """Bytes that were written and that the client has not taken."""
        ...

    def write(self, data: bytes) -> None: ...

    def native_ping(self) -> None:
        """A ping of the transport itself."""
        ...

    def part(self, end: End) -> None:
        """Say why in the manner of the transport, and close."""
        ...

    def abort(self, reason: str) -> None: ...


class Slot:
    """One channel of a connection, as its subscription sees it: the link."""

    __slots__ = ("_based", "_connection", "attachment", "closed", "format", "subscription")

    def __init__(self, connection: Connection, attachment: Attachment, format: Format) -> None:
        self._connection, self.attachment = connection, attachment
        self.format = format
        self.subscription: Subscription | None = None
        self.closed = False
        self._based: Format | None = None

    @property
    def writable(self) -> bool:
        return not self.closed and self._connection.wire.writable

    def write(self, data: bytes) -> None:
        if self.closed:
            return
        if isinstance(data, Reset):
            self.closed = True
            self._connection.later(self._lost)
        elif data:
            self.rebase()
            self._connection.wire.write(data)

    def too_slow(self) -> None:
        """The channel keeps only those who keep up."""
        self._connection.later(self._connection.too_slow)

    def deltas(self, based: Format) -> None:
        """From the first publication on, the others come as differences."""
        self._based = based

    def rebase(self) -> None:
        """The client has been given a publication: the next ones may lean on it."""
        subscription, based = self.subscription, self._based
        if subscription is None or based is None:
            return
        self.format, self._based = based, None
        if subscription.live:
            subscription.channel.leave(subscription)
            subscription.format = based
            subscription.channel.join(subscription)
        else:
            subscription.format = based

    def _lost(self) -> None:
        self._connection.session.lost(self.attachment)


class Connection:
    """The port of one session: its transport below, the hub beside it."""

    __slots__ = ("_find", "_hub", "_later", "_packs", "_queue_limit", "_slots", "framing", "session", "wire")

    session: Session
    wire: Wire

    def __init__(
        self,
        framing: Framing,
        hub: Hub,
        find: Callable[[Session, Question], object],
        *,
        queue_limit: int,
        packs: Callable[[str], bool] = lambda channel: True,
    ) -> None:
        """`packs`: whether a channel may be compressed, where the framing does."""
        self.framing, self._hub, self._find, self._queue_limit, self._packs = framing, hub, find, queue_limit, packs
        self._later = asyncio.get_running_loop().call_soon
        self._slots: dict[Attachment, Slot] = {}

    def later(self, step: Callable[[], object]) -> None:
        """In the next turn of the loop: what ends a subscription must not do so in the middle of a flush."""
        self._later(step)

    # The port

    def send(self, replies: Sequence[bytes]) -> None:
        """Write replies. A client that leaves too many of them unread is cut off."""
        self.wire.write(self.framing.join(replies))
        if self.wire.held > self._queue_limit:
            self.later(self.too_slow)

    def too_slow(self) -> None:
        """Cut off: more words would only wait behind those that are not read."""
        self.session.end(SLOW)

    def ping(self) -> None:
        if self.session.native_ping:
            self.wire.native_ping()
        elif self.wire.writable or not self.session.bare:
            self.wire.write(self.framing.join([PING]))

    def end(self, end: End) -> None:
        if end is SLOW:
            self.wire.abort("slow")
        else:
            self.wire.part(end)

    def ask(self, question: Question) -> None:
        self._find(self.session, question)

    def standing(self, channel: str, filter: TagsFilter | None) -> Standing:
        found = self._hub.channels.get(channel)
        if found is None:
            raise Refused(UNKNOWN_CHANNEL)
        if filter is not None and self._hub.derived_count >= MAX_DERIVED:
            raise Refused(LIMIT_EXCEEDED)
        # A clean floor needs no look into the log; a filtered channel looks through the same events.
        cached = self._hub.describe(channel).recovery_mode == "cache"
        return Standing(self._hub.position.epoch, found.settled, found.ring.floor, cached, found.publications)

    def recover(self, attachment: Attachment) -> list[msgspec.Raw]:
        try:
            channel = self._hub.channel(attachment.channel, None, attachment.filter)
        except Problem:  # no place for a filter: attach will say so
            return []
        settled = channel.settled
        if not channel.ring.covers(attachment.cursor) or settled < attachment.cursor:
            return []
        most = channel.options.write_bytes
        messages, attachment.cursor = channel.ring.between(attachment.cursor, settled, most)
        attachment.recovered = bool(messages)
        return self._publications(attachment, channel, messages)

    def newest(self, attachment: Attachment) -> Message | None:
        found = self._hub.channels.get(attachment.channel)
        if found is None:
            return None
        kept = reversed(found.ring.last(len(found.ring), found.settled))
        return next((message for message in kept if in_history(message, attachment.filter)), None)

    def give(self, attachment: Attachment, message: Message) -> list[msgspec.Raw]:
        channel = self._hub.channels[attachment.channel]
        # Differences lean on the last one of all, which may be no part of the history.
        attachment.recovered = channel.ring.last(1, channel.settled) == [message]
        return self._publications(attachment, channel, [message])

    def unrecovered(self) -> None:
        self._hub.unrecovered()

    def _publications(self, attachment: Attachment, channel: Channel, messages: Sequence[Message]) -> list[msgspec.Raw]:
        bodies = self._format(attachment, channel).publications(messages)
        if bodies:
            self._hub.recovered(channel, self.framing.transport, len(bodies), sum(map(len, bodies)))
        return list(map(msgspec.Raw, bodies))

    def attach(self, attachment: Attachment) -> None:
        try:
            channel = self._hub.channel(attachment.channel, None, attachment.filter)
        except (KeyError, Problem):  # the last place for a filter, or the channel, went to another of the same message
            self.later(lambda: self.session.lost(attachment))
            return
        slot = self._slots[attachment] = self._slot(attachment, channel)
        slot.subscription = self._hub.subscribe(
            channel, slot, attachment.cursor, attachment.epoch, recovering=attachment.returning
        )

    def _slot(self, attachment: Attachment, channel: Channel) -> Slot:
        # Who is given only the newest of each key has not been given what the differences lean on.
        leans = attachment.delta and channel.slow != "conflate"
        slot = Slot(self, attachment, self._format(attachment, channel, based=leans and attachment.recovered))
        if leans and not attachment.recovered:
            slot.deltas(self._format(attachment, channel, based=True))
        return slot

    def _format(self, attachment: Attachment, channel: Channel, *, based: bool = False) -> PublicationFormat:
        name, id, bare, framing = attachment.channel, attachment.id, attachment.bare, self.framing
        if isinstance(framing, DeflatedFrames) and not self._packs(name):
            framing = framing.plain
        if attachment.delta:
            return DeltaFormat(framing, name, id, bare, channel, based)
        return PublicationFormat(framing, name, id, bare)

    def detach(self, attachment: Attachment) -> None:
        slot = self._slots.pop(attachment, None)
        if slot is None:
            self._release(attachment)
        else:
            slot.closed = True
            if slot.subscription is not None:
                self._hub.leave(slot.subscription)

    def _release(self, attachment: Attachment) -> None:
        """It never began: a channel made for its recovery goes unless others are on it."""
        for channel in self._hub.family(attachment.channel):
            if attachment.filter is not None and channel.filter == attachment.filter:
                self._hub.release(channel)

    @property
    def subscriptions(self) -> list[Subscription]:
        """Those of its channels, now."""
        return [slot.subscription for slot in self._slots.values() if slot.subscription is not None]

    # The wire

    def fall_behind(self) -> None:
        """The transport takes no more."""
        for slot in list(self._slots.values()):
            if slot.subscription is not None:
                slot.subscription.fall_behind()

    def advance(self) -> None:
        """The transport takes again."""
        self.session.busy()
        for slot in list(self._slots.values()):
            if slot.subscription is not None:
                slot.subscription.advance()

    def drop(self, stale: set[Channel]) -> None:
        """Channels were changed or went."""
        for slot in list(self._slots.values()):
            if slot.subscription is not None and slot.subscription.channel in stale:
                self.session.lost(slot.attachment)
