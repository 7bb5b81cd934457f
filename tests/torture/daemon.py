"""A fault at every n-th operation that the whole daemon makes on its disk while it is under load."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.faults.lives import Lives

OPERATIONS = 800
"""A first life under load makes about so many."""
ACTIONS = ("kill", "short", "eio", "stay-eio", "stay-enospc", "part")
KINDS = (
    ("", "wsrtuc", OPERATIONS, ACTIONS),
    ("streaming", "wsrtuc", 100, ACTIONS),
    ("", "c", 24, ("kill", "eio", "emfile", "stay-emfile", "stay-enospc")),
)
"""Whose disk (all, or the gateway's store alone), which operations, how many there are, what happens there."""


async def torture(scratch: Path, every: int, say: Callable[[str], None]) -> int:
    """One of so many points, or each; two lives for a point, one of them the first, then the verdict."""
    failed = points = 0
    ends: Counter[str] = Counter()
    for below, operations, most, actions in KINDS:
        for point in range(random.randrange(min(every, most)) + 1, most + 1, every):
            for action in actions:
                broken = await _verdict(scratch / str(points), below, f"{operations}:{point}:{action}", ends)
                points += 1
                failed += bool(broken)
                if broken:
                    say(f"{below or 'all'}, {operations}:{point}:{action}: {'; '.join(broken)}")
    say(f"{ends.total():,} lives, {points:,} points, {failed:,} with a fault: {dict(sorted(ends.items()))}")
    return failed


async def _verdict(scratch: Path, below: str, fault: str, ends: Counter[str]) -> list[str]:
    lives, broken = Lives(scratch, below), []
    for _ in range(2):
        life = await lives.life(fault)
        broken += life.broken
        ends[f"{fault.rpartition(':')[2]}: {'went on' if life.status is None else life.status}"] += 1
    broken += await lives.settle()
    shutil.rmtree(scratch)
    return broken


def run(scratch: Path, every: int, say: Callable[[str], None]) -> int:
    """As `torture`, with a loop."""
    return asyncio.run(torture(scratch, every, say))
