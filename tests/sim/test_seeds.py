"""The program under the simulator: seeds repeat, hold all invariants, and find what is planted."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.sim.checks import check
from tests.sim.history import Got, History, Reader
from tests.sim.plan import Plan, plan
from tests.sim.plants import PLANTS, planted
from tests.sim.run import run
from tests.sim.shrink import kinds, replay_line, shrink

SEARCH = "from tests.sim.__main__ import main; sys.exit(main())"
PLANTED = ("--seeds=1", "--first=12", "--plant=ring_hole")
MOST_SEEDS = 40
"""Within so many seeds each planted fault is found."""
HAVE_FOUND = {"forget_identities": 8, "lying_health": 11, "ring_hole": 12, "trust_the_end": 11}
"""Where it is none of the very first: the seed that found a planted fault before, and is tried before all others."""


@pytest.mark.sim
def test_a_seed_holds_all_invariants(sim_seed):
    """`--sim-seeds N` says how many."""
    result = run(plan(sim_seed))
    assert not result.violations, f"replay: make sim SEED={sim_seed}"
    assert result.history.acknowledged


@pytest.mark.timeout(240)
def test_the_same_seed_is_the_same_history_and_another_is_another():
    """Five seeds, each twice."""
    digests = [run(plan(seed, readers=4)).history.digest for seed in range(200, 205)]
    assert digests == [run(plan(seed, readers=4)).history.digest for seed in range(200, 205)]
    assert len(set(digests)) == 5


@pytest.mark.timeout(240)
def test_a_search_runs_a_seed_as_a_replay_does():
    """In a child of a process that has run another one before."""
    _, replayed = in_its_own_process(SEARCH, "--seed=200")
    seconds = float(replayed.split()[-3])
    code, told = in_its_own_process(SEARCH, "--seeds=1", "--first=200")
    assert told.startswith(f"1 seeds from 200: 0 broken; {seconds:,.1f} virtual seconds")
    assert code == 0


@pytest.mark.timeout(240)
def test_a_search_makes_small_what_breaks_and_tells_of_a_child_that_dies():
    """A planted fault; a seed whose process is killed."""
    code, told = in_its_own_process(SEARCH, *PLANTED)
    assert "1 seeds from 12: 1 broken" in told
    assert "broken: I3" in told
    assert "replay: make sim SEED=12 FAULTS=none READERS=4 PLANT=ring_hole" in told
    assert code == 1
    _, told = in_its_own_process(
        "import os; from tests.sim.search import in_children;"
        "print(*in_children(lambda *_: os.kill(os.getpid(), 9), [7, 8], 1, ''))"
    )
    assert told.count("its process ended with -9") == 2


def in_its_own_process(program: str, *arguments: str) -> tuple[int, str]:
    """How it ended, and what it said. It has children, which must not be copies of a process with threads."""
    command = [sys.executable, "-c", f"import sys; {program}", *arguments]
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": ".", "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.strip()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_found_and_made_small(name):
    """The invariant that it breaks is named; what is left is no more than the seed had, and fails again."""
    with planted(name):
        for seed in (HAVE_FOUND.get(name, 1), *range(1, MOST_SEEDS + 1)):
            result = run(plan(seed, readers=4))
            if PLANTS[name][1] in kinds(result):
                break
        else:
            pytest.fail(f"{name} was not found in {MOST_SEEDS} seeds")
        numbers, smallest = shrink(result, run)
    assert kinds(smallest) & kinds(result)
    assert len(numbers) <= len(result.plan.faults)
    assert len(smallest.plan.faults) == len(numbers)
    line = replay_line(numbers, smallest, name)
    assert line.startswith(f"make sim SEED={seed}")
    assert line.endswith(f"PLANT={name}")
    assert run(smallest.plan).violations == []


def history() -> History:
    """Two events, acknowledged, in the log, and read by one reader."""
    made = History(rested=True)
    made.final = [Got("e", 1, "p0-0", "sim.tick"), Got("e", 2, "p0-1", "sim.tick")]
    made.acknowledged = {"p0-0": ("e", 1, 1.0), "p0-1": ("e", 2, 1.0)}
    made.order = {"p0": ["p0-0", "p0-1"]}
    made.offered = {"p0-0", "p0-1"}
    reader = Reader("r", from_beginning=True, joined=0.0)
    reader.items = list(made.final)
    reader.arrivals = {"p0-0": 1.1, "p0-1": 1.1}
    made.readers = [reader]
    made.healths = [(9.0, "processing", "healthy")]
    return made


def broken(made: History) -> set[str]:
    return {violation.split(" ", 1)[0] for violation in check(made, Plan(1))}


def test_the_checks_see_nothing_where_nothing_is():
    """A clean history is clean."""
    assert broken(history()) == set()


def _lose(made: History) -> None:
    made.final.pop()


def _double(made: History) -> None:
    made.final.append(Got("e", 3, "p0-1", "sim.tick"))


def _elsewhere(made: History) -> None:
    made.acknowledged["p0-1"] = ("e", 9, 1.0)


def _exchange(made: History) -> None:
    made.final = [made.final[1]._replace(offset=1), made.final[0]._replace(offset=2)]


def _two_meanings(made: History) -> None:
    made.readers[0].items[1] = Got("e", 2, "other", "sim.tick")


def _hole(made: History) -> None:
    made.final.insert(1, Got("e", 1, "x", "sim.tick"))
    made.final = [got._replace(offset=n) for n, got in enumerate(made.final, 1)]
    made.readers[0].items = [made.final[0], made.final[2]]
    made.acknowledged["p0-1"] = ("e", 3, 1.0)


def _again(made: History) -> None:
    made.readers[0].items.append(made.readers[0].items[-1])


def _baseless_reset(made: History) -> None:
    made.readers[0].items.insert(1, None)


def _late(made: History) -> None:
    made.readers[0].arrivals["p0-1"] = 8.0


def _alert_twice(made: History) -> None:
    made.final += [Got("e", 3, "a", "alert.firing"), Got("e", 4, "b", "alert.firing")]


def _alert_open(made: History) -> None:
    made.final.append(Got("e", 3, "a", "alert.firing"))


def _unwell(made: History) -> None:
    made.healths.append((10.0, "processing", "degraded"))


@pytest.mark.parametrize(
    ("spoil", "invariant"),
    [
        (_lose, "I1"),
        (_double, "I1"),
        (_elsewhere, "I1"),
        (_exchange, "I1"),
        (_two_meanings, "I2"),
        (_hole, "I3"),
        (_again, "I3"),
        (_baseless_reset, "I3"),
        (_late, "I5"),
        (_alert_twice, "I6"),
        (_alert_open, "I6"),
        (_unwell, "I7"),
    ],
)
def test_the_checks_see_what_is_broken(spoil, invariant):
    """Each invariant by the smallest history that breaks it."""
    made = history()
    spoil(made)
    assert invariant in broken(made)
