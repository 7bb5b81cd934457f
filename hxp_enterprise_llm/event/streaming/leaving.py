"""How clients are sent away when a service stops: in random order and spread over time, so that they do not come back
all in the same moment."""

from __future__ import annotations

import math
import random as randomness
from collections.abc import Iterator, MutableSequence
from typing import TypeVar

STEP_SECONDS = 0.05
LEAST_PER_SECOND = 200
"""So few at a time hurt nobody: a service with few clients does not take the whole time to stop."""
GOODBYE_SECONDS = 2.0
"""How long the last ones may take to hear it."""

Item = TypeVar("Item")


def drain_time(wanted: float, within: float) -> float:
    """Seconds over which clients are sent away so that the goodbye of the last ends in time."""
    return max(0.0, min(wanted, within - GOODBYE_SECONDS))


def slices(items: MutableSequence[Item], seconds: float, random: randomness.Random) -> Iterator[MutableSequence[Item]]:
    """Each item once, in random order: those for each step of STEP_SECONDS, so that all had their turn in `seconds`.

    Shuffles `items`.
    """
    random.shuffle(items)
    steps = max(1, math.floor(seconds / STEP_SECONDS))
    size = max(1, math.ceil(len(items) / steps), round(LEAST_PER_SECOND * STEP_SECONDS))
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
