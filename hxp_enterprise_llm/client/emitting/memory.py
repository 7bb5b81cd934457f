"""Encoded events that wait in memory, oldest first, within bounds."""

from __future__ import annotations

from collections import deque


class Memory:
    """A queue of lines. Not for several threads at once: whoever shares it holds a lock."""

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events, self._max_bytes = max_events, max_bytes
        self._lines: deque[bytes] = deque()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def half_full(self) -> bool:
        """Whether it is time to make room."""
        return 2 * len(self._lines) >= self._max_events or 2 * self.bytes >= self._max_bytes

    def put(self, line: bytes) -> bool:
        """Add a line; False when there is no room for it."""
        if len(self._lines) >= self._max_events or self.bytes + len(line) > self._max_bytes:
            return False
        self._lines.append(line)
        self.bytes += len(line)
        return True

    def take(self, most_events: int, most_bytes: int) -> list[bytes]:
        """Remove the oldest lines, together within both bounds; one that is larger comes alone."""
        taken: list[bytes] = []
        size = 0
        while self._lines and len(taken) < most_events:
            size += len(self._lines[0])
            if taken and size > most_bytes:
                break
            taken.append(self._lines.popleft())
        self.bytes -= sum(map(len, taken))
        return taken
