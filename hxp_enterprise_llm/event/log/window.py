"""The window of identities: which (source, id) are among the last N events and younger than W seconds.

It is a function of the log alone, so that whoever reads the log's tail recognises the same repeats. What was trimmed is
forgotten with the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from hxp_enterprise_llm.event.model import Offset

_AGED_RECORDS_A_CALL = 8
"""After a long pause a million identities may be old at once; forgetting them in slices keeps appends quick."""


class IdentityWindow:
    """Identities (16 bytes each) of recent events with the offset at which each was first stored.

    An identity is kept at least as long as it is among the last `max_events` and younger than `max_seconds`;
    whole records are forgotten, oldest first, so it may be recognised a little longer.
    """

    def __init__(self, max_events: int, max_seconds: float) -> None:
        self.max_events, self.max_seconds = max_events, max_seconds
        self._offsets: dict[bytes, Offset] = {}
        self._records: deque[tuple[float, Offset, Sequence[bytes]]] = deque()
        self._events = 0

    def __len__(self) -> int:
        return len(self._offsets)

    def find(self, identity: bytes) -> Offset | None:
        """The first offset of an event that is still recognised."""
        return self._offsets.get(identity)

    def knows_none(self, identities: Iterable[bytes]) -> bool:
        """Whether none of these events is recognised."""
        return self._offsets.keys().isdisjoint(identities)

    def add(self, identities: Sequence[bytes], offsets: Sequence[Offset], at: float) -> None:
        """Remember a record: its identities with their offsets, stored at wall-clock second `at`."""
        if not identities:
            return
        self._offsets.update(zip(identities, offsets, strict=True))
        self._records.append((at, offsets[-1], identities))
        self._events += len(identities)

    def expire(self, now: float) -> None:
        """Forget what is out of the window at wall-clock second `now`."""
        while self._records and self._events - len(self._records[0][2]) >= self.max_events:
            self._forget_oldest()
        for _ in range(_AGED_RECORDS_A_CALL):
            if not self._records or self._records[0][0] > now - self.max_seconds:
                return
            self._forget_oldest()

    def clear(self) -> None:
        """Forget everything."""
        self._offsets.clear()
        self._records.clear()
        self._events = 0

    def _forget_oldest(self) -> None:
        _, last, identities = self._records.popleft()
        self._events -= len(identities)
        for identity in identities:
            # The same identity may have been stored again, after its first time had left the window.
            if self._offsets.get(identity, last + 1) <= last:
                del self._offsets[identity]
