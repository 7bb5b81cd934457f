"""How CrewAI's events hang together: what began when, inside what, and for which agent. Bounded; never awaits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Begun:
    """Something that has begun, by the event that said so. `agent` and `task` where it is an agent's run."""

    id: str
    parent: str
    at: float
    agent: str = ""
    task: str = ""


class Lineage:
    """Begun work by the id of its event; the oldest is forgotten beyond `most`."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._begun: OrderedDict[str, Begun] = OrderedDict()

    def __len__(self) -> int:
        return len(self._begun)

    def add(self, begun: Begun) -> None:
        """Something begins."""
        self._begun[begun.id] = begun
        if len(self._begun) > self._most:
            self._begun.popitem(last=False)

    def get(self, id: str) -> Begun | None:
        """What began with this event."""
        return self._begun.get(id)

    def run_around(self, id: str) -> Begun | None:
        """The run of an agent that the event belongs to, itself included."""
        for begun in self._upwards(id):
            if begun.agent:
                return begun
        return None

    def root(self, id: str) -> str:
        """The outermost event around it, such as the kick-off of the crew; itself when nothing is known."""
        root = id
        for begun in self._upwards(id):
            root = begun.id
        return root

    def _upwards(self, id: str) -> Iterator[Begun]:
        seen = 0
        while id and seen < 100:  # a circle would be a fault of somebody else's; it is not followed for ever
            begun = self._begun.get(id)
            if begun is None:
                return
            yield begun
            id, seen = begun.parent, seen + 1
