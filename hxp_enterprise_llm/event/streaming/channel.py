"""A channel: which events it carries, its ring, and the joined, self-clocked write to those who keep up.

A flush goes round the live subscribers and gives each, in its turn, all that it lacks by then: so the last one does not
wait for a second round. `settled` is the offset up to which every live subscriber has been given everything. It never
exceeds the hub's position. A subscriber that stands at `settled` or beyond may join; one that stands before it catches
up first, from the ring as far as that reaches back (`ring.floor`), else from the log.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol

from hxp_enterprise_llm.config.streaming import Slow
from hxp_enterprise_llm.event.log.model import Bounds, Stored
from hxp_enterprise_llm.event.model import TypePatterns
from hxp_enterprise_llm.event.streaming.compress import ContinuedDeflate
from hxp_enterprise_llm.event.streaming.encode import Format, Message
from hxp_enterprise_llm.event.streaming.filters import Fields
from hxp_enterprise_llm.event.streaming.flush import Flush, Subscriber
from hxp_enterprise_llm.event.streaming.publication import PUBLICATION
from hxp_enterprise_llm.event.streaming.rate import Rate
from hxp_enterprise_llm.event.streaming.ring import Ring
from hxp_enterprise_llm.event.streaming.signal import Signal

_offset = attrgetter("offset")


@dataclass(slots=True)
class Options:
    """How channels hold and write; the last three can be changed while they run."""

    ring_events: int = 4096
    ring_bytes: int = 8 * 1024 * 1024
    write_bytes: int = 64 * 1024
    """A write carries about so many bytes of events, so that a slow client holds back no more."""
    read_events: int = 256
    """Events that a client which is behind reads from the log in one go."""
    slice: int = 256
    """Connections written to in one turn of the loop; those of one turn are given the same."""
    lookback_from: int = 8
    """Receivers from which on it pays to let compressed pieces look back: it is done once for all of them."""
    flush_seconds: float = 0.1
    """Within so many seconds an event should be with the last client: no pause to join more makes it later."""
    flush_events: int = 10
    """Waiting events that make a flush due at once."""


class Condition(Protocol):
    """What a filter decides; equal conditions are one channel, so they are hashable values."""

    def matches(self, fields: Fields) -> bool: ...


class Scheduler(Protocol):
    """The part of an event loop that a channel needs."""

    def time(self) -> float: ...
    def call_soon(self, callback: Callable[[], object]) -> asyncio.Handle: ...
    def call_at(self, when: float, callback: Callable[[], object]) -> asyncio.TimerHandle: ...


class Position:
    """How far the hub has read, shared by all channels. An empty epoch: nothing has been read yet."""

    __slots__ = ("epoch", "moved", "offset")

    def __init__(self) -> None:
        self.epoch = ""
        self.offset = 0
        self.moved = Signal()


def pause_after(took: float, within: float) -> float:
    """Seconds to join events after a flush that took so long: as long again, so that half of the time is others'.

    An event that came as the flush began waits for its end, for the pause, and for the next flush, which may take twice
    as long. Where that would exceed `within` the pause gives way: writing to thousands of clients takes so long.
    """
    return max(0.0, min(took, within - 3 * took))


class Channel:
    """Events chosen by type and filter, given to live subscribers in joined writes."""

    def __init__(
        self,
        name: str,
        patterns: TypePatterns,
        *,
        position: Position,
        options: Options,
        scheduler: Scheduler,
        written: Callable[[Channel, Flush], None],
        narrowing: TypePatterns | None = None,
        filter: Condition | None = None,
        rank: int = 1,
        slow: Slow = "catch_up",
        publications: bool = False,
    ) -> None:
        self.name, self.patterns, self.narrowing, self.filter = name, patterns, narrowing, filter
        self.rank, self.slow, self.publications = rank, slow, publications
        addressed = (PUBLICATION,) if publications else ()
        self._scan_types = narrowing or TypePatterns((*patterns.patterns, *addressed))
        self.position, self.options, self._scheduler, self._written = position, options, scheduler, written
        self.ring = Ring(options.ring_events, options.ring_bytes, position.offset)
        self.rate = Rate(scheduler.time)
        self.subscribers: set[Subscriber] = set()
        self._live: dict[Format, dict[Subscriber, None]] = {}
        self._pending: list[Message] = []
        self.pending_bytes = 0
        self._flush: Flush | None = None
        self._timer: asyncio.Handle | None = None
        self._due = 0.0
        self._idle_from = 0.0

    # What the channel carries

    @property
    def scan_types(self) -> TypePatterns:
        """The narrowest patterns that a scan of the log can apply; `carries` has the last word."""
        return self._scan_types

    def carries_type(self, type: str, subject: str = "") -> bool:
        """Whether events of a type may be on this channel; a publication also because of its subject."""
        addressed = self.publications and type == PUBLICATION and subject == self.name
        return (addressed or self.patterns.matches(type)) and (self.narrowing is None or self.narrowing.matches(type))

    def carries(self, message: Message) -> bool:
        """Whether an event is on this channel."""
        carried = self.carries_type(message.type, message.address)
        return carried and (self.filter is None or self.filter.matches(message.fields()))

    def select(self, events: Sequence[Stored], epoch: str, upto: int) -> list[Message]:
        """The channel's messages out of a stretch of the log, up to an offset."""
        messages = [Message(epoch, stored) for stored in events if stored.offset <= upto]
        return [message for message in messages if self.carries(message)]

    # Where its subscribers stand

    @property
    def settled(self) -> int:
        """Up to here nothing is waiting for any live subscriber."""
        return self._pending[0].offset - 1 if self._pending else self.position.offset

    @property
    def live_count(self) -> int:
        return sum(map(len, self._live.values()))

    def join(self, subscriber: Subscriber) -> None:
        """Take in a subscriber that stands at `settled` or beyond: it gets whatever it lacks, and all that comes."""
        self._live.setdefault(subscriber.format, {})[subscriber] = None
        if self._flush is not None:
            # What waits is forgotten at the end of the flush, so everybody must have had a turn.
            self._flush.add(subscriber)

    def regroup(self, subscriber: Subscriber, format: Format) -> None:
        """A live subscriber goes on in another format."""
        cursor = subscriber.cursor
        self.leave(subscriber)
        subscriber.cursor, subscriber.format = cursor, format
        self.join(subscriber)

    def leave(self, subscriber: Subscriber) -> None:
        """Stop writing to a subscriber and set its cursor before what it still lacks."""
        live = self._live.get(subscriber.format, {})
        if subscriber in live:
            del live[subscriber]
            if not live:
                del self._live[subscriber.format]
            lacking = bisect_right(self._pending, subscriber.cursor, key=_offset)
            subscriber.cursor = (
                self._pending[lacking].offset - 1 if lacking < len(self._pending) else self.position.offset
            )

    # Publishing

    def publish(self, messages: Sequence[Message]) -> None:
        """Take events in, in the order of the log. `schedule` must follow, once for all of a batch."""
        self.ring.extend(messages)
        self.rate.count += len(messages)
        # What waits has no holes, even if those for whom it waits have left: who joins meanwhile gets all of it.
        if self._live or self._pending:
            self._pending += messages
            self.pending_bytes += sum(len(message.raw) for message in messages)

    def schedule(self) -> None:
        """See to it that what waits is written: at once when idle, else after a pause as long as the last flush."""
        if self._flush is not None or not self._pending:
            return
        due = 0.0 if len(self._pending) >= self.options.flush_events else self._idle_from
        if self._timer is not None:
            if due >= self._due:
                return
            self._timer.cancel()
        self._due = due
        if due <= self._scheduler.time():
            self._timer = self._scheduler.call_soon(self._begin)
        else:
            self._timer = self._scheduler.call_at(due, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if self._pending and self._flush is None:
            self._open()
            self._slice()

    def _open(self) -> Flush:
        self._flush = Flush(self._live, self._pending, self.options.write_bytes, self._scheduler.time(), self._before)
        return self._flush

    def _before(self, format: ContinuedDeflate, cursor: int) -> bytes:
        """The last that those who stand at an offset were given, as far as it is to be looked back to."""
        texts: list[bytes] = []
        lacking = format.lookback if len(self._live.get(format, ())) >= self.options.lookback_from else 0
        messages = self.ring.newest_first(cursor)
        while lacking and (message := next(messages, None)):
            texts.append(message.payload()[-lacking:])
            lacking -= len(texts[-1])
        return b"".join(reversed(texts))

    def _slice(self) -> None:
        if self._flush is None:
            return
        if self._flush.write(self.options.slice):
            self._scheduler.call_soon(self._slice)
        else:
            self._finish(self._flush)

    def _finish(self, flush: Flush) -> None:
        self._flush = None
        self._forget(flush.reached)
        now = self._scheduler.time()
        self._idle_from = now + pause_after(now - flush.begun, self.options.flush_seconds)
        if flush.pieces:
            self._written(self, flush)
        self.position.moved.fire()
        self.schedule()

    def _forget(self, upto: int) -> None:
        """Every live subscriber has been given the events up to an offset."""
        count = bisect_right(self._pending, upto, key=_offset)
        self.pending_bytes -= sum(len(message.raw) for message in self._pending[:count])
        del self._pending[:count]

    def drain(self) -> None:
        """Write all that waits, now, in one piece: before a stop or when the log begins anew."""
        while self._flush is not None or self._pending:
            flush = self._flush or self._open()
            while flush.write(self.options.slice):
                pass
            self._finish(flush)

    def begin_anew(self, reason: str, bounds: Bounds) -> None:
        """The hub starts over at `position`: forget the ring, and tell the live ones what they lost."""
        self.ring.clear(self.position.offset)
        for subscriber in [each for subscribers in self._live.values() for each in subscribers]:
            subscriber.restart(reason, bounds)

    def inherit(self, parent: Channel) -> None:
        """Fill the ring from that of the channel that this one narrows."""
        self.ring.clear(parent.ring.floor)
        self.ring.extend([message for message in parent.ring if self.carries(message)])
