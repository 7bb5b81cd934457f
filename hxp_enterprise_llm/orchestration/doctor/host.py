"""The machine: versions, clock, disk, limits. Each look takes what it judges as an argument."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import platform
import sqlite3
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.orchestration.doctor.model import Finding, runbook

SQLITE_WITHOUT_RESET_BUG = (3, 51, 3)
SQLITE_LEAST = (3, 37, 0)
_MEMORY_SYSTEMS = {"tmpfs", "ramfs"}
_NETWORK_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs", "fuse.glusterfs"}
_UNSAFE_OPTIONS = {"nobarrier", "barrier=0", "data=writeback"}
_TIME_ERROR = 5
_LEAST_FREE = 512 * 1024 * 1024
_LEAST_INODES = 1000


def look_at_versions(sqlite: tuple[int, ...] = sqlite3.sqlite_version_info) -> Iterator[Finding]:
    """Python, SQLite, and the packages that this release was tested with."""
    shown = ".".join(map(str, sqlite[:3]))
    yield Finding("version.program", "ok", f"hxp {__version__}, Python {platform.python_version()}, SQLite {shown}")
    if sqlite < SQLITE_LEAST:
        yield Finding(
            "version.sqlite_old",
            "fault",
            f"SQLite {shown} is older than this release was tested with (3.37)",
            "install a newer libsqlite3, and run the services with a Python that uses it",
        )
    elif sqlite < SQLITE_WITHOUT_RESET_BUG:
        # The services write and checkpoint on one connection, so that they never meet the fault.
        yield Finding(
            "version.sqlite_reset",
            "ok",
            f"SQLite {shown} damages files that several connections checkpoint (before 3.51.3); the services use one."
            " Never write to their files with other programs",
        )
    yield from _packages(requires("hxp-enterprise-llm") or [])


def _packages(requirements: list[str]) -> Iterator[Finding]:
    for requirement in map(Requirement, requirements):
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        yield from look_at_package(requirement)


def look_at_package(requirement: Requirement) -> Iterator[Finding]:
    """One package that the program needs."""
    mend = "install the release anew, with its locked requirements: make install"
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        yield Finding("version.package", "fault", f"the package {requirement.name} is missing", mend)
        return
    if not requirement.specifier.contains(found, prereleases=True):
        what = f"{requirement.name} is {found}, this release needs {requirement.specifier}"
        yield Finding("version.package", "fault", what, mend)


class _Timex(ctypes.Structure):
    """What adjtimex(2) fills in; only its answer is looked at."""

    _fields_ = [("modes", ctypes.c_uint), ("_rest", ctypes.c_byte * 512)]


def clock_state() -> int:
    """What the kernel says of its clock: 5 when nobody keeps it right; -1 when it does not say."""
    name = ctypes.util.find_library("c")
    if name is None:
        return -1
    return int(ctypes.CDLL(name).adjtimex(ctypes.byref(_Timex())))


def look_at_clock(state: int, now: float, newest: float | None) -> Iterator[Finding]:
    """Whether the clock is kept right, and whether it was set back. `newest`: time of the newest record."""
    if newest is not None and newest > now + 1:
        yield Finding(
            "clock.set_back",
            "fault",
            f"the clock is {newest - now:,.0f} s behind the newest record of the log",
            "set the clock: timedatectl status, chronyc tracking",
        )
    if state == _TIME_ERROR:
        yield Finding(
            "clock.unsynchronised",
            "warning",
            "nobody keeps the clock of this host right",
            "sudo apt-get install chrony; in a virtual machine or a container look at the host's: timedatectl status",
        )
    elif newest is None or newest <= now + 1:
        yield Finding(
            "clock.kept", "ok", "the clock is kept right" if state >= 0 else "the kernel tells no clock state"
        )


class Mount(NamedTuple):
    """A file system: where, of which kind, mounted how."""

    at: str
    kind: str
    options: frozenset[str]


def mount_of(path: Path, table: str) -> Mount:
    """The file system that holds `path`, after the text of /proc/self/mounts."""
    best = Mount("/", "unknown", frozenset())
    for line in table.splitlines():
        _, at, kind, options, *_ = line.split()
        at = at.replace("\\040", " ")
        if path.is_relative_to(at) and len(at) >= len(best.at):
            best = Mount(at, kind, frozenset(options.split(",")))
    return best


def look_at_durability(what: str, mount: Mount) -> Iterator[Finding]:
    """Whether what is synced to this file system is on a disk then."""
    if mount.kind in _MEMORY_SYSTEMS:
        yield Finding(
            "disk.memory",
            "fault",
            f"{what} lies on {mount.at} ({mount.kind}), which is gone after a reboot",
            "put state.directory on a disk",
        )
    elif mount.kind in _NETWORK_SYSTEMS:
        yield Finding(
            "disk.network",
            "fault",
            f"{what} lies on {mount.at} ({mount.kind}): SQLite's write-ahead log needs a local disk",
            "put state.directory on a local disk",
        )
    elif unsafe := mount.options & _UNSAFE_OPTIONS:
        yield Finding(
            "disk.unsafe_options",
            "fault",
            f"{what} lies on {mount.at}, mounted with {', '.join(sorted(unsafe))}: a power cut may lose what was"
            " acknowledged",
            f"mount -o remount {mount.at} without it, and correct /etc/fstab",
        )
    else:
        yield Finding("disk.durable", "ok", f"{what} lies on {mount.at} ({mount.kind})")


class Room(NamedTuple):
    """Bytes and inodes of a file system that are free."""

    bytes: int
    inodes: int

    @classmethod
    def of(cls, path: Path) -> Room:
        """Raises OSError."""
        found = os.statvfs(path)
        return cls(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else _LEAST_INODES)


def look_at_disk(what: str, room: Room, *, used: int = 0, budget: int = 0) -> Iterator[Finding]:
    """Whether there is room now, and for all that log and history may come to hold."""
    if room.bytes < _LEAST_FREE or room.inodes < _LEAST_INODES:
        yield Finding(
            "disk.full",
            "fault",
            f"{what}: only {room.bytes:,} bytes and {room.inodes:,} inodes are free",
            f"make room (see {runbook('CitadelLogFull')}), or lower log.disk_budget_bytes",
        )
    elif room.bytes + used < budget:
        yield Finding(
            "disk.budget",
            "warning",
            f"{what}: log.disk_budget_bytes and history.disk_budget_bytes are {budget:,} together, the disk has"
            f" {room.bytes + used:,} for them",
            "lower one of them, or give the log a larger disk",
        )
    else:
        yield Finding("disk.room", "ok", f"{what}: {room.bytes / 1e9:,.1f} GB are free")
