"""Latest wins: what a client that fell behind still gets of a stretch of a channel, and how much it does not get."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

from hxp_enterprise_llm.event.streaming.encode import Message

SPAN = 65_536
"""Offsets that one stretch spans at most. So the work for a client is bounded by what it takes, however late it is."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Messages to be written in one piece, in the order of their offsets, and what was left out before the last."""

    messages: list[Message]
    left_out: int
    end: int
    """The cursor behind them."""


class Newest:
    """Gathers the messages of a stretch in their order; of each key the newest is kept."""

    __slots__ = ("_kept", "_seen")

    def __init__(self) -> None:
        self._kept: dict[Hashable, Message] = {}
        self._seen = array("q")

    def add(self, messages: Iterable[Message]) -> None:
        """Take in the next messages of the channel."""
        for message in messages:
            # Taken out and put in again: the order is that of the offsets.
            self._kept.pop(message.key, None)
            self._kept[message.key] = message
            self._seen.append(message.offset)

    def portions(self, most: int, end: int) -> Iterator[Portion]:
        """What is kept, about `most` bytes at a time; the last portion stands at `end`, the end of the stretch."""
        kept, begin, counted = list(self._kept.values()), 0, 0
        while begin < len(kept):
            count = chunk(kept[begin:], most)
            messages, begin = kept[begin : begin + count], begin + count
            seen = bisect_right(self._seen, messages[-1].offset)
            yield Portion(messages, seen - counted - count, end if begin == len(kept) else messages[-1].offset)
            counted = seen


def chunk(messages: list[Message], most: int) -> int:
    """How many of the first messages make up about so many bytes; at least one."""
    size = 0
    for count, message in enumerate(messages, 1):
        size += len(message.raw)
        if size >= most:
            return count
    return len(messages)
