"""The preload shim: built when its source is newer, and the environment that switches it on."""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache" / "faults"


def library() -> Path:
    """The shared object; needs gcc."""
    sources, target = [HERE / "disk.c", HERE / "clock.c"], CACHE / "shim.so"
    if not target.exists() or target.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        CACHE.mkdir(parents=True, exist_ok=True)
        made = target.with_suffix(f".{os.getpid()}")
        subprocess.run(
            ["gcc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", made, *sources, "-pthread"], check=True
        )
        made.rename(target)
    return target


def environment(root: Path, *, trace: Path | None = None, fault: str = "") -> dict[str, str]:
    """What a child needs so that the shim watches the files below `root`; see disk.c."""
    given = switched_on(DISK_ROOT=root)
    given |= {"DISK_TRACE": str(trace)} if trace else {}
    given |= {"DISK_FAULT": fault} if fault else {}
    return {**os.environ, **given}


def switched_on(**variables: Path | str) -> dict[str, str]:
    """The variables for the shim alone, without the rest of the environment."""
    return {"LD_PRELOAD": str(library())} | {name: str(value) for name, value in variables.items()}


class Orders:
    """Orders to a running program: which operation on the files below `root` goes wrong, and how."""

    def __init__(self, root: Path, file: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(64))
        with file.open("r+b") as handle:
            self._page = mmap.mmap(handle.fileno(), 64)
        self._number = 0
        self.environment = switched_on(DISK_ROOT=root, DISK_ORDERS=file)

    def give(self, fault: str = "") -> None:
        """From now on; operations are counted anew. Without a fault everything works again."""
        self._number += 1
        self._page[:8] = bytes(8)
        self._page[12:64] = fault.encode().ljust(52, b"\0")
        self._page[8:12] = struct.pack("<I", self._number)

    @property
    def operations(self) -> int:
        """How many there were since the last order, or the start."""
        return int.from_bytes(self._page[:8], "little")


class WallClock:
    """The wall clock of a running program."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(bytes(8))
        with file.open("r+b") as handle:
            self._page = mmap.mmap(handle.fileno(), 8)
        self.environment = switched_on(CLOCK_SHIFT=file)

    def shift(self, seconds: float) -> None:
        """Set it so many seconds away from what it should be."""
        self._page[:8] = struct.pack("<q", int(seconds * 1e9))
