"""The Makefile's own targets, as a user has them, outside of a box and in it."""

from __future__ import annotations

import os

from tests.box.box import ROOT, Box

WHEELS = ROOT / "build" / "wheels"
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "COV"))}


def make(*arguments: str) -> list[str]:
    """A target for this machine's own Python, with the wheels that are there."""
    return ["make", "--silent", f"--directory={ROOT}", "PYTHON=/usr/bin/python3", f"WHEELS={WHEELS}", *arguments]


def install(box: Box) -> str:
    """`make install` in the box, which has no network; answers what it says."""
    return box.run("make --silent -C /src install PYTHON=/usr/bin/python3 WHEELS=/src/build/wheels", within=200)
