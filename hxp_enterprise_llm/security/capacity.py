"""How many connections a process may hold, by the descriptors that it may open.

The system gives a new connection the lowest free number. So the number alone says how many descriptors are in use, by
whomever in the process, and nothing has to be counted when a connection ends.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable

SPARE = 256
"""Descriptors that are not for clients: files of the log and the store, connections to others, the reserve."""
RESERVE = 10
"""Connections from this host beyond the limit that may ask how the service is."""
LINGERING = 32
"""Connections beyond the limit that are being told so."""
LEAST = SPARE + 32
MOST_DESCRIPTORS = 1 << 20
"""More is not asked for: some containers would grant a thousand million."""
TOLD_SECONDS = 60.0
"""So long /health tells that somebody was turned away."""


class TooFewDescriptors(OSError):
    """The process may open too few files to serve anybody."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"the process may open {self.limit} files, at least {LEAST} are needed:"
            " raise it with `ulimit -n`, or LimitNOFILE= in the unit"
        )


def descriptor_limit() -> int:
    """How many descriptors the process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def raise_descriptor_limit() -> int:
    """Take as many descriptors as the system grants without asking; answers how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return descriptor_limit()


def open_descriptors() -> int:
    """How many descriptors the process has open."""
    return len(os.listdir("/proc/self/fd")) - 1  # the listing itself has one


class Capacity:
    """The limit of a process, and who was turned away because of it."""

    def __init__(self, limit: int, own: int, monotonic: Callable[[], float], turned_away: Callable[[], None]) -> None:
        """`limit`: descriptors that the process may have; `own`: those it has open before it serves anybody.

        `turned_away` is told of each who is. Raises TooFewDescriptors.
        """
        if limit < LEAST:
            raise TooFewDescriptors(limit)
        self.limit, self.most = limit, limit - SPARE
        self._end = self.most + min(own, SPARE // 2)
        self._monotonic, self._turned_away = monotonic, turned_away
        self._last: float | None = None

    def has_room(self, descriptor: int) -> bool:
        """Whether a connection with this descriptor is within the limit."""
        return descriptor < self._end

    def turn_away(self) -> None:
        """Count one who was not let in."""
        self._last = self._monotonic()
        self._turned_away()

    @property
    def full(self) -> bool:
        """Whether somebody was turned away within the last minute."""
        return self._last is not None and self._monotonic() - self._last < TOLD_SECONDS
