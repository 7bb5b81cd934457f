"""What a box needs of the machine, and what boxes of tests that were killed have left on it."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path

HIERARCHIES = tuple(map(Path, ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")))
PREFIX = "hxp-box-"
"""Each box has a control group of its own: this, and the process that it belongs to."""
REQUIRED = "HXP_BOX"
"""With the value `required` a machine that cannot boot a box fails the tests, else they are left out, and why."""
WATCHES = 12
"""inotify instances that a booted box takes, and some to spare."""
TRIAL = """set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/lower /mnt/up /mnt/work /mnt/root
mount --bind / /mnt/lower
mount -t overlay overlay -o lowerdir=/mnt/lower,upperdir=/mnt/up,workdir=/mnt/work /mnt/root"""


def hindrance() -> str:
    """Why this machine cannot boot a box; empty when it can."""
    if os.geteuid() != 0:
        return "a box takes root; run the tests in a container or a virtual machine with overlayfs"
    groups = [each for each in HIERARCHIES if (each / "cgroup.procs").exists()]
    if not groups or not all(os.access(each, os.W_OK) for each in groups):
        return "a box takes a control group of its own; /sys/fs/cgroup is not there, or cannot be written"
    return _no_watches() or _no_mounts()


def _no_watches() -> str:
    """Without inotify a systemd does not boot, and says nothing about it. Root has 128 instances on most machines."""
    libc, opened = ctypes.CDLL(None), []
    try:
        opened += [libc.inotify_init1(os.O_CLOEXEC) for _ in range(WATCHES)]
    finally:
        for descriptor in opened:
            if descriptor >= 0:
                os.close(descriptor)
    if -1 not in opened:
        return ""
    limit = Path("/proc/sys/fs/inotify/max_user_instances").read_text().strip()
    return (
        f"root's inotify instances are used up (fs.inotify.max_user_instances = {limit}): end what holds them"
        " (`find /proc/[0-9]*/fd -lname anon_inode:inotify`), or raise the limit"
    )


def _no_mounts() -> str:
    command = ["unshare", "--mount", "--pid", "--net", "--fork", "--mount-proc", "--propagation", "private"]
    tried = subprocess.run([*command, "sh", "-c", TRIAL], capture_output=True, text=True, check=False)
    if tried.returncode == 0:
        return ""
    return f"a box takes namespaces and an overlay of /, which this machine does not give: {tried.stderr.strip()}"


def sweep() -> None:
    """Remove the empty control groups of boxes whose tests are gone: they end with them, their groups stay."""
    for hierarchy in HIERARCHIES:
        for group in hierarchy.glob(f"{PREFIX}*"):
            owner = re.match(r"\d+", group.name.removeprefix(PREFIX))
            if owner and not Path("/proc", owner[0]).exists():
                remove(group)


def remove(group: Path) -> None:
    """Remove a control group and those below it, as far as nothing runs in them."""
    for directory, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            os.rmdir(directory)
