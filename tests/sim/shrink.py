"""A failing run made small: fewer faults, fewer readers, and the line that replays what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.sim.plan import Plan, plan
from tests.sim.run import Result

Runner = Callable[[Plan], Result]
_READERS = (2, 4, 8)


def kinds(result: Result) -> set[str]:
    """The invariants that a run broke: `I1`, `unhandled:` …"""
    return {violation.split(" ", 1)[0] for violation in result.violations}


def shrink(result: Result, run: Runner) -> tuple[tuple[int, ...], Result]:
    """The fewest faults found with which the same invariant breaks: their numbers, and that run.

    First the shortest prefix, then each fault left out in turn, then fewer readers.
    """
    whole, wanted = result.plan, kinds(result)

    def still(candidate: Plan) -> Result | None:
        tried = run(candidate)
        return tried if kinds(tried) & wanted else None

    numbers = tuple(range(len(whole.faults)))
    for length in range(len(numbers)):
        if tried := still(whole.keeping(numbers[:length])):
            numbers, result = numbers[:length], tried
            break
    for number in numbers:
        fewer = tuple(kept for kept in numbers if kept != number)
        if fewer != numbers and (tried := still(whole.keeping(fewer))):
            numbers, result = fewer, tried
    for readers in _READERS:
        if readers < whole.readers and (tried := still(replace(whole.keeping(numbers), readers=readers))):
            return numbers, tried
    return numbers, result


def replay_line(numbers: tuple[int, ...], result: Result, plant: str = "") -> str:
    """The command that runs this again."""
    found = result.plan
    parts = [f"make sim SEED={found.seed}"]
    if len(plan(found.seed).faults) != len(numbers):
        parts.append(f"FAULTS={','.join(map(str, numbers)) or 'none'}")
    if found.readers != plan(found.seed).readers:
        parts.append(f"READERS={found.readers}")
    return " ".join([*parts, *([f"PLANT={plant}"] if plant else [])])
