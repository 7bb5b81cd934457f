"""`make bench`: the product beside its peers. `python -m tests.performance [SCENARIO…]` runs only what is named.

A run of all scenarios writes `docs/benchmarks.md`. The smaller benches of single rooms are scenarios too, by the name
behind `bench_`; they print and are no part of the page.
"""

from __future__ import annotations

import argparse
import runpy
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median

import pytest

from tests.performance import report
from tests.performance.harness import LOAD_CORE, ROOT, Missing, pinned
from tests.performance.page import SECONDS, page
from tests.performance.profile import profile
from tests.performance.scenarios import SCENARIOS
from tests.performance.servers import raise_file_limit

HERE = Path(__file__).parent
BENCHES = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
ALL = SCENARIOS | {"page": page, "profile": profile}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.performance", description=__doc__)
    parser.add_argument("scenario", nargs="*", help=f"of {', '.join([*ALL, *BENCHES])}; none: all")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long `page` is looked at (%(default)g)")
    given = parser.parse_args()
    asked = given.scenario
    # Told to end, it must end what it has started.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    unknown = set(asked) - set(ALL) - set(BENCHES)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    scenarios = ALL | {"page": partial(page, seconds=given.seconds)}
    tables, foreign = compare({name: each for name, each in scenarios.items() if name in asked or not asked})
    if not asked:
        report.PAGE.write_text(report.page(tables, foreign))
        print(f"written: {report.PAGE.relative_to(ROOT)}")
    for name in BENCHES:
        if name in asked or not asked:
            bench(name)
    return 0 if asked else int(pytest.main([str(HERE), "-q", "-p", "no:cacheprovider", "--no-cov"]))


def compare(scenarios: Mapping[str, Callable[[Path], report.Table]]) -> tuple[list[report.Table], float]:
    """Run scenarios; their tables, and the cores that others used in the median one."""
    raise_file_limit()
    pinned(LOAD_CORE)()
    tables, shares = [], [0.0]
    for name, scenario in scenarios.items():
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            try:
                table = scenario(Path(directory))
            except Missing as missing:
                print(f"{name} left out: {missing}", file=sys.stderr)
                continue
        print(table.text())
        for floor in table.floors:
            print(" · ".join(floor.row()))
        print(f"{name}: {time.monotonic() - begun:.0f} s\n", flush=True)
        tables.append(table)
        shares += [table.foreign] if table.foreign else []
    pinned(None)()
    return tables, median(shares[1:] or shares)


def bench(name: str) -> None:
    """One bench of a single room, as a program of its own."""
    print(f"\n== {BENCHES[name].stem}", flush=True)
    kept, sys.argv = sys.argv, [str(BENCHES[name])]
    try:
        runpy.run_path(str(BENCHES[name]), run_name="__main__")
    finally:
        sys.argv = kept


if __name__ == "__main__":
    sys.exit(main())
