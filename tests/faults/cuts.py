"""A run of the workload, recorded, and what is found after power cuts at many points of it."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.faults import shim
from tests.faults.power import Disk, Operation, read_trace
from tests.faults.verdict import acknowledged, faults_of, settle

BATCHES = 120


class Cut(NamedTuple):
    """One power cut: after which operation, by which seed, and what was wrong then."""

    after: int
    seed: int
    faults: list[str]


def record(scratch: Path, *flags: str, batches: int = BATCHES) -> tuple[Path, list[Operation]]:
    """Run the workload with its disk recorded; answers the directory and the operations."""
    root, trace = scratch / "disk", scratch / "trace"
    (root / "log").mkdir(parents=True)
    command = [sys.executable, "-m", "tests.faults.workload", str(root), "0", str(batches), *flags]
    subprocess.run(command, cwd=shim.ROOT, env=shim.environment(root, trace=trace), check=True, capture_output=True)
    return root, read_trace(trace)


def cuts(root: Path, operations: list[Operation], scratch: Path, count: int, seed: int) -> Iterator[Cut]:
    """So many cuts at random points; the same seed makes the same ones."""
    rng = random.Random(seed)
    points = sorted(rng.randrange(len(operations) + 1) for _ in range(count))
    disk, target, played = Disk(root), scratch / "cut", 0
    for number, point in enumerate(points):
        for operation in operations[played:point]:
            disk.play(operation)
        played = point
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        own = seed * 1_000_000 + number
        disk.after_cut(random.Random(own), target)
        settle(target)
        yield Cut(point, own, faults_of(target, acknowledged(disk.acknowledged)))
