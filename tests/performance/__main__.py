"""`make bench`: every measurement, one after the other. Figures are for comparing within one run."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest


def main() -> int:
    here = Path(__file__).parent
    for script in sorted(here.glob("bench_*.py")):
        sys.stdout.write(f"\n== {script.stem}\n")
        sys.stdout.flush()
        runpy.run_path(str(script), run_name="__main__")
    return int(pytest.main([str(here), "-q", "-p", "no:cacheprovider", "--no-cov"]))


if __name__ == "__main__":
    sys.exit(main())
