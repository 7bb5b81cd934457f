"""python -m tests.sim: run seeds in all processors, or one again. `make sim` calls it."""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.sim.plan import Plan, plan
from tests.sim.plants import PLANTS, planted
from tests.sim.run import run
from tests.sim.search import outcomes


def replay(chosen: Plan, plant: str, whole: bool) -> int:
    """Run one plan and show what happened."""
    print(chosen)
    with planted(plant):
        result = run(chosen)
    for line in [str(entry) for entry in result.history.entries] if whole else result.history.tail(60):
        print(line)
    count = len(result.history.entries)
    print(f"history {result.history.digest}, {count:,} entries, {result.seconds:.1f} virtual seconds")
    for violation in result.violations:
        print(f"broken: {violation}")
    return 1 if result.violations else 0


def search(first: int, count: int, processes: int, plant: str) -> int:
    """Run many seeds; answers how many broke something."""
    begin, broken, spent, virtual = time.perf_counter(), 0, 0.0, 0.0
    for number, outcome in enumerate(outcomes(first, count, processes, plant), 1):
        spent, virtual = spent + outcome.seconds, virtual + outcome.virtual
        if outcome.report:
            broken += 1
            print(f"\rseed {outcome.seed}", *outcome.report, sep="\n  ")
        if sys.stderr.isatty():
            print(f"\r{number}/{count} seeds, {broken} broken", end="", file=sys.stderr)
    took = time.perf_counter() - begin
    print(
        f"\r{count:,} seeds from {first}: {broken} broken; {virtual:,.1f} virtual seconds,"
        f" {took:.1f} s, {spent / max(count, 1):.2f} s of processor time a seed"
    )
    return broken


def main() -> int:
    """0 when nothing is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, help="run this one seed and show what happened")
    parser.add_argument("--faults", default="", help="only these faults of it: numbers with commas, or none")
    parser.add_argument("--readers", type=int, default=0, help="only so many readers")
    parser.add_argument("--plant", default="", choices=["", *PLANTS], help="plant a fault in the program")
    parser.add_argument("--all", action="store_true", help="show all that happened, not only the end")
    asked = parser.parse_args()
    if asked.seed is None:
        return 1 if search(asked.first, asked.seeds, asked.processes, asked.plant) else 0
    chosen = plan(asked.seed, asked.readers) if asked.readers else plan(asked.seed)
    if asked.faults:
        chosen = chosen.keeping(tuple(int(n) for n in asked.faults.split(",") if n != "none"))
    return replay(chosen, asked.plant, asked.all)


if __name__ == "__main__":
    sys.exit(main())
