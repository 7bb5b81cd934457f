"""Appends that wait for their commit: bounded, first come first served, joined into groups.

Both the loop and the thread that commits use the queue, so a lock is around whatever it does.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from hxp_enterprise_llm.event.log.model import Appended, Limits, LogUnavailable
from hxp_enterprise_llm.event.model import Encoded

_GROUP_EVENTS = 16_384
_GROUP_BYTES = 8 * 1024 * 1024
"""A commit takes no more than this, or one append: it bounds the wait of those that come after."""


class Waiting(NamedTuple):
    """An append that is not yet answered."""

    events: Sequence[Encoded]
    size: int
    answer: asyncio.Future[Sequence[Appended]]
    within: float = math.inf
    """Seconds that the appender waits."""
    until: float = math.inf
    """Time of the loop at which they are over."""


class AppendQueue:
    """Appends in order of arrival, at most a few batches of the largest kind.

    More would only wait for their deadlines, and the memory would be gone.
    """

    def __init__(self, limits: Limits) -> None:
        self._max_events = 16 * limits.max_batch_events
        self._max_bytes = 2 * limits.max_batch_bytes
        self._lock = threading.Lock()
        self._waiting: deque[Waiting] = deque()
        self._taken: list[Waiting] = []
        self._events = self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, waiting: Waiting) -> None:
        """Queue an append. Raises LogUnavailable when too much waits already."""
        with self._lock:
            events, size = self._events + len(waiting.events), self._bytes + waiting.size
            if self._waiting and (events > self._max_events or size > self._max_bytes):
                reason = f"overload: {self._events:,} events, {self._bytes:,} bytes wait to be stored"
                raise LogUnavailable(reason, maybe_stored=False)
            self._waiting.append(waiting)
            self._events, self._bytes = events, size

    def withdraw(self, waiting: Waiting) -> bool:
        """Take an append back; False when its commit has begun."""
        with self._lock:
            return self._withdraw(waiting)

    def _withdraw(self, waiting: Waiting) -> bool:
        for index, other in enumerate(self._waiting):
            if other is waiting:
                del self._waiting[index]
                self._count_off(waiting)
                return True
        return False

    def expired(self, now: float) -> tuple[list[Waiting], list[Waiting]]:
        """Those whose time is over: some are taken back, of the others the commit has begun."""
        with self._lock:
            found = [waiting for waiting in self._waiting if waiting.until <= now]
            for waiting in found:
                self._withdraw(waiting)
            return found, [waiting for waiting in self._taken if waiting.until <= now]

    def next_deadline(self, now: float) -> float:
        """When the first of those that wait will have waited long enough; infinite when there is none."""
        with self._lock:
            return min((each.until for each in (*self._waiting, *self._taken) if each.until > now), default=math.inf)

    def take(self) -> list[Waiting]:
        """The next group to commit, at least one append if there is one. The one before has been committed then."""
        with self._lock:
            group = self._taken = []
            events = size = 0
            while self._waiting:
                events += len(self._waiting[0].events)
                size += self._waiting[0].size
                if group and (events > _GROUP_EVENTS or size > _GROUP_BYTES):
                    break
                group.append(self._waiting.popleft())
                self._count_off(group[-1])
            return group

    def _count_off(self, waiting: Waiting) -> None:
        self._events -= len(waiting.events)
        self._bytes -= waiting.size
