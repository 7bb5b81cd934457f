"""Keeps a service from the processor two thirds of the time, until stopped. Standard library only.

python3 heavy.py UNIT
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time


def main(unit: str) -> None:
    """As another program would that is served first."""
    shown = subprocess.run(["systemctl", "show", "--value", "-p", "MainPID", unit], capture_output=True, check=True)
    process = int(shown.stdout)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        while True:
            os.kill(process, signal.SIGSTOP)
            time.sleep(0.2)
            os.kill(process, signal.SIGCONT)
            time.sleep(0.1)
    finally:
        os.kill(process, signal.SIGCONT)


if __name__ == "__main__":
    main(sys.argv[1])
