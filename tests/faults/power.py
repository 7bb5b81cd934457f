"""Power cuts: what a disk may hold when it lost its power at some point of a recorded run.

A trace of disk.c is played up to the cut. What was written to a file since its last sync may be there, or not, or in
parts of 512 bytes, in any order; of the names that were made, renamed or removed since the directory's last sync some
first ones are there.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_HEADER = struct.Struct("<c3xIIIQQ")
SECTOR = 512
ACKNOWLEDGED = "acknowledged"
"""Name of the file in which the workload notes what was acknowledged: no part of the disk, but of the order."""


class Operation(NamedTuple):
    """One operation of the trace: Create, Write, Sync, Directory sync, Truncate, Rename, Unlink."""

    op: str
    path: str
    second: str
    inode: int
    place: int
    data: bytes


def read_trace(path: Path) -> list[Operation]:
    """Operations in the order in which they were made."""
    return list(_operations(path.read_bytes()))


def _operations(content: bytes) -> Iterator[Operation]:
    at = 0
    while at < len(content):
        op, path_length, second_length, data_length, inode, place = _HEADER.unpack_from(content, at)
        at += _HEADER.size
        parts = []
        for length in (path_length, second_length, data_length):
            parts.append(content[at : at + length])
            at += length
        yield Operation(op.decode(), parts[0].decode(), parts[1].decode(), inode, place, parts[2])


class _File:
    """What is on the disk for certain, and what was written since."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self.pending: list[tuple[int, bytes | None]] = []

    def sync(self) -> None:
        for place, data in self.pending:
            _apply(self.durable, place, data)
        self.pending.clear()

    def after_cut(self, rng: random.Random) -> bytes:
        content = bytearray(self.durable)
        how = rng.choice(["lost", "first ones", "some", "torn", "kept"])
        first_ones = rng.randint(0, len(self.pending))
        for index, (place, data) in enumerate(self.pending):
            if how == "torn" and data is not None:
                _apply_torn(content, place, data, rng)
            elif (
                how == "kept"
                or (how == "first ones" and index < first_ones)
                or (how in ("some", "torn") and rng.random() < 0.5)
            ):
                _apply(content, place, data)
        return bytes(content)


def _apply(content: bytearray, place: int, data: bytes | None) -> None:
    if data is None:
        del content[place:]
    if len(content) < place:
        content.extend(bytes(place - len(content)))
    if data is not None:
        content[place : place + len(data)] = data


def _apply_torn(content: bytearray, place: int, data: bytes, rng: random.Random) -> None:
    """Some sectors of a write; a sector itself is written whole or not at all."""
    start = 0
    while start < len(data):
        end = min(len(data), start + SECTOR - (place + start) % SECTOR)
        if rng.random() < 0.5:
            _apply(content, place + start, data[start:end])
        start = end


class Disk:
    """The disk below a directory while a trace is played."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_inode: dict[int, _File] = {}
        self._names: dict[str, _File] = {}
        self._durable_names: dict[str, _File] = {}
        self._name_changes: list[tuple[str, str, _File | None]] = []
        self.acknowledged: list[str] = []
        self._lines = ""

    def play(self, one: Operation) -> None:
        """Take over the next operation."""
        if one.path.endswith(ACKNOWLEDGED):
            if one.op == "W":
                self._lines += one.data.decode()
                self.acknowledged = self._lines.splitlines()
        elif not one.path.endswith("-shm"):
            _PLAY[one.op](self, one)

    def create(self, one: Operation) -> None:
        """A new, empty file."""
        self._by_inode[one.inode] = self._names[one.path] = file = _File()
        self._name_changes.append(("create", one.path, file))

    def write(self, one: Operation) -> None:
        """Data that may or may not be on the disk yet."""
        self._by_inode[one.inode].pending.append((one.place, one.data))

    def truncate(self, one: Operation) -> None:
        """A new size that may or may not be on the disk yet."""
        self._by_inode[one.inode].pending.append((one.place, None))

    def sync(self, one: Operation) -> None:
        """Everything written to the file is on the disk now."""
        self._by_inode[one.inode].sync()

    def sync_directory(self, one: Operation) -> None:
        """The names in this directory are on the disk now; by the order of a journal those before them are, too."""
        for change in self._name_changes:
            _rename(self._durable_names, change)
        self._name_changes.clear()

    def rename(self, one: Operation) -> None:
        """Another name."""
        self._names[one.second] = file = self._names.pop(one.path)
        self._name_changes.append((one.path, one.second, file))

    def unlink(self, one: Operation) -> None:
        """A name that goes."""
        self._names.pop(one.path, None)
        self._name_changes.append((one.path, "", None))

    def after_cut(self, rng: random.Random, target: Path) -> None:
        """Write what may be found after the cut below another directory."""
        names = dict(self._durable_names)
        for change in self._name_changes[: rng.randint(0, len(self._name_changes))]:
            _rename(names, change)
        for name, file in names.items():
            path = target / Path(name).relative_to(self._root)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.after_cut(rng))


def _rename(names: dict[str, _File], change: tuple[str, str, _File | None]) -> None:
    old, new, file = change
    names.pop(old, None)
    if file is not None:
        names[new] = file


_PLAY = {
    "C": Disk.create,
    "W": Disk.write,
    "T": Disk.truncate,
    "S": Disk.sync,
    "D": Disk.sync_directory,
    "R": Disk.rename,
    "U": Disk.unlink,
}
