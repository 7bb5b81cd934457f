"""`kill -9` at every n-th operation on the disk, or at random ones, in the life of one log."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.faults import shim
from tests.faults.power import ACKNOWLEDGED
from tests.faults.verdict import acknowledged, faults_of

_LONGEST_LIFE = 1500


class Kill(NamedTuple):
    """One end of a process: in which life, at which operation, and what was wrong then."""

    life: int
    after: int
    faults: list[str]


def kills(directory: Path, count: int, seed: int) -> Iterator[Kill]:
    """So many kills of processes that write the same log, one after the other."""
    rng = random.Random(seed)
    return kills_at(directory, (rng.randrange(1, _LONGEST_LIFE) for _ in range(count)))


def kills_at(directory: Path, points: Iterable[int], action: str = "kill", operations: str = "wsrtu") -> Iterator[Kill]:
    """A life for each point; `action` and `operations` are those of disk.c."""
    first = 0
    for life, point in enumerate(points):
        status = live(directory, first, f"{operations}:{point}:{action}")
        told = acknowledged((directory / ACKNOWLEDGED).read_text().splitlines())
        faults = faults_of(directory, told)
        if action == "kill" and status not in (-signal.SIGKILL, 0):
            faults.append(f"it ended with {status} instead of being killed")
        yield Kill(life, point, faults)
        # One more may be stored whose answer was under way.
        first = max(told.batches, default=-1) + 2


def live(directory: Path, first: int, fault: str, batches: int = 60) -> int:
    """Run the workload with a fault; answers how it ended."""
    directory.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.faults.workload", str(directory), str(first), str(batches)]
    environment = shim.environment(directory, fault=fault)
    return subprocess.run(command, cwd=shim.ROOT, env=environment, check=False, capture_output=True).returncode
