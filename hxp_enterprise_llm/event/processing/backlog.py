"""Events that wait to be taken in together.

A batch costs something for each accumulator and each label set in it, however few events it has: by the hundred, as
senders send them, that is half of the work. So the cores gather small batches and take them in as one, at the latest
when somebody asks.
"""

from __future__ import annotations

from hxp_enterprise_llm.event.log.columns import StoredColumns

ENOUGH_EVENTS = 1024
"""Larger batches cost hardly less an event, and keep whoever shares the core waiting."""
_ENOUGH_BYTES = 4 * 1024 * 1024
"""What waits is held in memory, and the log may have let go of it."""


class Backlog:
    """Batches in the order of the log."""

    def __init__(self) -> None:
        self._parts: list[StoredColumns] = []
        self._events = self._bytes = 0

    def add(self, events: StoredColumns) -> bool:
        """Let events wait; answers whether there are enough of them now."""
        self._parts.append(events)
        self._events += len(events)
        self._bytes += sum(map(len, events.raws))
        return self._events >= ENOUGH_EVENTS or self._bytes >= _ENOUGH_BYTES

    @property
    def size(self) -> int:
        """Bytes of those that wait."""
        return self._bytes

    def drain(self) -> StoredColumns | None:
        """All that wait, as one batch; None when there are none."""
        parts, self._parts = self._parts, []
        self._events = self._bytes = 0
        return StoredColumns.joined(parts) if parts else None
