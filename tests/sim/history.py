"""What happened in a run, as those saw it who took part: publishers, subscribers, those who ask how a service is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """Something that somebody did or saw."""

    at: float
    who: str
    what: str
    facts: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.at:10.4f}  {self.who:<12} {self.what:<10} {' '.join(map(str, self.facts))}"


class Got(NamedTuple):
    """An event as somebody received it."""

    epoch: str
    offset: int
    id: str
    type: str


@dataclass
class Reader:
    """What one subscriber received, in its order: events, and `None` where the service said `reset`."""

    name: str
    from_beginning: bool
    items: list[Got | None] = field(default_factory=list)
    arrivals: dict[str, float] = field(default_factory=dict)
    """Virtual time at which each id came first."""
    joined: float = 1e9
    """When its first connection stood."""
    stalled: float = 0.0
    """Until when it did not read, last."""
    connected: bool = False
    position: tuple[str, int] | None = None


@dataclass
class History:
    """The record of a run. Entries are in the order of virtual time."""

    entries: list[Entry] = field(default_factory=list)
    acknowledged: dict[str, tuple[str, int, float]] = field(default_factory=dict)
    """Event id → epoch, offset, and when the publisher knew."""
    order: dict[str, list[str]] = field(default_factory=dict)
    """Publisher → ids in the order in which they were acknowledged."""
    offered: set[str] = field(default_factory=set)
    """Every id that was ever sent."""
    readers: list[Reader] = field(default_factory=list)
    final: list[Got] = field(default_factory=list)
    """The whole log after everything."""
    healths: list[tuple[float, str, str]] = field(default_factory=list)
    """When a service was asked, which, and what it said; empty: it did not answer."""
    refusals: list[float] = field(default_factory=list)
    """When a publisher was told that nothing can be stored."""
    mended: float = 1e9
    """When every cause went away."""
    rested: bool = False
    """Whether everything came to rest at the end."""
    faults: list[tuple[float, float, str, str]] = field(default_factory=list)
    """From, until, kind and host of each fault that was done."""

    def add(self, at: float, who: str, what: str, *facts: Any) -> None:
        """Take note."""
        self.entries.append(Entry(at, who, what, facts))

    @property
    def digest(self) -> str:
        """The same for two runs in which the same happened at the same time."""
        text = "\n".join(map(str, self.entries))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def tail(self, count: int = 40) -> Sequence[str]:
        """The last lines, for people."""
        return [str(entry) for entry in self.entries[-count:]]
