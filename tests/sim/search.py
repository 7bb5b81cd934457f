"""Seeds in all processors; what breaks is made small and told with the line that replays it."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

from tests.sim.plan import plan
from tests.sim.plants import planted
from tests.sim.run import Result, run
from tests.sim.shrink import replay_line, shrink

_SHOWN = 5


class Outcome(NamedTuple):
    """What a process says about a seed."""

    seed: int
    seconds: float
    virtual: float
    report: list[str]


def try_seed(seed: int, plant: str = "") -> Outcome:
    """Run a seed, and make it small when it breaks something."""
    begin = time.process_time()
    with planted(plant):
        result = run(plan(seed))
        report: list[str] = []
        if result.violations:
            numbers, smallest = shrink(result, run)
            report = [*_told(smallest), f"replay: {replay_line(numbers, smallest, plant)}"]
    return Outcome(seed, time.process_time() - begin, result.seconds, report)


def _told(result: Result) -> list[str]:
    faults = [f"fault: {fault}" for fault in result.plan.faults] or ["no fault is needed"]
    return [*(f"broken: {violation}" for violation in result.violations[:_SHOWN]), *faults]


def _settle() -> None:
    """What is imported stays: the collection at the end of each run passes it by."""
    gc.collect()
    gc.freeze()


def outcomes(first: int, count: int, processes: int, plant: str) -> Iterator[Outcome]:
    """The outcome of each seed, in their order."""
    seeds = range(first, first + count)
    with ProcessPoolExecutor(processes, get_context("spawn"), _settle) as pool:
        yield from pool.map(try_seed, seeds, [plant] * count, chunksize=4)
