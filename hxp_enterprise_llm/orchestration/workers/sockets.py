"""The sockets of several processes: one queue of the port for each of them, and Unix sockets among themselves."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from hxp_enterprise_llm.security.listener import BACKLOG, open_socket

FIRST, LOG = "first.sock", "log.sock"
"""Names of the first process' sockets: what it serves, and its log."""

_LONGEST_ADDRESS = 100
"""Bytes of a Unix socket's path; the kernel takes 107."""


def open_group(host: str, port: int, count: int) -> list[socket.socket]:
    """So many listening sockets on one port, among which the kernel spreads new connections. Raises ListenError.

    The first process keeps all of them open and the others inherit theirs: what waits in the queue of a process that
    died is served by its successor, and no connection is refused meanwhile.
    """
    # SO_REUSEPORT would also join the port of another daemon of the same user: first make sure that it is free.
    with open_socket(host, port) as probe:
        host, port = probe.getsockname()[:2]
    with ExitStack() as opened:
        group = [opened.enter_context(open_socket(host, port, shared=True)) for _ in range(count)]
        opened.pop_all()
    return group


def dealt(group: Sequence[socket.socket], count: int) -> list[socket.socket]:
    """One socket for each of so many processes; where there are fewer, several have the same queue."""
    return [group[number] if number < len(group) else group[number % len(group)].dup() for number in range(count)]


class SocketDirectory:
    """A directory of Unix sockets that only its owner may enter."""

    def __init__(self, path: Path) -> None:
        """Make the directory. Raises OSError."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        self.path = path.absolute()
        self._handle = os.open(path, os.O_PATH | os.O_DIRECTORY)

    def address(self, name: str) -> str:
        """Where a socket is reached from this process; through the open directory when its path is too long."""
        path = self.path / name
        return str(path) if len(os.fsencode(path)) <= _LONGEST_ADDRESS else f"/proc/self/fd/{self._handle}/{name}"

    def listen(self, name: str) -> socket.socket:
        """A listening socket of mode 0600, in the place of one that an earlier process left. Raises OSError."""
        self.remove(name)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Before the bind, so that there is no moment in which others may connect.
            os.fchmod(sock.fileno(), 0o600)
            sock.bind(self.address(name))
            sock.listen(BACKLOG)
        except BaseException:
            sock.close()
            raise
        return sock

    def remove(self, name: str) -> None:
        """Remove a socket's name. Idempotent."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._handle)

    def close(self) -> None:
        """Let go of the directory. Idempotent."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
