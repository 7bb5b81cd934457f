"""What all tests in boxes share: a machine that can boot one, and the wheels of the installation."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from tests.box import host
from tests.box.installing import ENVIRON, WHEELS, make


@pytest.fixture(autouse=True, scope="session")
def _a_machine_that_boots_boxes() -> None:
    """Without one nothing here can be tested: told plainly, and a failure where it is required (as on CI)."""
    if why := host.hindrance():
        told = pytest.fail if os.environ.get(host.REQUIRED) == "required" else pytest.skip
        told(f"tests/box cannot run on this machine: {why}")


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
