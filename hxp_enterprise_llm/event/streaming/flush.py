"""One joined write under way: a round of the live subscribers of a channel.

Each is given, in its turn, all that it lacks by then. What is joined once is shared by all who lack the same.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Protocol

from hxp_enterprise_llm.event.log.model import Bounds
from hxp_enterprise_llm.event.streaming.compress import ContinuedDeflate
from hxp_enterprise_llm.event.streaming.encode import Format, Message, Packed, Transport

_offset = attrgetter("offset")


class Subscriber(Protocol):
    """A live connection, as its channel sees it."""

    cursor: int
    format: Format
    live: bool

    def give(self, data: bytes, cursor: int) -> None:
        """Write joined messages; the cursor stands behind the last of them."""
        ...

    def restart(self, reason: str, bounds: Bounds) -> None:
        """The log was recreated or lost events: say so and go on from the channel's new beginning."""
        ...


class Piece:
    """Joined messages, and to how many they were given."""

    __slots__ = ("count", "data", "end", "given", "transport")

    def __init__(self, transport: Transport, messages: Sequence[Message], data: bytes) -> None:
        self.data, self.transport = data, transport
        self.count, self.end, self.given = len(messages), messages[-1].offset, 0


class Flush:
    """Goes round once. `pending` is the channel's own list: what it takes in meanwhile goes along."""

    __slots__ = (
        "_before",
        "_late",
        "_made",
        "_newest",
        "_pending",
        "_work",
        "_write_bytes",
        "begun",
        "oldest",
        "pieces",
        "reached",
    )

    def __init__(
        self,
        live: Mapping[Format, Iterable[Subscriber]],
        pending: list[Message],
        write_bytes: int,
        begun: float,
        before: Callable[[ContinuedDeflate, int], bytes],
    ) -> None:
        """`before`: what those who stand at an offset were given last, as far as a piece is to look back."""
        self._pending, self._write_bytes, self.begun, self._before = pending, write_bytes, begun, before
        self.oldest = pending[0]
        """The message that has waited longest."""
        self.reached = sys.maxsize
        """Everybody who had a turn has been given everything up to this offset."""
        self.pieces: list[Piece] = []
        # Taken from the end: those who have been there longest come first.
        self._work: list[tuple[Format, list[Subscriber]]] = [(format, [*them][::-1]) for format, them in live.items()]
        self._late: list[Subscriber] = []
        self._made: dict[Format, dict[int, Piece | None]] = {}
        self._newest = 0

    def add(self, subscriber: Subscriber) -> None:
        """Somebody has joined: it has its turn at the end of the round."""
        self._late.append(subscriber)

    def write(self, most: int) -> bool:
        """Write to at most so many subscribers; answers whether any are left."""
        if self._pending[-1].offset != self._newest:
            # There is more now: what was joined before is not all that the next ones lack.
            self._newest = self._pending[-1].offset
            self._made.clear()
        while most > 0 and (self._work or self._late):
            format, waiting = self._next()
            turn = waiting[: -most - 1 : -1]
            del waiting[-most:]
            most -= len(turn)
            self._give(format, turn)
            if not waiting:
                self._work.pop()
        return bool(self._work or self._late)

    def _next(self) -> tuple[Format, list[Subscriber]]:
        """Some who wait for their turn, of one format."""
        if not self._work:
            by_format: dict[Format, list[Subscriber]] = {}
            for subscriber in self._late:
                by_format.setdefault(subscriber.format, []).append(subscriber)
            self._work, self._late = list(by_format.items()), []
        return self._work[-1]

    def _give(self, format: Format, turn: Sequence[Subscriber]) -> None:
        made = self._made.setdefault(format, {})
        for subscriber in turn:
            if not subscriber.live or (subscriber.format is not format and subscriber.format != format):
                continue  # it has left, or has come back in another format and has another turn
            try:
                piece = made[subscriber.cursor]
            except KeyError:
                piece = made[subscriber.cursor] = self._join(subscriber.cursor, format)
            if piece is not None:
                piece.given += 1
                subscriber.give(piece.data, piece.end)

    def _join(self, cursor: int, format: Format) -> Piece | None:
        """What a subscriber lacks that stands here, about as much as one write may carry."""
        begin = end = bisect_right(self._pending, cursor, key=_offset)
        size = 0
        while end < len(self._pending) and size < self._write_bytes:
            size += len(self._pending[end].raw)
            end += 1
        # What comes later in this round is not with those who had their turn before.
        self.reached = min(self.reached, self._pending[end - 1].offset)
        if begin == end:
            return None
        messages = self._pending[begin:end]
        piece = Piece(format.transport, messages, self._encode(format, cursor, messages))
        self.pieces.append(piece)
        return piece

    def _encode(self, format: Format, cursor: int, messages: Sequence[Message]) -> bytes:
        if isinstance(format, ContinuedDeflate):
            return format.join_behind(self._before(format, cursor), messages)
        return format.join(messages)

    def totals(self) -> dict[Transport, tuple[int, int, int]]:
        """By transport: deliveries, writes, and their bytes."""
        found: dict[Transport, tuple[int, int, int]] = {}
        for piece in self.pieces:
            deliveries, writes, size = found.get(piece.transport, (0, 0, 0))
            found[piece.transport] = (
                deliveries + piece.given * piece.count,
                writes + piece.given,
                size + piece.given * len(piece.data),
            )
        return found

    def compressed(self) -> tuple[int, int]:
        """Bytes before compression of what was given compressed, and how many of them it saved."""
        packed = [(piece.given, piece.data) for piece in self.pieces if isinstance(piece.data, Packed)]
        return (
            sum(given * data.plain_size for given, data in packed),
            sum(given * data.saved for given, data in packed),
        )
