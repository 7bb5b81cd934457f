"""Whether a log holds what it acknowledged: invariants I1 and I2 over a directory that went through a fault."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.event.log.sqlite.store import Store
from hxp_enterprise_llm.event.model import Offset
from tests.faults.workload import BATCH, batch_of, make_store


class Acknowledged(NamedTuple):
    """What the workload was told."""

    epoch: str
    batches: dict[int, tuple[int, int]]
    """Number of a batch → its first and last offset."""


def acknowledged(lines: list[str]) -> Acknowledged:
    """Read the notes of the workload."""
    epochs = [line.split()[1] for line in lines if line.startswith("epoch")]
    batches = {}
    for line in lines:
        if not line.startswith("epoch"):
            number, first, last = map(int, line.split())
            batches[number] = (first, last)
    return Acknowledged(epochs[-1] if epochs else "", batches)


def settle(directory: Path) -> None:
    """Let a note of the head that is whole name the file in which it lies now: the disk is the same, only rebuilt."""
    path = directory / "log.head"
    fields = path.read_bytes().split() if path.exists() else []
    if len(fields) == 4 and b"%08x" % crc32(b" ".join(fields[:3])) == fields[3]:
        content = b"%b %b %d" % (fields[0], fields[1], path.stat().st_ino)
        path.write_bytes((content + b" %08x" % crc32(content)).ljust(127) + b"\n")


def faults_of(directory: Path, told: Acknowledged) -> list[str]:
    """What is wrong with the log below a directory; it is opened, read, written and opened again."""
    store = make_store(directory)
    try:
        view = store.open()
        faults = _faults(store, told)
        if told.batches and (view.doubt or view.bounds.epoch != told.epoch):
            faults.append(f"a new epoch without need: {view.doubt}")
        answer = store.commit([batch_of(random.randrange(10**9, 10**12))]).answers[0]
        if answer[0].duplicate or answer[0].offset <= max((last for _, last in told.batches.values()), default=0):
            faults.append(f"offset {answer[0].offset} is given out a second time")
    except LogError as error:
        return [f"it cannot be used: {error}"]
    finally:
        store.close()
    return faults


def stored(store: Store) -> dict[int, bytes]:
    """Everything in the log: offset → text. Raises LogError."""
    bounds = store.view().bounds
    found: dict[int, bytes] = {}
    after = Offset(bounds.first - 1)
    while True:
        batch = store.read(after, 10_000, None, bounds.head)
        found.update((one.offset, one.raw) for one in batch.events)
        after = batch.next
        if after == bounds.head:
            return found


def _faults(store: Store, told: Acknowledged) -> list[str]:
    found, first = stored(store), store.view().bounds.first
    faults = []
    for number, (start, end) in told.batches.items():
        if end < first:  # trimmed since; a log of a thousand lives has acknowledged many of these
            continue
        expected = [event.raw for event in batch_of(number)]
        kept = [found.get(offset) for offset in range(start, end + 1)]
        if kept != expected:
            faults.append(f"batch {number} at offsets {start} to {end} was acknowledged and is not there")
    ids = [json.loads(raw)["id"] for raw in found.values()]
    if len(set(ids)) != len(ids):
        faults.append("an event is there twice")
    if len(ids) % BATCH:
        faults.append("half a batch is there")
    return faults
