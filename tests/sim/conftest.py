"""`--sim-seeds N` and `--sim-first S`: which seeds a test with the argument `sim_seed` is run with."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simulator")
    group.addoption("--sim-seeds", type=int, default=10, help="how many seeds the simulator runs")
    group.addoption("--sim-first", type=int, default=1, help="the first of them")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sim_seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--sim-first", default=1)
        count = metafunc.config.getoption("--sim-seeds", default=10)
        metafunc.parametrize("sim_seed", range(first, first + count))
