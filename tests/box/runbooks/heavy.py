"""Keeps a service from the processor for most of the time, until stopped. Standard library only.

python3 heavy.py UNIT          its first process, two thirds of the time
python3 heavy.py UNIT counting the one that counts, four fifths of the time
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

STOPPED, RUNS = {"first": 0.2, "counting": 0.4}, 0.1


def main(unit: str, which: str = "first") -> None:
    """As another program would that is served first."""
    shown = subprocess.run(["systemctl", "show", "--value", "-p", "MainPID", unit], capture_output=True, check=True)
    process = int(shown.stdout) if which == "first" else counting(int(shown.stdout))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        while True:
            os.kill(process, signal.SIGSTOP)
            time.sleep(STOPPED[which])
            os.kill(process, signal.SIGCONT)
            time.sleep(RUNS)
    finally:
        os.kill(process, signal.SIGCONT)


def counting(first: int) -> int:
    """The process beside the first one that follows the log."""
    children = map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())
    return next(child for child in children if b"aggregation" in Path(f"/proc/{child}/cmdline").read_bytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
