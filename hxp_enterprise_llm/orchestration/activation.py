"""Sockets that systemd holds and hands over (sd_listen_fds(3)): while a service restarts, connections wait in them."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable, MutableMapping
from typing import NamedTuple

from hxp_enterprise_llm.config.faults import ConfigError

FIRST_DESCRIPTOR = 3
VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")

Address = tuple[str, int]


class Handed(NamedTuple):
    """A listening socket; `unit` is its name, which systemd makes that of the socket unit."""

    unit: str
    sock: socket.socket


class UnusedSockets(ConfigError):
    """Sockets on which nobody would ever answer: clients would wait in them for ever."""

    def __init__(self, unused: Iterable[Handed], wanted: Iterable[Address]) -> None:
        self.unused = [(each.unit, _address(each.sock)) for each in unused]
        self.wanted = list(wanted)
        super().__init__(self.unused, self.wanted)

    def __str__(self) -> str:
        unused = ", ".join(f"{_shown(address)} ({unit})" for unit, address in self.unused)
        wanted = ", ".join(map(_shown, self.wanted))
        unit = self.unused[0][0]
        return (
            f"systemd listens on {unused}, the configuration wants {wanted}: make ListenStream= the same with"
            f" `systemctl edit {unit}`, or let the service open its ports itself with `systemctl mask --now {unit}`"
        )


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(sock: socket.socket) -> Address:
    where = sock.getsockname()
    if not isinstance(where, tuple):
        return str(where) or "an unnamed socket", 0
    return str(where[0]), int(where[1])


def _same(address: Address) -> Address:
    """The address in one spelling; a name stays what it is."""
    host, port = address
    try:
        return ipaddress.ip_address(host or "0.0.0.0").compressed, port
    except ValueError:
        return ("127.0.0.1", port) if host == "localhost" else (host, port)


class HandedSockets:
    """The sockets that this process was handed, each taken once by the listener of its address."""

    def __init__(self, handed: Iterable[Handed] = ()) -> None:
        self._handed = list(handed)

    def __len__(self) -> int:
        return len(self._handed)

    def check(self, wanted: Iterable[Address]) -> None:
        """Raises UnusedSockets when one has an address on which this configuration does not listen."""
        wanted = list(wanted)
        known = {_same(address) for address in wanted}
        unused = [each for each in self._handed if _same(_address(each.sock)) not in known]
        if unused:
            raise UnusedSockets(unused, wanted)

    def take(self, host: str, port: int) -> list[socket.socket]:
        """All sockets of an address: several when the unit names it so often, with ReusePort=. Now the caller's."""
        wanted = _same((host, port))
        taken = [each for each in self._handed if _same(_address(each.sock)) == wanted]
        self._handed = [each for each in self._handed if each not in taken]
        return [each.sock for each in taken]

    def close(self) -> None:
        """Let go of what nobody took. Idempotent."""
        for each in self._handed:
            each.sock.close()
        self._handed = []


def handed_sockets(environ: MutableMapping[str, str]) -> HandedSockets:
    """What systemd has handed to this process; the variables are taken out, so that no child believes they are its."""
    pid, count, names = (environ.pop(name, "") for name in VARIABLES)
    if pid != str(os.getpid()) or not count.isdecimal():
        return HandedSockets()
    units = names.split(":") if names else []
    handed = []
    for index in range(int(count)):
        sock = socket.socket(fileno=FIRST_DESCRIPTOR + index)
        sock.set_inheritable(False)
        sock.setblocking(False)
        handed.append(Handed(units[index] if index < len(units) else "unknown", sock))
    return HandedSockets(handed)
