"""Connections counted over all processes, in memory that they share: the sum never exceeds a limit."""

from __future__ import annotations

import fcntl
import mmap
import os

from hxp_enterprise_llm.event.streaming.limits import PAGES, TITLES

_TRANSPORTS: dict[str, int] = {counted: place for place, counted in enumerate((*TITLES, PAGES))}
_WORD = 8


class SharedCounts:
    """A row of counters for each process. `own` is the row that this process writes; it reads them all."""

    def __init__(self, handle: int, own: int) -> None:
        """`handle` is the descriptor of `create`, in this process or inherited."""
        self.handle, self._own = handle, own
        self._map = mmap.mmap(handle, os.fstat(handle).st_size)
        self._words = memoryview(self._map).cast("q")

    @classmethod
    def create(cls, processes: int) -> SharedCounts:
        """Counters for so many processes, seen from the first one."""
        handle = os.memfd_create("connections")
        os.ftruncate(handle, processes * len(_TRANSPORTS) * _WORD)
        return cls(handle, 0)

    def enter(self, transport: str, limit: int) -> bool:
        """Count one in, unless all processes together are at the limit."""
        # Two processes may ask at the same moment for the last place. The kernel frees the lock of one that dies.
        fcntl.lockf(self.handle, fcntl.LOCK_EX)
        try:
            free = self.total(transport) < limit
            if free:
                self._words[self._place(self._own, transport)] += 1
            return free
        finally:
            fcntl.lockf(self.handle, fcntl.LOCK_UN)

    def leave(self, transport: str) -> None:
        """Count one out."""
        self._words[self._place(self._own, transport)] -= 1

    def total(self, transport: str) -> int:
        """Connections of all processes."""
        return sum(self._words.tolist()[_TRANSPORTS[transport] :: len(_TRANSPORTS)])

    def clear(self, process: int) -> None:
        """A process is gone, and its connections with it."""
        for transport in _TRANSPORTS:
            self._words[self._place(process, transport)] = 0

    def _place(self, process: int, transport: str) -> int:
        return process * len(_TRANSPORTS) + _TRANSPORTS[transport]

    def close(self) -> None:
        """Let go of the memory. Idempotent."""
        if self.handle >= 0:
            self._words.release()
            self._map.close()
            os.close(self.handle)
            self.handle = -1
