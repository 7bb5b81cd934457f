"""Seeds in all processors; what breaks is made small and told with the line that replays it.

One process takes the program in, runs a seed to warm its caches, and then has a child of its own for each seed: every
run begins in the same state, and nothing that a run leaves behind has to be cleared away.
"""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import wait
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


Work = Callable[[int, str], Outcome]


def try_seed(seed: int, _plant: str) -> Outcome:
    """Run a seed as the last thing that its process does."""
    begin = time.process_time()
    result = run(plan(seed), last=True)
    return Outcome(seed, time.process_time() - begin, result.seconds, [*map(_broken, result.violations)])


def make_small(seed: int, plant: str) -> Outcome:
    """Run a seed that breaks something again and again, each time with less."""
    begin = time.process_time()
    result = run(plan(seed))
    numbers, smallest = shrink(result, run)
    report = [*_told(smallest), f"replay: {replay_line(numbers, smallest, plant)}"]
    return Outcome(seed, time.process_time() - begin, result.seconds, report)


def _told(result: Result) -> list[str]:
    faults = [f"fault: {fault}" for fault in result.plan.faults] or ["no fault is needed"]
    return [*map(_broken, result.violations[:_SHOWN]), *faults]


def _broken(violation: str) -> str:
    return f"broken: {violation}"


def outcomes(first: int, count: int, processes: int, plant: str) -> Iterator[Outcome]:
    """The outcome of each seed, in their order."""
    with planted(plant):
        _warm(first)
        for outcome in in_children(try_seed, range(first, first + count), processes, plant):
            yield from in_children(make_small, [outcome.seed], 1, plant) if outcome.report else [outcome]


def _warm(seed: int) -> None:
    """Fill the caches of libraries. What is there now stays: collections pass it by."""
    run(plan(seed, readers=4))
    gc.collect()
    gc.freeze()


def in_children(work: Work, seeds: Iterable[int], most: int, plant: str) -> Iterator[Outcome]:
    """What a child for each seed answers, in the order of the seeds; so many children at a time."""
    left, running, answered = iter(seeds), dict[object, _Child](), dict[int, Outcome]()
    order = deque[int]()
    while True:
        for seed in islice(left, most - len(running)):
            child = _Child(work, seed, plant)
            running[child.answers] = child
            order.append(seed)
        if not order:
            return
        for connection in wait([child.answers for child in running.values()]):
            child = running.pop(connection)
            answered[child.seed] = child.answer()
        while order and order[0] in answered:
            yield answered.pop(order.popleft())


class _Child:
    """A process of its own for one seed."""

    def __init__(self, work: Work, seed: int, plant: str) -> None:
        context = get_context("fork")
        self.seed = seed
        self.answers, answers = context.Pipe(duplex=False)
        self._process = context.Process(target=lambda: answers.send(work(seed, plant)))
        self._process.start()
        answers.close()

    def answer(self) -> Outcome:
        """What it said; that it has died is told as well."""
        try:
            outcome: Outcome = self.answers.recv()
        except EOFError:
            self._process.join()
            outcome = Outcome(self.seed, 0.0, 0.0, [f"broken: its process ended with {self._process.exitcode}"])
        self._process.join()
        self.answers.close()
        return outcome
