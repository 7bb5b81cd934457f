"""What systemd is told, by a real datagram socket."""

from __future__ import annotations

import socket

import pytest

from hxp_enterprise_llm.orchestration.systemd import Notifier


@pytest.fixture(params=["file", "abstract"])
def listening(request, tmp_path):
    """A socket as systemd has it, and its name as systemd writes it."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@{tmp_path.name}-notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("\0" + name[1:] if name.startswith("@") else name)
        yield server, name


def test_states_arrive(listening):
    """One datagram a state; a reload carries the monotonic time in microseconds."""
    server, name = listening
    notify = Notifier({"NOTIFY_SOCKET": name})
    notify("READY=1")
    notify("RELOADING=1")
    assert server.recv(200) == b"READY=1"
    state, _, since = server.recv(200).decode().partition("\nMONOTONIC_USEC=")
    assert state == "RELOADING=1"
    assert int(since) > 0


def test_without_systemd_nothing_is_sent():
    """No variable, no datagram, no failure."""
    Notifier({})("READY=1")
