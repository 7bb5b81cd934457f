"""Ports for servers that must be told theirs: nobody else is given them, by the kernel or by another test."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

FIRST, AT_LEAST = 20_000, 5_000
"""Below what the kernel gives to whoever does not care, and above what programs have by default."""
_CLAIM = "\0citadel.tests.port.{}"


def free_port() -> int:
    """A port on which nobody listens. It is this process' own until its end: asked again, it gives another one.

    One that was merely found free could be given to the next who asks for any, before the server of the test is there.
    """
    for port in range(FIRST, max(_first_of_the_kernel(), FIRST + AT_LEAST)):
        if _claimed(port) and _unused(port):
            return port
    raise AssertionError("no port of those for tests is free")


def _first_of_the_kernel() -> int:
    return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def _claimed(port: int) -> bool:
    """Whether it is ours now: a name that the kernel gives to one process, and takes back when that ends."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(_CLAIM.format(port))
    except OSError as error:
        claim.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    claim.detach()
    return True


def _unused(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
