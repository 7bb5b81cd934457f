"""Each says its figures, and fails on a finding.

python -m tests.torture cuts COUNT | flips EVERY | kills COUNT | decoders COUNT | frames COUNT [SEED] |
    endpoints COUNT | faults EVERY | siege TIMES | slow CONNECTIONS | partition HEARTBEAT |
    notifications KILLS [SEED] | load SECONDS [RATE]
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import structlog

from tests.faults import cuts, flips, kills, tellings
from tests.fuzz import frames
from tests.fuzz.endpoints import all_endpoints
from tests.fuzz.targets import campaigns
from tests.integration.daemon import Daemon
from tests.torture import attacks, daemon, load

_CUTS_A_RUN = 1000
_KILLS_A_LINE, _FLIPS_A_LINE = 100, 25_000


def torture_cuts(count: int) -> int:
    """Power cuts, a new recording for each thousand."""
    failed = done = 0
    while done < count:
        with tempfile.TemporaryDirectory() as scratch:
            root, operations = cuts.record(Path(scratch))
            for cut in cuts.cuts(root, operations, Path(scratch), min(_CUTS_A_RUN, count - done), seed=done + 1):
                done += 1
                failed += bool(cut.faults)
                if cut.faults:
                    say(f"after operation {cut.after}, seed {cut.seed}: {'; '.join(cut.faults)}")
    say(f"{done:,} power cuts, {failed:,} with a fault")
    return failed


def torture_flips(every: int) -> int:
    """Each bit of a small log and its write-ahead file, or one of so many."""
    with tempfile.TemporaryDirectory() as scratch:
        original = flips.make_original(Path(scratch) / "original")
        start = random.randrange(every)
        bits = ((name, bit) for name, size in original.files() for bit in range(start % every, size, every))
        outcomes: Counter[str] = Counter()
        for flip in flips.flips(original, Path(scratch), bits):
            outcomes[flip.outcome if flip.outcome in ("same", "reported") else "silent"] += 1
            if flip.outcome not in ("same", "reported"):
                say(f"{flip.file}, bit {flip.bit}: {flip.outcome}")
            if outcomes.total() % _FLIPS_A_LINE == 0:
                say(f"{outcomes.total():,} so far")
    say(f"{outcomes.total():,} flips: {dict(outcomes)}")
    return outcomes["silent"]


def torture_kills(count: int) -> int:
    """`kill -9` at random moments of one log's life."""
    with tempfile.TemporaryDirectory() as scratch:
        failed = 0
        for kill in kills.kills(Path(scratch), count, seed=int(time.time())):
            failed += bool(kill.faults)
            if (kill.life + 1) % _KILLS_A_LINE == 0:
                say(f"{kill.life + 1:,} so far, {failed:,} with a fault")
            if kill.faults:
                say(f"after operation {kill.after} of life {kill.life}: {'; '.join(kill.faults)}")
    say(f"{count:,} kills, {failed:,} with a fault")
    return failed


def torture_decoders(count: int) -> int:
    """So many inputs over all decoders together."""
    return asyncio.run(campaigns(count, int(time.time()), say))


def torture_frames(count: int, seed: int | None = None) -> int:
    """So many frames of WebSocket clients, cut and mutated; no memory may be left behind."""
    return asyncio.run(frames.run(count, int(time.time()) if seed is None else seed))


def torture_endpoints(examples: int) -> int:
    """So many requests for each endpoint by its OpenAPI document, and those of schemathesis' other phases."""
    return asyncio.run(all_endpoints(examples, int(time.time()), say))


def torture_faults(every: int) -> int:
    """A fault at each n-th operation of the whole daemon on its disk, or at one of so many."""
    with tempfile.TemporaryDirectory() as scratch:
        return daemon.run(Path(scratch), every, say)


def torture_siege(times: int) -> int:
    """Bombs, slow lorises and silent readers against a daemon with a stream; its p99 counts here."""
    return attacks.sieges(times, say)


def torture_slow(connections: int) -> int:
    """slowhttptest with so many connections in each of its modes."""
    return attacks.slow_clients(connections, say)


def torture_partition(heartbeat: int) -> int:
    """Clients behind a network that carries nothing any more; heartbeats so many seconds apart."""
    return attacks.partition(heartbeat, say)


def torture_notifications(count: int, seed: int | None = None) -> int:
    """The daemon killed so often between a condition and those who are told of it."""
    chosen = int(time.time()) if seed is None else seed
    say(f"seed {chosen}")
    with tempfile.TemporaryDirectory() as scratch:
        verdicts = asyncio.run(tellings.tellings(Path(scratch), count, chosen, Daemon, say))
    found = tellings.total(verdicts)
    say(f"together: {tellings.words(found)}")
    return len(found.faults)


def torture_load(seconds: int, rate: int = load.RATE) -> int:
    """A steady load for so long; memory that grows in the second half is a finding."""
    return load.run(seconds, say, rate)


def say(line: str) -> None:
    """A line at once, also into a file."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


RUNS = {
    "cuts": (torture_cuts, 10_000),
    "flips": (torture_flips, 1),
    "kills": (torture_kills, 1000),
    "decoders": (torture_decoders, 1_000_000),
    "frames": (torture_frames, 1_000_000),
    "endpoints": (torture_endpoints, 500),
    "faults": (torture_faults, 1),
    "siege": (torture_siege, 3),
    "slow": (torture_slow, 1000),
    "partition": (torture_partition, 30),
    "notifications": (torture_notifications, 200),
    "load": (torture_load, 3600),
}


def main(name: str, *numbers: str) -> int:
    """Run one of them."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50), logger_factory=_silent)
    run, usual = RUNS[name]
    begun = time.monotonic()
    failed = run(*map(int, numbers or (str(usual),)))
    say(f"in {time.monotonic() - begun:,.0f} s")
    return 1 if failed else 0


def _silent(*_: object) -> object:
    return structlog.testing.ReturnLogger()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in RUNS:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
