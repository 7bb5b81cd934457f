"""Durable events a second through HTTP and SQLite: `python -m tests.performance.bench_ingest_http`.

The daemon is the one that ships. Another checkout may be measured in the same run for the ratio: `--against DIRECTORY`.
CPU time of the daemon is printed beside the rate, because it depends less on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
CASES = (("batches of 100, 8 connections", 8, 2000, 100), ("single events, 32 connections", 32, 15_000, 1))
START_SECONDS = 20
CONFIG = """
service: {host: 127.0.0.1, port: 0}
state: {directory: %s}
"""


@contextmanager
def daemon(checkout: Path) -> Iterator[tuple[int, psutil.Process]]:
    """`hxp serve processing` of a checkout: its port and its process."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "event-processing.yaml"
        config.write_text(CONFIG % (directory + "/state"))
        command = [sys.executable, "-m", "hxp_enterprise_llm.cli.main", "serve", "processing", "--config", str(config)]
        environ = {**os.environ, "PYTHONPATH": str(checkout)}
        written = Path(directory) / "stderr"
        with written.open("w") as stderr:
            running = subprocess.Popen(command, cwd=checkout, env=environ, stderr=stderr)
        try:
            yield _port(written, running), psutil.Process(running.pid)
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(30)


def _port(written: Path, running: subprocess.Popen[bytes]) -> int:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and running.poll() is None:
        if match := re.search(r"listener: opened .*port=(\d+)", written.read_text()):
            return int(match[1])
        time.sleep(0.02)
    raise RuntimeError(f"the daemon did not start:\n{written.read_text()}")


def measure(checkout: Path, connections: int, count: int, batch: int) -> tuple[float, float, float]:
    """Events a second; microseconds of CPU an event in the daemon; share of the time that the generator worked."""
    with daemon(checkout) as (port, process):
        command = [sys.executable, "-m", "tests.performance.posting"]
        arguments = map(str, (port, connections, count, batch))
        before = process.cpu_times()
        found = json.loads(subprocess.check_output([*command, *arguments], cwd=ROOT, timeout=120))
        after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return found["events"] / found["seconds"], 1e6 * used / found["events"], found["generator_cpu"] / found["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--against", type=Path)
    parser.add_argument("--case", default="", help="only cases whose name has this")
    asked, _ = parser.parse_known_args()
    checkouts = {"this": ROOT} | ({"other": asked.against.resolve()} if asked.against else {})
    for name, connections, count, batch in (case for case in CASES if asked.case in case[0]):
        runs = {
            label: [measure(path, connections, count, batch) for _ in range(3)] for label, path in checkouts.items()
        }
        best = {label: max(found) for label, found in runs.items()}
        for label, (rate, cpu, generator) in best.items():
            print(
                f"{name}, {label}: {rate:,.0f} events/s, {cpu:.2f} us of CPU an event; generator busy {generator:.0%}"
            )
        if "other" in best:
            print(f"{name}: {best['this'][0] / best['other'][0]:.2f} times the rate of the other checkout")


if __name__ == "__main__":
    main()
