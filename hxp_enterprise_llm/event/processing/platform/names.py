"""Names that events bring, in bounded number: the heaviest are told apart, the rest is one, `other`.

A name is folded into `other` only when twice as many as wanted have come; the heaviest of them stay. So a flood of
made-up names pushes out itself, not who has been at work for long. Totals over all names, `other` included, stay
exact; a name that comes back after it was folded begins anew. Below the bound the order of events does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from hashlib import blake2b
from typing import Generic, Protocol, Self, TypeVar

import msgspec

MAX_NAME = 160
"""Characters of a name that is kept; of longer ones the beginning and a digest."""
OTHER = "other"


class Weighed(Protocol):
    """What is kept for a name."""

    @property
    def weight(self) -> int:
        """How much there is to it, e.g. events."""
        ...

    def absorb(self, other: Self) -> None:
        """Add what another has."""
        ...


T = TypeVar("T", bound=Weighed)


class Kept(msgspec.Struct, Generic[T]):
    """Something for each of the heaviest names."""

    named: dict[str, T] = {}
    rest: T | None = None
    """What was folded, in one."""
    folded: int = 0
    """How often a name was folded."""

    def at(self, name: str, make: Callable[[], T], limit: int, pinned: Collection[str] = ()) -> T:
        """What is kept for a name, which is already clipped. `pinned` names are never folded."""
        found = self.named.get(name)
        if found is None:
            if len(self.named) >= 2 * limit:
                self._fold(limit, pinned)
            found = self.named[name] = make()
        return found

    def _fold(self, limit: int, pinned: Collection[str]) -> None:
        ranked = sorted(self.named.items(), key=lambda item: (item[0] not in pinned, -item[1].weight, item[0]))
        for name, each in ranked[max(limit, len(pinned)) :]:
            del self.named[name]
            self.folded += 1
            if self.rest is None:
                self.rest = each
            else:
                self.rest.absorb(each)

    def ranked(self, weight: Callable[[T], float] | None = None) -> list[tuple[str, T]]:
        """The names, the heaviest first."""
        weigh = weight or (lambda each: each.weight)
        return sorted(self.named.items(), key=lambda item: (-weigh(item[1]), item[0]))

    def everything(self) -> Iterator[T]:
        """All that is kept, `other` included."""
        yield from self.named.values()
        if self.rest is not None:
            yield self.rest

    def top(self, limit: int, make: Callable[[], T]) -> tuple[list[tuple[str, T]], T]:
        """The `limit` heaviest names, and everything else in one."""
        ranked = self.ranked()
        rest = make()
        for each in [each for _, each in ranked[limit:]] + ([self.rest] if self.rest is not None else []):
            rest.absorb(each)
        return ranked[:limit], rest


def clip(name: str) -> str:
    """A name of at most MAX_NAME characters; different names stay different."""
    if len(name) <= MAX_NAME:
        return name
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"{name[: MAX_NAME - 13]}…{digest}"


def bump(counts: dict[str, int], name: str, by: int = 1, most: int = 64) -> None:
    """Count a name among at most `most`; the rest is `other`."""
    if name not in counts and len(counts) >= most:
        name = OTHER
    counts[name] = counts.get(name, 0) + by


def merge(counts: dict[str, int], others: dict[str, int], most: int = 64) -> None:
    """Add counts to counts."""
    for name, by in others.items():
        bump(counts, name, by, most)
