"""Answers that are worked out once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V]):
    """A dictionary that works out what it lacks and keeps it, for at most so many keys at a time.

    `memo.__getitem__` in a `map` answers a whole batch without a step of Python for what is known.
    """

    def __init__(self, work_out: Callable[[K], V], most: int) -> None:
        super().__init__()
        self._work_out, self._most = work_out, most

    def __missing__(self, key: K) -> V:
        answer = self._work_out(key)
        if len(self) >= self._most:
            self.clear()
        self[key] = answer
        return answer
