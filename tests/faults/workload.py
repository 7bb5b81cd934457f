"""A log that is written without a loop, one batch after the other, so that a run can be recorded and broken.

`python -m tests.faults.workload DIRECTORY FIRST BATCHES [normal]`: numbered batches are committed to DIRECTORY/log, and
each is noted in DIRECTORY/acknowledged once it is. With `normal` SQLite does not sync each commit. It ends with 70 when
the log fails for good, and with 73 when it cannot be opened.
"""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from hxp_enterprise_llm.event.log.model import LogError, LogFull
from hxp_enterprise_llm.event.log.sqlite import store as store_module
from hxp_enterprise_llm.event.log.sqlite.segment import SegmentWriter
from hxp_enterprise_llm.event.log.sqlite.store import Sizes, Store
from hxp_enterprise_llm.event.log.window import IdentityWindow
from hxp_enterprise_llm.event.model import Encoded
from hxp_enterprise_llm.runtime.clock import SystemClock
from tests.faults.power import ACKNOWLEDGED

BATCH = 8
SIZES = Sizes(segment=256 * 1024, budget=4 * 256 * 1024, reserve=65536)
EX_SOFTWARE, EX_CANTCREAT = 70, 73


def batch_of(number: int) -> list[Encoded]:
    """The events of a numbered batch, of different sizes, about 12 kB."""
    first = number * BATCH
    return [event(first + index, 200 + 700 * index % 5000) for index in range(BATCH)]


def event(number: int, size: int) -> Encoded:
    """A numbered event of about so many bytes."""
    raw = b'{"id":"%d","pad":"%b"}' % (number, noise(number, size))
    return Encoded("/faults", str(number), f"test.{number % 3}", raw)


def noise(number: int | str, size: int) -> bytes:
    """So many characters, always the same, of which compression saves no more than a quarter."""
    return b64encode(Random(number).randbytes(size))[:size]


def make_store(directory: Path) -> Store:
    """The log below a directory."""
    return Store(directory / "log", SIZES, IdentityWindow(10_000, 600.0), SystemClock())


def weaken() -> None:
    """Let SQLite sync only when it checkpoints."""
    set_strictly = SegmentWriter._set

    def set_weakly(self: SegmentWriter, name: str, value: str | int) -> None:
        set_strictly(self, name, 1 if name == "synchronous" else value)

    SegmentWriter._set = set_weakly  # type: ignore[method-assign]


def run(directory: Path, first: int, batches: int) -> None:
    """Commit the batches. Raises LogError."""
    store_module._CHECKPOINT_BYTES = 60_000
    with acknowledging(directory) as acknowledge:
        store = make_store(directory)
        view = store.open()
        acknowledge(f"epoch {view.bounds.epoch}")
        for number in range(first, first + batches):
            if number % 37 == 36:
                store.close()
                store = make_store(directory)
                store.open()
            answer = store.commit([batch_of(number)]).answers[0]
            acknowledge(f"{number} {answer[0].offset} {answer[-1].offset}")
            while store.maintenance_due:
                store.maintain()
        store.close()


@contextmanager
def acknowledging(directory: Path) -> Iterator:
    """A function that notes a line for good."""
    handle = os.open(directory / ACKNOWLEDGED, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        yield lambda line: os.write(handle, f"{line}\n".encode())
    finally:
        os.close(handle)


def main(directory: Path, first: int, batches: int, *flags: str) -> int:
    """Run, and answer how it went."""
    if "normal" in flags:
        weaken()
    try:
        run(directory, first, batches)
    except LogFull:
        return EX_CANTCREAT
    except LogError:
        return EX_SOFTWARE
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))
