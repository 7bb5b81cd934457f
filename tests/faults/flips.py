"""Single bits of a small log that change: each is corrected or reported, none changes anything in silence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.event.log.sqlite import store as store_module
from hxp_enterprise_llm.event.model import Encoded
from tests.faults import shim
from tests.faults.verdict import settle, stored
from tests.faults.workload import batch_of, event, make_store

_LARGE = 8000
"""Bytes of one event that takes more than a page."""


class Flip(NamedTuple):
    """One bit: in which file, which, and what came of it."""

    file: str
    bit: int
    outcome: str
    """`same`, `reported`, or what went wrong in silence."""


class Original(NamedTuple):
    """The log whose bits are changed."""

    directory: Path
    epoch: str
    events: dict[int, bytes]

    def files(self) -> list[tuple[str, int]]:
        """Files whose bits count, with their sizes in bits."""
        paths = [self.directory / "log.head", *sorted((self.directory / "log").glob("*.db*"))]
        chosen = [path for path in paths if not path.name.endswith("-shm")]
        return [(str(path.relative_to(self.directory)), path.stat().st_size * 8) for path in chosen]


def make_original(directory: Path) -> Original:
    """A log of some sealed segments and one with its write-ahead file, as a killed process leaves it."""
    directory.mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "tests.faults.flips", str(directory)], cwd=shim.ROOT, check=False)
    seen = directory.with_name("seen")
    shutil.copytree(directory, seen)
    settle(seen)
    store = make_store(seen)
    try:
        view = store.open()
        assert not view.doubt
        return Original(directory, view.bounds.epoch, stored(store))
    finally:
        store.close()
        shutil.rmtree(seen)


def write_and_die(directory: Path) -> None:
    """A sealed segment, one that is written, and its write-ahead file; the process ends without closing anything."""
    store_module._LEAST_SEGMENT_BYTES = store_module._CHECKPOINT_BYTES = 1
    store = make_store(directory)
    store.sizes = store.sizes._replace(segment=15_000)
    store.open()
    store.commit([_small(0)])
    store.commit([[event(8, _LARGE)]])
    store.maintain()
    assert len(list((directory / "log").glob("*.db"))) == 2, "the first segment is sealed"
    store.sizes = store.sizes._replace(segment=1_000_000)
    store.commit([_small(9)])
    store.maintain()
    store.commit([_small(17)])
    os._exit(0)


def _small(first: int) -> list[Encoded]:
    return [event(number, 12) for number in range(first, first + 8)]


def flips(original: Original, scratch: Path, bits: Iterator[tuple[str, int]]) -> Iterator[Flip]:
    """Change one bit after the other, each in a fresh copy."""
    target = scratch / "flipped"
    for file, bit in bits:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(original.directory, target, ignore=shutil.ignore_patterns("*-shm", "acknowledged"))
        settle(target)
        with (target / file).open("r+b") as handle:
            handle.seek(bit // 8)
            byte = handle.read(1)[0]
            handle.seek(bit // 8)
            handle.write(bytes([byte ^ 1 << bit % 8]))
        yield Flip(file, bit, _outcome(target, original))


def _outcome(directory: Path, original: Original) -> str:
    try:
        first = _look(directory, original, 1000)
        return first if first != "same" else _look(directory, original, 2000)
    except LogError:
        return "reported"


def _look(directory: Path, original: Original, number: int) -> str:
    """Open, read, append. Raises LogError."""
    store = make_store(directory)
    try:
        view = store.open()
        bounds = view.bounds
        answer = store.commit([batch_of(number)]).answers[0]
        told = bool(view.doubt) or bounds.epoch != original.epoch
        if answer[0].duplicate or (answer[0].offset <= max(original.events) and not told):
            return f"offset {answer[0].offset} was given out again"
        found = stored(store)
        return _compare(found, original, told)
    finally:
        store.close()


def _compare(found: dict[int, bytes], original: Original, told: bool) -> str:
    changed = [offset for offset, raw in original.events.items() if found.get(offset, raw) != raw]
    if changed:
        return f"offset {changed[0]} has another text"
    missing = original.events.keys() - found.keys()
    if missing and not told:
        return f"offset {min(missing)} is missing"
    return "reported" if told else "same"


if __name__ == "__main__":
    write_and_die(Path(sys.argv[1]))
