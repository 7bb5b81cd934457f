"""Namespaces of Linux that need no rights: a network of one's own, a mount of one's own."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

NEEDED = "these tests need user namespaces, iproute2 and nftables: scripts/system-packages says what is missing"
TMPFS = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'


async def in_own_network(module: str, *arguments: str) -> bytes:
    """Run a module of ours where nobody else is on the network; what it printed."""
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--user", "--map-root-user", "--net", sys.executable, "-m", module, *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, NEEDED
    return output


def with_tmpfs(directory: Path, size: str) -> list[str]:
    """A command that runs its arguments with a file system of so many bytes in memory at a directory."""
    directory.mkdir()
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", TMPFS, "sh", size, str(directory)]


async def run(*command: str) -> None:
    """Run a command to its end."""
    environ = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    process = await asyncio.create_subprocess_exec(*command, env=environ)
    assert await process.wait() == 0, f"{' '.join(command)} failed; {NEEDED}"
