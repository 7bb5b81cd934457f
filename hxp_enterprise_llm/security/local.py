"""Requests over a Unix socket: from a process of our own user, for itself or for a client whose request it hands on."""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import NamedTuple

from aiohttp import web

HANDED_ON = "X-Citadel-Handed-On"
"""Names the client whose request it is. Believed on a Unix socket only."""

LOOPBACK = "127.0.0.1"
_CREDENTIALS = struct.Struct("iII")


class Asker(NamedTuple):
    """Who asks and how, as `RequestHead` has it."""

    peer: str
    local: str
    """Address at which it arrived; empty for a Unix socket."""
    port: int
    version: tuple[int, int]
    target: str


def asker_of(request: web.Request) -> Asker:
    """Who asks; over a Unix socket the client that its header names, else that process itself, as from loopback."""
    transport = request.transport
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.family != socket.AF_UNIX:
        return _direct(request)
    if not _is_ours(sock):
        return _direct(request)._replace(peer="")
    named = request.headers.get(HANDED_ON)
    return _direct(request)._replace(peer=LOOPBACK) if named is None else _read(named)


def hand_on(request: web.Request) -> str:
    """The header that names the client of a request that is handed on."""
    peer, local, port, version, target = asker_of(request)
    return json.dumps([peer, local, port, *version, target])


def _direct(request: web.Request) -> Asker:
    local = request.transport.get_extra_info("sockname") if request.transport is not None else None
    address, port = local[:2] if isinstance(local, tuple) else ("", 0)
    version = (request.version.major, request.version.minor)
    return Asker(request.remote or "", address, port, version, request.raw_path)


def _read(text: str) -> Asker:
    peer, local, port, major, minor, target = json.loads(text)
    return Asker(peer, local, port, (major, minor), target)


def _is_ours(sock: socket.socket) -> bool:
    """Whether the other end runs as our user or as root, who may do all that we may."""
    _, user, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return user in (0, os.geteuid())
