"""Durable events a second through HTTP and SQLite: `python -m tests.performance.bench_ingest_http`.

The daemon is the one that ships. Another checkout may be measured in the same run for the ratio: `--against DIRECTORY`.
CPU time of the daemon is printed beside the rate, because it depends less on what else the machine does: first that of
the process that takes events in and has the log, then that of the one that follows and counts. The floors are those of
the reference machine of November 2026; beside them stands, scaled by a calibration in the same run, what they come to
here.
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
from http import HTTPStatus
from operator import truediv
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil

from tests.performance import pace
from tests.performance.report import Floor

ROOT = Path(__file__).parents[2]
CASES = (("batches of 100, 8 connections", 8, 2000, 100), ("single events, 32 connections", 32, 15_000, 1))
FLOORS = {100: 200_000, 1: 20_000}
"""Events a second, by the size of a batch."""
START_SECONDS = 60
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


class Run(NamedTuple):
    """One run; CPU is in microseconds an event."""

    rate: float
    """Events a second."""
    cpu: float
    counting_cpu: float
    generator: float
    """Share of the time that it worked."""


def measure(checkout: Path, connections: int, count: int, batch: int) -> Run:
    """Post so many requests to a daemon of its own."""
    with daemon(checkout) as (port, process):
        command = [sys.executable, "-m", "tests.performance.posting"]
        arguments = map(str, (port, connections, count, batch))
        _counted(port)
        before = _cpu_seconds(process)
        found = json.loads(subprocess.check_output([*command, *arguments], cwd=ROOT, timeout=120))
        _counted(port)
        after = _cpu_seconds(process)
    own, counting = (1e6 * (then - now) / found["events"] for then, now in zip(after, before, strict=True))
    return Run(found["events"] / found["seconds"], own, counting, found["generator_cpu"] / found["seconds"])


def _counted(port: int) -> None:
    """Wait for the process that counts, and for it to have counted what is in the log."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/analytics", timeout=START_SECONDS):
                return
        except HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > end:
                raise
        time.sleep(0.1)


def _cpu_seconds(process: psutil.Process) -> tuple[float, float]:
    """Of the process itself, and of those that it has started."""
    times = [sum(each.cpu_times()[:2]) for each in (process, *process.children())]
    return times[0], sum(times[1:])


def worth() -> pace.Pace:
    """What this machine is worth now."""
    with tempfile.TemporaryDirectory() as directory:
        return pace.measure(Path(directory))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--against", type=Path)
    parser.add_argument("--case", default="", help="only cases whose name has this")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each checkout (%(default)d)")
    asked, _ = parser.parse_known_args()
    machine = worth()
    print(machine.text())
    checkouts = {"this": ROOT} | ({"other": asked.against.resolve()} if asked.against else {})
    for name, connections, count, batch in (case for case in CASES if asked.case in case[0]):
        runs: dict[str, list[Run]] = {label: [] for label in checkouts}
        for _ in range(asked.rounds):
            # In turn: what else the machine does changes from minute to minute.
            for label, path in checkouts.items():
                runs[label].append(measure(path, connections, count, batch))
        for label, found in runs.items():
            best = max(found)
            print(
                f"{name}, {label}: {best.rate:,.0f} events/s, {best.cpu:.2f} us of CPU an event to take it in and "
                f"{best.counting_cpu:.2f} to count it; generator busy {best.generator:.0%}"
            )
        floor = Floor(name, max(runs["this"]).rate, FLOORS[batch], pace=machine.taking_in)
        print("floor {1}: {3}; scaled to this machine, which is no measurement: {4}: {5}".format(*floor.row()))
        if "other" in runs:
            rates = (max(found).rate for found in runs.values())
            cpus = (median(run.cpu for run in found) for found in runs.values())
            print(f"{name}: {truediv(*rates):.2f} times the rate and {truediv(*cpus):.2f} times the CPU of the other")


if __name__ == "__main__":
    main()
