"""Inputs by the thousand for one decoder: each ends in a value or in an exception that is declared, and soon.

The corpus grows by inputs that end in a new way. Time is CPU time, so that a busy machine finds nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import re
import signal
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.fuzz.mutate import mutated

SECONDS_EACH = 2.0
"""CPU time that one input may take."""
TRACED = 10
"""So many times as long while coverage is measured: it is told of each line."""
BYTES_EACH = 64 * 1024 * 1024
"""Memory that one input may take, beside a multiple of its length."""
BYTES_A_BYTE = 200
TURN_EVERY = 256
WEIGH_EVERY = 64
QUICK_SECONDS = 0.3
"""One in so many inputs is weighed, when it is quick: that takes a multiple of the time."""
MOST_CORPUS = 400
LEAK_BLOCKS = 20_000
_VARYING = re.compile(r"[0-9]+|'[^']*'|\"[^\"]*\"|`[^`]*`")


@dataclass(frozen=True)
class Target:
    """A decoder. `run` takes one input; `declared` are the exceptions that it may raise."""

    name: str
    run: Callable[[bytes], object]
    declared: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()
    share: float = 1.0
    """Of the inputs, where some decoders are slow."""


class TooLong(BaseException):
    """An input takes more CPU time than any may."""


@dataclass
class Outcome:
    """What came of a campaign."""

    name: str
    inputs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    heaviest: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        values = sum(count for end, count in self.ends.items() if end.startswith("value"))
        return (
            f"{self.name:24} {self.inputs:>9,} inputs  {values:>9,} values  {len(self.ends):>3} ends  "
            f"slowest {self.slowest * 1000:6.1f} ms  heaviest {self.heaviest / 1024:8,.0f} KiB  {self.seconds:6.1f} s"
        )


class Campaign:
    """One decoder and its corpus. Equal seeds make equal campaigns."""

    def __init__(self, target: Target, seed: int) -> None:
        self._target, self._chance = target, random.Random(f"{seed}/{target.name}")
        self._corpus = list(target.seeds)
        self._seen: set[str] = set()
        self.outcome = Outcome(target.name)

    async def run(self, count: int) -> Outcome:
        """Try the seeds and so many inputs; stops at the tenth finding."""
        begun = time.process_time()
        for data in self._target.seeds:
            self._try(data, weigh=True)
        settled = None
        for number in range(count):
            if number == count // 2 and count > 1000:
                settled = _blocks()
            if not number % TURN_EVERY:
                await asyncio.sleep(0)  # what a decoder left to the loop is done there
            self._try(
                mutated(self._chance, len(self._target.seeds), self._corpus, self._target.words),
                weigh=not number % WEIGH_EVERY,
            )
            if len(self.outcome.findings) >= 10:
                break
        else:
            grown = 0 if settled is None else _blocks() - settled
            if grown > LEAK_BLOCKS + 200 * MOST_CORPUS:
                self.outcome.findings.append(f"{self._target.name}: {grown:,} blocks more in use at the end")
        self.outcome.seconds = time.process_time() - begun
        return self.outcome

    def _try(self, data: bytes, *, weigh: bool) -> None:
        outcome, begun = self.outcome, time.process_time()
        end = self._end(data)
        taken = time.process_time() - begun
        outcome.inputs += 1
        outcome.slowest = max(outcome.slowest, taken)
        outcome.ends[end] += 1
        if weigh and taken < QUICK_SECONDS:
            self._weigh(data)
        if end not in self._seen:
            self._seen.add(end)
            if len(self._corpus) < MOST_CORPUS and len(data) < 4096:
                self._corpus.append(data)

    def _end(self, data: bytes) -> str:
        """How it ended, in words without what varies."""
        try:
            with _bounded():
                result = self._target.run(data)
            # A code or a truth tells inputs apart that all end well.
            return f"value {result}" if isinstance(result, int) else "value"
        except self._target.declared as error:
            return _VARYING.sub("…", f"{type(error).__name__}: {error}")[:120]
        except TooLong:
            self._find(data, f"took more than {SECONDS_EACH:g} s of CPU time")
            return "too long"
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of a compiled library is no Exception
            self._find(data, f"{type(error).__name__}: {error}")
            return f"undeclared {type(error).__name__}"

    def _weigh(self, data: bytes) -> None:
        """Once more, and how much memory it takes at most."""
        if tracemalloc.is_tracing():
            return
        tracemalloc.start()
        try:
            with contextlib.suppress(Exception):  # it has been told how this ends
                self._target.run(data)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.outcome.heaviest = max(self.outcome.heaviest, peak)
        if peak > BYTES_EACH + BYTES_A_BYTE * len(data):
            self._find(data, f"took {peak:,} bytes of memory")

    def _find(self, data: bytes, what: str) -> None:
        shown = repr(data) if len(data) <= 600 else f"{data[:300]!r} … {data[-200:]!r} ({len(data):,} bytes)"
        self.outcome.findings.append(f"{self._target.name}: {what[:300]}\n    {shown}")


def _blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


def _stop(*_: object) -> None:
    raise TooLong


@contextmanager
def _bounded() -> Iterator[None]:
    before = signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS_EACH * (TRACED if sys.gettrace() else 1))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
