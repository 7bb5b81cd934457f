"""What all tests in boxes share: a machine that can boot one, and the wheels of the installation."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from tests.box import host
from tests.box.installing import ENVIRON, WHEELS, make

HERE = Path(__file__).parent
HINDRANCE = pytest.StashKey[str]()
"""Why this machine boots no box; empty when it does."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[HINDRANCE] = host.hindrance()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a machine that boots boxes nothing here can be tested: left out and told, unless it is required."""
    ours = [item for item in items if item.path.parent == HERE]
    if config.stash[HINDRANCE] and ours and os.environ.get(host.REQUIRED) != "required":
        items[:] = [item for item in items if item not in ours]
        config.hook.pytest_deselected(items=ours)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if why := config.stash[HINDRANCE]:
        terminalreporter.section("no real systemd")
        terminalreporter.line(f"tests/box was left out, this machine cannot boot a box: {why}")


@pytest.fixture(autouse=True, scope="session")
def _a_machine_that_boots_boxes(request: pytest.FixtureRequest) -> None:
    """Where they are required, as on CI, a machine without boxes is a failure."""
    if why := request.config.stash[HINDRANCE]:
        pytest.fail(f"tests/box cannot run on this machine: {why}")


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that the box sees at /share."""
    return tmp_path_factory.mktemp("share")


@pytest.fixture(scope="session")
def wheels() -> Path:
    """What an installation without a network needs; fetched once, however many processes run tests."""
    WHEELS.mkdir(parents=True, exist_ok=True)
    with (WHEELS.parent / "wheels.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fetched = subprocess.run(make("wheels"), env=ENVIRON, capture_output=True, text=True, check=False)
        assert fetched.returncode == 0, fetched.stdout + fetched.stderr
    return WHEELS
