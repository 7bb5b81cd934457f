"""Who asks over a Unix socket: our own processes, and nobody else."""

from __future__ import annotations

import os
import socket
import struct

import pytest
from aiohttp.test_utils import make_mocked_request

from hxp_enterprise_llm.security.local import HANDED_ON, asker_of, hand_on

NAMED = {HANDED_ON: '["192.168.10.5", "192.168.10.29", 9102, 1, 0, "/health"]'}


class Socket:
    """A socket of a family whose other end runs as a user."""

    def __init__(self, user: int, family: int = socket.AF_UNIX) -> None:
        self.user, self.family = user, family

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_PEERCRED)
        return struct.pack("iII", 1, self.user, 0)


class Transport:
    """A transport with a socket."""

    def __init__(self, sock: Socket | None) -> None:
        self._known = {"socket": sock, "sockname": "/run/x.sock", "peername": ""}

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._known.get(name, default)


def request(sock: Socket | None, headers: dict[str, str]):
    return make_mocked_request("GET", "/streams", headers=headers, transport=Transport(sock))


@pytest.mark.parametrize("user", [0, os.geteuid()])
def test_our_own_processes_speak_for_themselves_and_for_whom_they_name(user):
    """Root and our user: as from loopback, or as the client they hand on."""
    assert asker_of(request(Socket(user), {})).peer == "127.0.0.1"
    assert asker_of(request(Socket(user), NAMED)) == ("192.168.10.5", "192.168.10.29", 9102, (1, 0), "/health")


@pytest.mark.parametrize("sock", [Socket(54321), Socket(0, socket.AF_INET), None])
def test_nobody_else_is_believed(sock):
    """Another user's process is nobody, and over TCP the header means nothing."""
    asker = asker_of(request(sock, NAMED))
    assert (asker.peer, asker.target) == ("", "/streams")


def test_what_is_handed_on_twice_keeps_its_client():
    """The name travels as it is, strange targets too."""
    handed = hand_on(request(Socket(0), NAMED))
    assert asker_of(request(Socket(0), {HANDED_ON: handed})).peer == "192.168.10.5"
