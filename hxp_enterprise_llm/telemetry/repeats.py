"""Identical lines in a row of seconds are written once and counted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Repeated(NamedTuple, Generic[Key]):
    """A line that came `times` times more within `seconds` after it was written."""

    key: Key
    times: int
    seconds: float


class Repeats(Generic[Key]):
    """Decides which lines are written. Knows at most `size` lines; no timer, no thread."""

    def __init__(self, *, window: float = 10.0, size: int = 512) -> None:
        self._window, self._size = window, size
        # key: [time it was written, times it was held back since]; the oldest first.
        self._seen: OrderedDict[Key, list[float]] = OrderedDict()

    def admit(self, key: Key, now: float) -> bool:
        """Whether to write this line now (monotonic seconds). Call `due` first."""
        entry = self._seen.get(key)
        if entry is not None:
            entry[1] += 1
            return False
        self._seen[key] = [now, 0]
        return True

    def due(self, now: float) -> list[Repeated[Key]]:
        """Lines whose window is over, or that must make room, and that were held back; each is told once."""
        told = []
        while self._seen:
            key, (since, held) = next(iter(self._seen.items()))
            if now - since < self._window and len(self._seen) < self._size:
                break
            del self._seen[key]
            if held:
                told.append(Repeated(key, int(held), now - since))
        return told

    def rest(self, now: float) -> list[Repeated[Key]]:
        """Everything still held back, for the end of the process."""
        told = [Repeated(key, int(held), now - since) for key, (since, held) in self._seen.items() if held]
        self._seen.clear()
        return told
