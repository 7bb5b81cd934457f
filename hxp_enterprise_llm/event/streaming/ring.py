"""The latest messages of a channel, bounded by count and by bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter

from hxp_enterprise_llm.event.streaming.encode import Message

_offset, _raw = attrgetter("offset"), attrgetter("raw")


class Ring:
    """Messages in the order of their offsets. Complete beyond `floor`: what is at or below it is the log's to give."""

    __slots__ = ("_bytes", "_items", "_max_bytes", "_size", "_start", "floor")

    def __init__(self, size: int, max_bytes: int, floor: int) -> None:
        self._size, self._max_bytes = size, max_bytes
        self._items: list[Message] = []
        self._start = 0
        self._bytes = 0
        self.floor = floor

    def __len__(self) -> int:
        return len(self._items) - self._start

    def __iter__(self) -> Iterator[Message]:
        return iter(self._items[self._start :])

    @property
    def bytes(self) -> int:
        """Bytes of the events kept, as they are in the log."""
        return self._bytes

    def extend(self, messages: Sequence[Message]) -> None:
        """Keep messages that are newer than all others; the oldest ones leave when there are too many."""
        self._items += messages
        self._bytes += _bytes_of(messages)
        self._drop(len(self) - self._size)
        while self._bytes > self._max_bytes and len(self) > 1:
            self._drop(1)

    def _drop(self, count: int) -> None:
        """Let go of so many of the oldest, if any."""
        if count <= 0:
            return
        gone = self._items[self._start : self._start + count]
        self._start += count
        self._bytes -= _bytes_of(gone)
        self.floor = gone[-1].offset
        # The dead front is cut off when it is as long as the rest: constant cost for each message.
        if self._start > 64 and self._start * 2 > len(self._items):
            del self._items[: self._start]
            self._start = 0

    def clear(self, floor: int) -> None:
        """Forget everything; the ring is complete beyond `floor` from now on."""
        self._items, self._start, self._bytes, self.floor = [], 0, 0, floor

    def covers(self, cursor: int) -> bool:
        """Whether every message beyond the cursor is here."""
        return cursor >= self.floor

    def between(self, after: int, upto: int, max_bytes: int) -> tuple[list[Message], int]:
        """Messages with after < offset <= upto, about `max_bytes` of them, and the cursor behind the last."""
        begin = bisect_right(self._items, after, lo=self._start, key=_offset)
        end = bisect_right(self._items, upto, lo=begin, key=_offset)
        size = 0
        for index in range(begin, end):
            if size >= max_bytes:
                return self._items[begin:index], self._items[index - 1].offset
            size += len(self._items[index].raw)
        return self._items[begin:end], upto

    def last(self, count: int, upto: int) -> list[Message]:
        """At most `count` of the newest messages with offset <= upto."""
        end = bisect_right(self._items, upto, lo=self._start, key=_offset)
        return self._items[max(self._start, end - count) : end]

    def newest_first(self, upto: int) -> Iterator[Message]:
        """The messages with offset <= upto, backwards."""
        for index in range(bisect_right(self._items, upto, lo=self._start, key=_offset) - 1, self._start - 1, -1):
            yield self._items[index]

    def before_last(self, count: int, upto: int) -> int:
        """The cursor from which the last `count` messages up to `upto` follow, as far as the ring reaches."""
        kept = self.last(count, upto)
        return kept[0].offset - 1 if kept else upto


def _bytes_of(messages: Sequence[Message]) -> int:
    return sum(map(len, map(_raw, messages)))
