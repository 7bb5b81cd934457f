"""One port with several queues, and Unix sockets that only their owner reaches."""

from __future__ import annotations

import socket
import stat

import pytest

from hxp_enterprise_llm.orchestration.workers.sockets import SocketDirectory, open_group
from hxp_enterprise_llm.security.listener import ListenError


@pytest.fixture
def group():
    made = open_group("127.0.0.1", 0, 3)
    yield made
    for sock in made:
        sock.close()


def test_a_group_shares_one_port_and_its_connections(group):
    """Every queue gets some; none of them is lost."""
    (address,) = {sock.getsockname() for sock in group}
    clients = [socket.create_connection(address) for _ in range(60)]
    got = []
    for sock in group:
        sock.setblocking(False)
        got.append(0)
        while True:
            try:
                sock.accept()[0].close()
            except BlockingIOError:
                break
            got[-1] += 1
    for client in clients:
        client.close()
    assert sum(got) == 60
    assert min(got) > 0


def test_a_port_that_another_group_has_is_in_use(group):
    """Sharing is for our own processes: a second daemon of the same user is refused."""
    with pytest.raises(ListenError, match="in use"):
        open_group("127.0.0.1", group[0].getsockname()[1], 2)


@pytest.mark.parametrize("depth", [1, 20])
def test_a_socket_is_its_owners_alone_however_long_its_path(tmp_path, depth):
    """Mode 0600 in a directory of mode 0700; what an earlier process left is replaced."""
    path = tmp_path.joinpath(*["directory"] * depth)
    directory = SocketDirectory(path)
    for _ in range(2):
        with directory.listen("first.sock") as listening, socket.socket(socket.AF_UNIX) as client:
            client.connect(directory.address("first.sock"))
            listening.accept()[0].close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((path / "first.sock").stat().st_mode) == 0o600
    directory.close()
    directory.close()


def test_a_directory_in_the_place_of_a_socket_is_an_error(tmp_path):
    """Nothing is left open."""
    directory = SocketDirectory(tmp_path)
    (tmp_path / "first.sock").mkdir()
    with pytest.raises(OSError, match=r"first\.sock|directory"):
        directory.listen("first.sock")
    directory.close()
