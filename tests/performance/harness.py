"""What every scenario uses: the load generator as a process, cores, clocks and memory of other processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import psutil

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache" / "bench"
SERVER_CORE, LOAD_CORE = 0, 1
CORES = frozenset(os.sched_getaffinity(0))
"""Those of the machine, before anything was kept on one of them."""
START_SECONDS = 30.0
PAGE = os.sysconf("SC_PAGE_SIZE")


class Missing(Exception):
    """A program that a scenario or a peer needs is not there."""

    def __init__(self, program: str) -> None:
        self.program = program
        super().__init__(program)

    def __str__(self) -> str:
        return f"{self.program} is not installed; scripts/bench-packages installs what the bench can use"


class Connected(msgspec.Struct):
    """What a load generator says when all its handshakes are over."""

    open: int
    refused: int
    first_refusal: str
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float


class Window(msgspec.Struct):
    """What all the subscribers saw since the last reset; `least`: the fewest messages that one had since the start."""

    seconds: float
    messages: int
    reads: int
    bytes: int
    lost: int
    repeated: int
    bad: int
    other: int
    closed: int
    open: int
    least: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    cpu: float

    def faults(self) -> str:
        """What must never happen, in words; empty when it did not."""
        counts = {name: getattr(self, name) for name in ("lost", "repeated", "bad", "closed")}
        return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)


def program(name: str) -> Path:
    """A C program of `load/`, compiled when its sources are newer. Raises Missing without gcc."""
    sources = HERE / "load"
    target = CACHE / name
    newest = max(path.stat().st_mtime for path in sources.iterdir())
    if not target.exists() or target.stat().st_mtime < newest:
        if shutil.which("gcc") is None:
            raise Missing("gcc")
        CACHE.mkdir(parents=True, exist_ok=True)
        made = target.with_suffix(f".{os.getpid()}")
        subprocess.run(["gcc", "-O2", "-o", made, sources / f"{name}.c", "-lz"], check=True)
        made.rename(target)
    return target


def pinned(core: int | None) -> Callable[[], None]:
    """For `preexec_fn`: keeps a child on one core where there are enough of them, or lets it use all.

    Never inherited: the one who starts it may be kept on a core itself.
    """
    cores = {core} if core is not None and {SERVER_CORE, LOAD_CORE} <= CORES else CORES
    return lambda: os.sched_setaffinity(0, cores)


class Load:
    """So many subscribers at one address, in a process of their own."""

    def __init__(self, port: int, path: str, connections: int, kind: str, at_once: int = 256) -> None:
        words = [str(program("wsload")), str(port), path, str(connections), kind, str(at_once)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, preexec_fn=pinned(LOAD_CORE))
        self._in, self._out = stream(self._process.stdin), stream(self._process.stdout)
        self.connections = connections
        self.pid = self._process.pid

    def connected(self) -> Connected:
        """Wait until every handshake is over."""
        return msgspec.json.decode(self._out.readline(), type=Connected)

    def opened(self) -> Connected:
        """Wait until every connection is open. Raises RuntimeError when one was refused."""
        found = self.connected()
        if found.open != self.connections:
            raise RuntimeError(f"{found.refused} of {self.connections} connections refused: {found.first_refusal}")
        return found

    def reset(self) -> None:
        self._say("reset")

    def report(self) -> Window:
        self._say("report")
        return msgspec.json.decode(self._out.readline(), type=Window)

    def arrived(self, count: int, within: float) -> Window:
        """The window once every subscriber has so many messages in all, or the time is over."""
        end = time.monotonic() + within
        while (window := self.report()).least < count and time.monotonic() < end:
            time.sleep(0.01)
        return window

    def _say(self, word: str) -> None:
        self._in.write(word + "\n")
        self._in.flush()

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._in.close()
        self._process.wait(30)
        self._out.close()


def stream(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@contextmanager
def child(words: list[str], core: int | None, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that is told to end, and killed when it does not."""
    process = subprocess.Popen(words, text=True, preexec_fn=pinned(core), **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def reachable(port: int, process: subprocess.Popen[str]) -> None:
    """Wait until somebody listens on a port. Raises RuntimeError when the process ends first."""
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"process {process.pid} does not listen on port {port}")


def family(pid: int) -> list[int]:
    """A process and what it has started."""
    return [pid, *(each.pid for each in psutil.Process(pid).children(recursive=True))]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Time on a core of all threads, to the microsecond."""
    return sum(map(_task_seconds, pids))


def _task_seconds(pid: int) -> float:
    try:
        return sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # a browser ends helpers of its own meanwhile


def resident_bytes(pids: Iterable[int]) -> int:
    """Memory that is in RAM, shared pages too."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * PAGE


def machine_seconds() -> float:
    """Time that all cores together were not idle since the machine started."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice + times.softirq + times.irq + times.steal)


class Foreign:
    """Cores that processes other than ours used: how much a measurement can be trusted."""

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self._pids = pids
        self._before = (time.monotonic(), machine_seconds(), cpu_seconds(pids()))

    def cores(self) -> float:
        begun, machine, own = self._before
        used = machine_seconds() - machine - (cpu_seconds(self._pids()) - own)
        return max(0.0, used / (time.monotonic() - begun))
